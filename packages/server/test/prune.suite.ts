import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { joined } from '../src/db/database.js'
import { prune } from '../src/transfer/prune.js'
import { newFolder } from './process.js'
import { onEachDatabase } from './support.js'
import { contents, importInto, listener } from './transfer.js'

onEachDatabase(async (t, api) => {
  const { call, plan, clear, database } = api
  t.beforeEach(clear)
  const done = [{ title: 'a', status: 'completed' }]
  const ageAll = async (days: number) => {
    await database.db.execute(sql`
      update tasks set updated_at = now() - ${days}::int * interval '1 day',
        completed_at = case when status = 'completed' then now() - ${days}::int * interval '1 day' end`)
    await database.db.execute(sql`update batches set created_at = now() - ${days}::int * interval '1 day'`)
  }
  const left = async () => {
    const { batches, tasks } = await contents(api)
    return new Set([...batches, ...tasks].map(({ session_id }) => session_id))
  }

  await t.test(
    'prune deletes the sessions that are all completed and have not changed for so many days, and no others',
    async (t) => {
      const [old, open, changed, planned] = await Promise.all([
        plan(done),
        plan([...done, { title: 'b' }]),
        plan(done),
        plan(done),
      ])
      await call('POST', '/tasks', { title: 'without a session', status: 'completed' })
      await plan(
        [
          { key: 'a', ...done[0] },
          { ...done[0], blocked_by: ['a'] },
        ],
        old.session_id,
      )
      const empty = await plan(done)
      await call('DELETE', `/tasks/${empty.tasks[0].id}`)
      await ageAll(30)
      await call('PUT', `/tasks/${changed.tasks[0].id}`, { title: 'changed' })
      await call('POST', '/batches', { session_id: planned.session_id, tasks: done })
      const out = listener()
      t.same(await prune(database, { days: 31 }, out), { sessions: 0, batches: 0, tasks: 0 })
      t.same(await prune(database, { days: 30, dryRun: true }, out), { sessions: 2, batches: 3, tasks: 3 })
      t.match(out.text, /^tasks: 3 would be deleted from /m)
      t.equal((await left()).size, 6, 'a dry run deletes nothing')
      t.same(await prune(database, { days: 30 }, out), { sessions: 2, batches: 3, tasks: 3 })
      t.match(out.text, /^sessions: 2 deleted from /m)
      t.same(await left(), new Set([open, changed, planned].map(({ session_id }) => session_id).concat(null)))
      t.same(await prune(database, { days: 30 }, out), { sessions: 0, batches: 0, tasks: 0 })
    },
  )

  await t.test('prune deletes one session, whatever its state, and no other', async (t) => {
    const open = [{ key: 'a', title: 'a' }, { title: 'b', blocked_by: ['a'] }, ...done]
    const [moved, other] = await Promise.all([plan(open), plan(open)])
    const { session_id } = moved
    await call('POST', '/tasks/claim', { worker: 'one', session_id })
    await call('POST', '/tasks', { title: 'without a batch', session_id })
    const before = (await call('GET', '/events')).body.items.length
    const out = listener()
    t.same(await prune(database, { session: randomUUID() }, out), { sessions: 0, batches: 0, tasks: 0 })
    t.same(await prune(database, { session: session_id, dryRun: true }, out), {
      sessions: 1,
      batches: 1,
      tasks: 4,
    })
    t.equal((await left()).size, 2, 'a dry run deletes nothing')
    t.same(await prune(database, { session: session_id }, out), { sessions: 1, batches: 1, tasks: 4 })
    t.same(await left(), new Set([other.session_id]))
    t.equal((await call('GET', '/events')).body.items.length, before, 'which is no event')
  })

  // The embedded database has one connection, so nothing can be added during a transaction.
  const skip = !database.location.startsWith('PostgreSQL') && 'one connection'
  await t.test('what is added to a session while it is archived stays', { skip }, async (t) => {
    const { session_id } = await plan(done)
    const added: string[] = []
    const meanwhile: typeof database = {
      ...database,
      transaction: (work) =>
        database.transaction((db) => {
          const run: typeof db.run = async (...statement) => {
            if (/^delete/.test(statement[0]) && added.length === 0) {
              added.push((await call('POST', '/tasks', { title: 'b', session_id })).body.id)
              added.push((await plan(done, session_id)).tasks[0].id)
            }
            return db.run(...statement)
          }
          return work(joined(run))
        }),
    }
    const to = join(newFolder(t), 'archive.jsonl')
    t.same(await prune(meanwhile, { session: session_id, to }, listener()), {
      sessions: 1,
      batches: 1,
      tasks: 1,
    })
    const { batches, tasks } = await contents(api)
    t.same(
      tasks.map(({ id }) => id),
      added,
    )
    t.same(
      batches.map(({ id }) => id),
      [tasks[1].batch_id],
    )
  })

  await t.test('an archive has all that was deleted, and an import brings it back', async (t) => {
    await plan([
      { key: 'a', ...done[0], metadata: { a: 1 } },
      { ...done[0], blocked_by: ['a'], result: '한' },
    ])
    await plan(done)
    await ageAll(10)
    const before = await contents(api)
    const file = join(newFolder(t), 'archive.jsonl')
    t.same(await prune(database, { days: 1, to: file, dryRun: true }, listener()), {
      sessions: 2,
      batches: 2,
      tasks: 3,
    })
    t.notOk(existsSync(file), 'not by a dry run')
    await prune(database, { days: 1, to: file }, listener())
    t.same(await contents(api), { batches: [], tasks: [] })
    t.match(JSON.parse(readFileSync(file, 'utf8').split('\n')[0]!), { batches: 2, tasks: 3 })
    t.match(await importInto(api, file), { tasks: { copied: 3 }, complete: true })
    t.same(await contents(api), before)
  })

  await t.test(
    'an archive that exists or cannot be written is an error, and nothing is deleted',
    async (t) => {
      await plan(done)
      await ageAll(10)
      const folder = newFolder(t)
      const file = join(folder, 'archive.jsonl')
      writeFileSync(file, 'precious')
      for (const to of [file, join(folder, 'missing', 'archive.jsonl')])
        await t.rejects(prune(database, { days: 1, to }, listener()), {
          message: /^nothing was deleted: cannot write /,
        })
      t.equal(readFileSync(file, 'utf8'), 'precious')
      t.equal((await left()).size, 1)
    },
  )

  await t.test(
    'many sessions are deleted in transactions of some 1000 tasks, and an interruption loses nothing',
    async (t) => {
      await database.db.execute(sql`
      insert into tasks (id, session_id, title, status, completed_at, updated_at)
      select gen_random_uuid(), md5((n / 3)::text)::uuid, 'a', 'completed', now() - interval '9 days', now() - interval '9 days'
      from generate_series(0, 6599) n`)
      const file = join(newFolder(t), 'archive.jsonl')
      let transactions = 0
      const failing: typeof database = {
        ...database,
        transaction: (work) =>
          database.transaction(async (db) => {
            const result = await work(db)
            if (++transactions === 3) throw new Error('interrupted')
            return result
          }),
      }
      await t.rejects(prune(failing, { days: 5, to: file }, listener()), {
        message: /^stopped after 668 sessions: interrupted/,
      })
      const { tasks } = await contents(api)
      t.equal(tasks.length, 6600 - 2 * 1002)
      // The transaction that failed is in the archive, too.
      t.match(await importInto(api, file), { tasks: { copied: 2004, known: 1002 }, complete: true })
      t.same(await prune(database, { days: 5 }, listener()), { sessions: 2200, batches: 0, tasks: 6600 })
      t.equal((await contents(api)).tasks.length, 0)
    },
  )

  await t.test('a session that is used again while it is looked at stays', async (t) => {
    const { session_id, tasks, id } = await plan(done)
    await ageAll(10)
    const meanwhile: typeof database = {
      ...database,
      transaction: async (work) => {
        await call('POST', `/batches/${id}/tasks`, { tasks: [{ title: 'b' }] })
        return database.transaction(work)
      },
    }
    t.same(await prune(meanwhile, { days: 1 }, listener()), { sessions: 0, batches: 0, tasks: 0 })
    t.equal((await call('GET', `/tasks?session_id=${session_id}`)).body.total, tasks.length + 1)
    t.equal((await call('GET', `/sessions/${randomUUID()}`)).status, 200)
  })
})
