import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import postgres from 'postgres'
import t from 'tap'
import { openDatabase } from '../src/db/open.js'
import { until } from './process.js'
import { type Api, createApi, onEachDatabase, options, sharedPostgres, skipPostgres } from './support.js'

onEachDatabase(async (t, { call, plan, clear }) => {
  t.beforeEach(clear)

  await t.test('concurrent updates of different fields both take effect', async (t) => {
    for (let round = 0; round < 25; round++) {
      const task = (await call('POST', '/tasks', { title: 'before' })).body
      const changes = { title: `after ${round}`, description: 'given', priority: 'high', status: 'completed' }
      const answers = await Promise.all(
        Object.entries(changes).map(([field, value]) => call('PUT', `/tasks/${task.id}`, { [field]: value })),
      )
      t.strictSame(
        answers.map(({ status }) => status),
        [200, 200, 200, 200],
      )
      const after = (await call('GET', `/tasks/${task.id}`)).body
      t.match(after, changes)
      const moments = answers.map(({ body }) => body.updated_at).sort()
      t.equal(new Set([task.updated_at, ...moments]).size, 5, 'every update has a moment of its own')
      t.equal(after.updated_at, moments.at(-1))
      t.ok(after.updated_at > task.updated_at)
    }
  })

  await t.test('completed_at matches the status after concurrent completing and reopening', async (t) => {
    for (let round = 0; round < 25; round++) {
      const { id } = (await call('POST', '/tasks', { title: 'a' })).body
      const statuses = shuffled(['completed', 'completed', 'pending', 'in_progress'])
      const answers = await Promise.all(statuses.map((status) => call('PUT', `/tasks/${id}`, { status })))
      for (const { body } of [...answers, await call('GET', `/tasks/${id}`)]) {
        t.equal(body.completed_at !== null, body.status === 'completed')
      }
    }
  })

  await t.test('concurrent completions keep the first completed_at', async (t) => {
    for (let round = 0; round < 25; round++) {
      const { id } = (await call('POST', '/tasks', { title: 'a' })).body
      const complete = () => call('PUT', `/tasks/${id}`, { status: 'completed' })
      const answers = await Promise.all([complete(), complete(), complete()])
      t.equal(new Set(answers.map(({ body }) => body.completed_at)).size, 1)
    }
  })

  await t.test(
    'concurrent bulk updates of the same tasks all succeed, and none is applied in part',
    async (t) => {
      const { tasks } = await plan(titles(50))
      const ids: string[] = tasks.map((task: any) => task.id)
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, writer) =>
          call('PUT', '/tasks/bulk', {
            tasks: shuffled(ids).map((id) => ({ id, description: `writer ${writer}` })),
          }),
        ),
      )
      for (const { status, body } of answers) {
        t.equal(status, 200)
        t.equal(body.updated.length, 50)
        t.equal(new Set(body.updated.map((task: any) => task.description)).size, 1)
      }
      const { items } = (await call('GET', '/tasks?limit=100')).body
      t.equal(new Set(items.map((task: any) => task.description)).size, 1, 'the last writer wrote every task')
    },
  )

  await t.test('concurrent bulk updates of overlapping tasks all take effect', async (t) => {
    const { tasks } = await plan(titles(60))
    const ids: string[] = tasks.map((task: any) => task.id)
    const fields = {
      title: 'after',
      description: 'given',
      priority: 'low',
      due_date: '2026-01-01T00:00:00.000Z',
    }
    const answers = await Promise.all(
      Object.entries(fields).flatMap(([field, value], slice) =>
        // Ten calls for each field, each on a window of the tasks, so that together they reach every one.
        Array.from({ length: 10 }, (_, part) => {
          const own = ids.filter((_, n) => (n + slice) % 10 === part || (n + slice + 1) % 10 === part)
          return call('PUT', '/tasks/bulk', { tasks: shuffled(own).map((id) => ({ id, [field]: value })) })
        }),
      ),
    )
    t.strictSame(new Set(answers.map(({ status }) => status)), new Set([200]))
    const { items } = (await call('GET', '/tasks?limit=100')).body
    t.equal(items.length, 60)
    for (const item of items) t.match(item, fields)
  })

  await t.test('concurrent bulk updates and bulk deletes of the same tasks all succeed', async (t) => {
    const { tasks } = await plan(titles(100))
    const ids: string[] = tasks.map((task: any) => task.id)
    const parts = Array.from({ length: 10 }, (_, part) => ids.filter((_, n) => n % 10 === part))
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        n % 2 === 0
          ? call('PUT', '/tasks/bulk', { tasks: shuffled(ids).map((id) => ({ id, status: 'completed' })) })
          : call('DELETE', '/tasks/bulk', { ids: shuffled([...parts[n % 10]!, ...parts[(n + 1) % 10]!]) }),
      ),
    )
    t.strictSame(new Set(answers.map(({ status }) => status)), new Set([200]))
    const deleted = answers.reduce((sum, { body }) => sum + (body.deleted_count ?? 0), 0)
    t.equal(deleted, 100, 'every task is deleted by one call')
    for (const { body } of answers.filter(({ body }) => body.updated)) {
      t.equal(body.updated.length + body.not_found.length, 100)
    }
    t.equal((await call('GET', '/tasks')).body.total, 0)
  })

  await t.test('of several concurrent deletes of a task, one succeeds', async (t) => {
    for (let round = 0; round < 10; round++) {
      const { id } = (await call('POST', '/tasks', { title: 'a' })).body
      const remove = () => call('DELETE', `/tasks/${id}`)
      const answers = await Promise.all([remove(), remove(), remove(), remove()])
      t.strictSame(answers.map(({ status }) => status).sort(), [204, 404, 404, 404])
    }
  })

  await t.test('a task that is deleted while it is updated stays deleted', async (t) => {
    for (let round = 0; round < 25; round++) {
      const { id } = (await call('POST', '/tasks', { title: 'a' })).body
      const [update, remove] = await Promise.all([
        call('PUT', `/tasks/${id}`, { title: 'b' }),
        call('DELETE', `/tasks/${id}`),
      ])
      t.ok([200, 404].includes(update.status))
      t.equal(remove.status, 204)
      t.equal((await call('GET', `/tasks/${id}`)).status, 404)
    }
  })

  await t.test('batches that are created concurrently keep the order of their tasks', async (t) => {
    const session_id = randomUUID()
    const batches = await Promise.all(
      Array.from({ length: 40 }, (_, n) => plan(shuffled(titles(20, `${n}-`)), session_id)),
    )
    const { body } = await call('GET', `/batches?session_id=${session_id}&limit=100`)
    t.equal(body.total, 40)
    const stored = new Map(body.items.map((batch: any) => [batch.id, batch]))
    for (const batch of batches) {
      t.equal(batch.tasks.length, 20)
      t.strictSame(stored.get(batch.id), batch)
    }
  })

  await t.test('a page that is read during writes has no duplicates and a matching total', async (t) => {
    const { tasks, session_id } = await plan(titles(40))
    const ids: string[] = tasks.map((task: any) => task.id)
    let writing = true
    const write = async () => {
      for (let n = 0; n < 60; n++) {
        await call('PUT', `/tasks/${ids[(n * 7) % 40]}`, { priority: ['high', 'medium', 'low'][n % 3] })
      }
    }
    const written = Promise.all([write(), write()]).finally(() => {
      writing = false
    })
    let pages = 0
    while (writing) {
      const { body } = await call('GET', `/tasks?session_id=${session_id}&limit=40&sort_by=priority`)
      t.equal(body.total, 40)
      t.equal(new Set(body.items.map((task: any) => task.id)).size, 40)
      pages++
      // The embedded database works within this thread: let the writers have their turn.
      await nextTurn()
    }
    await written
    t.ok(pages > 3, `${pages} pages were read meanwhile`)
  })
})

// On PostgreSQL another connection can hold a row, and so force the wait that above happens by chance.
t.test('a call that waits for a row lock', { skip: skipPostgres }, async (t) => {
  const { newDatabase } = await sharedPostgres()
  const url = await newDatabase()
  const database = await openDatabase(url, options)
  const { app, call, plan } = await createApi(database)
  const other = postgres(url, { max: 2, onnotice: () => {} })
  t.after(async () => {
    await other.end()
    await app.close()
    await database.close()
  })

  /** Makes the calls while another connection has done `sql` and not yet committed it. */
  const meanwhile = async (
    calls: (() => ReturnType<Api['call']>)[],
    change: (sql: postgres.TransactionSql) => Promise<unknown>,
  ) => {
    let answers: ReturnType<Api['call']>[] = []
    await other.begin(async (sql) => {
      await change(sql)
      answers = calls.map((make) => make())
      await until('the calls wait for the lock', async () => {
        const [waiting] = await other`select count(*)::int from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`
        return waiting!.count === calls.length
      })
    })
    return Promise.all(answers)
  }

  await t.test(
    'an update keeps the changes of the other transaction and has a later updated_at',
    async (t) => {
      const { body: before } = await call('POST', '/tasks', { title: 'a', status: 'completed' })
      const [answer] = await meanwhile(
        [() => call('PUT', `/tasks/${before.id}`, { description: 'mine' })],
        // A moment far ahead, as another server with a fast clock would write it.
        (
          sql,
        ) => sql`update tasks set title = 'theirs', priority = 'high', status = 'pending', completed_at = null,
        updated_at = now() + interval '1 hour' where id = ${before.id}`,
      )
      t.equal(answer!.status, 200)
      t.match(answer!.body, {
        title: 'theirs',
        description: 'mine',
        priority: 'high',
        status: 'pending',
        completed_at: null,
      })
      t.ok(
        Date.parse(answer!.body.updated_at) > Date.parse(before.updated_at) + 3_500_000,
        'updated_at rises',
      )
      t.strictSame((await call('GET', `/tasks/${before.id}`)).body, answer!.body)
    },
  )

  await t.test('a task that the other transaction completed keeps its completed_at', async (t) => {
    const { body: before } = await call('POST', '/tasks', { title: 'a' })
    const [answer] = await meanwhile(
      [() => call('PUT', `/tasks/${before.id}`, { status: 'completed' })],
      (sql) =>
        sql`update tasks set status = 'completed', completed_at = '2020-01-01T00:00:00Z' where id = ${before.id}`,
    )
    t.match(answer!.body, { status: 'completed', completed_at: '2020-01-01T00:00:00.000Z' })
  })

  await t.test('an empty update returns what the other transaction wrote', async (t) => {
    const { body: before } = await call('POST', '/tasks', { title: 'a' })
    const [answer] = await meanwhile(
      [() => call('PUT', `/tasks/${before.id}`, {})],
      (sql) => sql`update tasks set title = 'theirs' where id = ${before.id}`,
    )
    t.match(answer!.body, { title: 'theirs', updated_at: before.updated_at })
  })

  await t.test(
    'updates, deletes and bulk calls do not find what the other transaction deleted',
    async (t) => {
      const { tasks } = await plan(titles(3))
      const ids: string[] = tasks.map((task: any) => task.id)
      const [update, remove, bulkUpdate, bulkDelete] = await meanwhile(
        [
          () => call('PUT', `/tasks/${ids[0]}`, { title: 'b' }),
          () => call('DELETE', `/tasks/${ids[0]}`),
          () => call('PUT', '/tasks/bulk', { tasks: [{ id: ids[0], title: 'b' }] }),
          () => call('DELETE', '/tasks/bulk', { ids: [ids[0]] }),
        ],
        (sql) => sql`delete from tasks where id = ${ids[0]!}`,
      )
      t.equal(update!.status, 404)
      t.equal(remove!.status, 404)
      t.strictSame(bulkUpdate!.body, { updated: [], not_found: [ids[0]] })
      t.strictSame(bulkDelete!.body, { deleted_count: 0, not_found: [ids[0]] })
      t.equal((await call('GET', `/tasks/${ids[1]}`)).status, 200)
    },
  )

  await t.test('a delete removes what the other transaction changed', async (t) => {
    const { tasks } = await plan(titles(3))
    const ids: string[] = tasks.map((task: any) => task.id)
    const [remove] = await meanwhile(
      [() => call('DELETE', `/tasks/${ids[0]}`)],
      (sql) => sql`update tasks set title = 'theirs' where id = ${ids[0]!}`,
    )
    t.equal(remove!.status, 204)
    const [bulk] = await meanwhile(
      [() => call('DELETE', '/tasks/bulk', { ids: [...ids].reverse() })],
      (sql) => sql`update tasks set title = 'theirs' where id in ${sql(ids)}`,
    )
    t.strictSame(bulk!.body, { deleted_count: 2, not_found: [ids[0]] })
    t.equal((await call('GET', `/tasks/${ids[1]}`)).status, 404)
  })

  await t.test('a bulk update keeps the changes of the other transaction in each task', async (t) => {
    const { tasks } = await plan(titles(20))
    const ids: string[] = tasks.map((task: any) => task.id)
    const [answer] = await meanwhile(
      [() => call('PUT', '/tasks/bulk', { tasks: shuffled(ids).map((id) => ({ id, description: 'mine' })) })],
      (sql) => sql`update tasks set title = 'theirs ' || title where id in ${sql(ids.slice(5, 15))}`,
    )
    const updated = new Map<string, any>(answer!.body.updated.map((task: any) => [task.id, task]))
    t.equal(updated.size, 20)
    ids.forEach((id, n) => {
      t.match(updated.get(id), { title: `${n >= 5 && n < 15 ? 'theirs ' : ''}${n}`, description: 'mine' })
    })
  })

  await t.test('many updates that wait for one row all take effect', async (t) => {
    const { body: before } = await call('POST', '/tasks', { title: 'a' })
    const fields = [{ title: 'b' }, { description: 'c' }, { status: 'completed' }, { priority: 'low' }]
    const answers = await meanwhile(
      fields.map((changes) => () => call('PUT', `/tasks/${before.id}`, changes)),
      (sql) => sql`update tasks set due_date = '2026-01-01T00:00:00Z' where id = ${before.id}`,
    )
    t.equal(new Set(answers.map(({ body }) => body.updated_at)).size, 4)
    const last = answers.map(({ body }) => body).sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1))[0]
    t.match(last, { ...Object.assign({}, ...fields), due_date: '2026-01-01T00:00:00.000Z' })
    t.strictSame((await call('GET', `/tasks/${before.id}`)).body, last)
  })
})

const titles = (count: number, prefix = '') =>
  Array.from({ length: count }, (_, n) => ({ title: `${prefix}${n}` }))

function shuffled<T>(items: T[]): T[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item)
}
