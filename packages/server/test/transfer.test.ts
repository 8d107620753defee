import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Database, joined } from '../src/db/database.js'
import { exportTo } from '../src/transfer/export.js'
import { showProgress } from '../src/transfer/progress.js'
import { newFolder, startServer } from './process.js'
import { type Api, skipPostgres, startPostgres } from './support.js'
import { contents, importInto, listener, serve } from './transfer.js'

/** Returns the database, with a function that is called before the nth statement of a transaction. */
const beforeStatement = ({ database }: Api, n: number, callback: () => void | Promise<void>): Database => ({
  ...database,
  transaction: (work) => {
    let count = 0
    return database.transaction(({ run }) =>
      work(
        joined(async (...statement) => {
          if (++count === n) await callback()
          return run(...statement)
        }),
      ),
    )
  },
})

const embedded = await serve(t, 'memory://')
t.beforeEach(embedded.clear)

t.test('an import is one event for each batch, and for each task without one', async (t) => {
  const { call, plan, database, clear } = embedded
  const batch = await plan([{ title: 'a' }, { title: 'b' }])
  const { body: single } = await call('POST', '/tasks', { title: 'single', result: 'r' })
  const file = join(newFolder(t), 'backup.jsonl')
  await exportTo(database, { to: file }, listener())
  const events = async () =>
    (await call('GET', '/events')).body.items.map(({ type, batch_id, task_id, actor }: any) => ({
      type,
      batch_id,
      task_id,
      actor,
    }))
  const actor = { caller: null, worker: null }

  await clear()
  await importInto(embedded, file)
  t.same(await events(), [
    { type: 'batch.created', batch_id: batch.id, task_id: null, actor },
    { type: 'task.created', batch_id: null, task_id: single.id, actor },
  ])
  const [, second] = batch.tasks
  await call('DELETE', `/tasks/${second.id}`)
  const before = await events()
  await importInto(embedded, file)
  t.same((await events()).slice(before.length), [
    { type: 'batch.extended', batch_id: batch.id, task_id: null, actor },
  ])
  const { items } = (await call('GET', '/events?types=batch.extended')).body
  t.same(items[0].changes, [{ field: 'tasks', from: null, to: [second.id] }])
})

t.test('an export of one session has its rows and no others', async (t) => {
  const { call, plan, database, clear } = embedded
  const { id, session_id } = await plan([
    { key: 'a', title: 'a' },
    { title: 'b', blocked_by: ['a'] },
  ])
  const { body: single } = await call('POST', '/tasks', { title: 'without a batch', session_id })
  await plan([{ title: 'of another session' }])
  await call('POST', '/tasks', { title: 'without a session' })
  const file = join(newFolder(t), 'session.jsonl')
  t.same(await exportTo(database, { to: file, session: session_id }, listener()), { batches: 1, tasks: 3 })
  const before = await contents(embedded)
  await clear()
  t.match(await importInto(embedded, file), { complete: true, batches: { copied: 1 }, tasks: { copied: 3 } })
  const after = await contents(embedded)
  t.same(
    after.tasks,
    before.tasks.filter((task) => task.session_id === session_id),
  )
  t.same(
    after.batches.map((batch) => batch.id),
    [id],
  )
  t.ok(after.tasks.some((task) => task.id === single.id))
  t.same(await exportTo(database, { to: file, session: randomUUID() }, listener()), { batches: 0, tasks: 0 })
})

t.test('export and import with PostgreSQL', { skip: skipPostgres }, async (t) => {
  const { newDatabase } = await startPostgres(t)
  const onPostgres = await serve(t, await newDatabase())
  t.beforeEach(onPostgres.clear)

  await t.test(
    'an export and an import copy every field from the embedded database to PostgreSQL',
    async (t) => {
      const { call, plan, database } = embedded
      const { tasks } = await plan([
        { title: 'a', description: 'a\u2028b\n"\\ 한 😀', priority: 'high', due_date: '2025-12-31' },
        { key: 'b', title: 'b', status: 'completed', result: 'r', metadata: { a: [1, null] } },
        { key: 'c', title: 'c', blocked_by: ['b', 'd'], not_before: '2099-01-01' },
        { key: 'd', title: 'd', status: 'completed' },
      ])
      await call('POST', `/tasks/${tasks[2].id}/claim`, { worker: 'one' })
      // A task that was begun can have an open blocker.
      await call('PUT', `/tasks/${tasks[3].id}`, { status: 'pending' })
      await call('PUT', `/tasks/${tasks[0].id}`, { status: 'in_progress' })
      await call('POST', '/tasks', { title: 'single', due_date: '0001-01-01' })
      for (let n = 0; n < 3; n++) await plan(Array.from({ length: 500 }, (_, i) => ({ title: `${i}` })))

      const folder = newFolder(t)
      const file = join(folder, 'backup.jsonl')
      const out = listener()
      t.same(await exportTo(database, { to: file }, out), { batches: 4, tasks: 1505 })
      t.match(out.text, /^tasks: 1505 exported from /m)
      t.notOk(existsSync(`${file}.unfinished`))

      t.match(await importInto(onPostgres, file), {
        batches: { copied: 4, known: 0, skipped: 0 },
        tasks: { copied: 1505, known: 0, skipped: 0 },
        repaired: {},
        complete: true,
      })
      const copied = await contents(onPostgres)
      t.equal(copied.tasks.length, 1505)
      // Nobody knows the token of the copied lease: its worker resumes the task.
      const withoutTokens = ({ tasks, ...rest }: Awaited<ReturnType<typeof contents>>) => ({
        ...rest,
        tasks: tasks.map(({ lease_token, ...task }) => ({ ...task, has_lease: lease_token !== null })),
      })
      t.same(withoutTokens(copied), withoutTokens(await contents(embedded)))

      t.match(await importInto(onPostgres, file), {
        batches: { copied: 0, known: 4, skipped: 0 },
        tasks: { copied: 0, known: 1505, skipped: 0 },
        complete: true,
      })
      const again = join(folder, 'again.jsonl')
      await exportTo(onPostgres.database, { to: again }, listener())
      t.equal(readFileSync(again, 'utf8'), readFileSync(file, 'utf8'))

      const { session_id, id } = tasks[2]
      const resume = { worker: 'one', session_id, resume: true }
      const { task } = (await onPostgres.call('POST', '/tasks/claim', resume)).body
      t.match(task, { id, attempts: 1, blocked_by: [tasks[1].id, tasks[3].id] })
    },
  )

  await t.test('an export is a snapshot and excludes rows that are written while it runs', async (t) => {
    await onPostgres.plan([{ title: 'a' }])
    const meanwhile = beforeStatement(onPostgres, 3, async () => {
      await onPostgres.plan([{ title: 'b' }])
    })
    const file = join(newFolder(t), 'backup.jsonl')
    t.same(await exportTo(meanwhile, { to: file }, listener()), { batches: 1, tasks: 1 })
    t.equal(readFileSync(file, 'utf8').trimEnd().split('\n').length, 3)
    t.equal((await contents(onPostgres)).tasks.length, 2)
  })
})

t.test('import from a damaged file', async (t) => {
  const api = embedded
  const folder = newFolder(t)
  await api.plan([{ title: 'a' }, { title: 'b' }])
  const backup = join(folder, 'backup.jsonl')
  await exportTo(api.database, { to: backup }, listener())
  const lines = readFileSync(backup, 'utf8').trimEnd().split('\n')
  t.equal(lines.length, 4)
  const file = (content: string | Buffer) => {
    const name = join(folder, `${randomUUID()}.jsonl`)
    writeFileSync(name, content)
    return name
  }

  await t.test('valid lines are imported, the others are skipped and reported', async (t) => {
    const cut = await importInto(api, file(lines.join('\n').slice(0, -10)))
    t.match(cut, { batches: { copied: 1 }, tasks: { copied: 1 }, complete: false })
    t.match(cut.printed, 'skipped: line 4: expected {"batch":{…}} or {"task":{…}}\n')
    t.match(cut.printed, 'tasks: found 1 rows, expected 2\n')

    const [header, batch, a, b] = lines as [string, string, string, string]
    const broken = [
      header,
      batch,
      a.replace('"title":"a"', '"title":"\\u0000"'),
      b.replace('"title"', '"name":1,"title"'),
      '{"task":null}',
      '[]',
    ]
    const { printed, tasks } = await importInto(api, file(broken.join('\n')))
    t.match(tasks, { copied: 0, skipped: 2 })
    t.match(printed, `skipped: task ${JSON.parse(a).task.id}: title must not contain NUL`)
    t.match(printed, `skipped: task ${JSON.parse(b).task.id}: name: unknown field`)
    t.match(printed, /skipped: line 5.+\nskipped: line 6/)

    const windows = await importInto(api, file(lines.join('\r\n')))
    t.match(windows, { tasks: { copied: 1, known: 1 }, complete: true })
  })

  await t.test('a row of an older export may lack fields that are optional when creating', async (t) => {
    await api.clear()
    const row = JSON.parse(lines[2]!).task
    const { session_id, description, priority, due_date, status, ...older } = row
    // What the release before did not have.
    for (const name of ['key', 'blocked_by', 'not_before', 'attempts', 'claimed_by', 'lease_expires_at'])
      delete older[name]
    for (const name of ['result', 'metadata']) delete older[name]
    const { metadata, ...batch } = JSON.parse(lines[1]!).batch
    t.same(Object.keys(older).sort(), [
      'batch_id',
      'completed_at',
      'created_at',
      'id',
      'position',
      'title',
      'updated_at',
    ])
    const name = file(
      [lines[0]!.replace(/2/, '1'), JSON.stringify({ batch }), JSON.stringify({ task: older })].join('\n'),
    )
    t.match(await importInto(api, name), { tasks: { copied: 1, skipped: 0 }, complete: true })
    t.same((await contents(api)).tasks[0].status, 'pending')
    t.match((await api.call('GET', `/tasks/${row.id}`)).body, {
      priority: null,
      key: null,
      blocked_by: [],
      is_ready: true,
      attempts: 0,
      metadata: {},
    })
    await api.clear()
    t.match(await importInto(api, backup), { tasks: { copied: 2 } })
  })

  await t.test('a file that is not an export is rejected', async (t) => {
    for (const [content, why] of [
      ['', 'it is not an export of this service'],
      ['{"id":1}\n', 'it is not an export of this service'],
      ['[]', 'it is not an export of this service'],
      ['null', 'it is not an export of this service'],
      [lines.slice(1).join('\n'), 'it is not an export of this service'],
      ['{"aklp_task_export":1}', 'it is not an export of this service'],
      ['{"aklp_task_export":2,"batches":0,"tasks":0}', 'it was written by a newer server'],
      [Buffer.from(`\ufeff${lines.join('\n')}`, 'utf16le'), 'it is not UTF-8 text'],
      ['a'.repeat(2_000_000), 'a line is longer than in any export'],
    ] as const) {
      const name = file(content as string)
      await t.rejects(importInto(api, name), { message: new RegExp(`^cannot read ${name}: ${why}`) })
    }
    const none = join(folder, 'none')
    await t.rejects(importInto(api, none), { message: new RegExp(`^cannot read ${none}: ENOENT`) })
  })

  await t.test('a failed export keeps the earlier file and leaves no incomplete one', async (t) => {
    const earlier = readFileSync(backup, 'utf8')
    await api.plan([{ title: 'c' }])
    // The isolation level, the counts and the batches are read, but no tasks.
    const failing = beforeStatement(api, 4, () => {
      throw new Error('the database went away')
    })
    await t.rejects(exportTo(failing, { to: backup }, listener()), {
      message: 'the export is not complete: the database went away',
    })
    t.equal(readFileSync(backup, 'utf8'), earlier)
    t.notOk(existsSync(`${backup}.unfinished`))
    await t.rejects(exportTo(api.database, { to: join(folder, 'none', 'backup') }, listener()), {
      message: /^the export is not complete: ENOENT/,
    })
  })
})

t.test(
  'the import and export commands copy data, and exit with 1 if rows are skipped or the folder is in use',
  async (t) => {
    const folder = newFolder(t)
    const run = async (...args: string[]) => {
      const { output, ended } = startServer(t, { DATABASE_URL: `file:${folder}/data` }, { folder, args })
      return { ...(await ended), ...output }
    }
    await embedded.plan([{ title: 'a' }, { title: 'b' }])
    const file = join(folder, 'backup.jsonl')
    await exportTo(embedded.database, { to: file }, listener())
    const backup = readFileSync(file, 'utf8')

    const imported = await run('import', '--from', file)
    t.match(imported, { code: 0, stdout: '' })
    t.match(
      imported.stderr,
      /^1 of 3 rows\n3 of 3 rows\nbatches: 1 copied to .+\ntasks: 2 copied to .+, 0 skipped\n$/,
    )
    t.match(await run('export', '--to', '-'), {
      code: 0,
      stdout: backup,
      stderr: /^1 of 3 rows\n3 of 3 rows\nbatches: 1 exp/,
    })

    writeFileSync(file, backup.slice(0, -10))
    const cut = await run('import', '--from', file, '--dry-run')
    t.match(cut, { code: 1, stdout: '', stderr: /line 4.+\n(.+\n)+Some rows were not copied/ })

    const holder = startServer(t, { DATABASE_URL: `file:${folder}/data` })
    await holder.listening()
    const failed = await Promise.all([run('import', '--from', file), run('export', '--to', file)])
    const inUse = new RegExp(
      `^aklp-task-server: the database folder .+ is in use by process ${holder.child.pid}\\. .+\\n$`,
    )
    for (const { code, stderr } of failed) t.match({ code, stderr }, { code: 1, stderr: inUse })
    t.equal(readFileSync(file, 'utf8'), backup.slice(0, -10))
  },
)

t.test('progress is printed once per ten percent', async (t) => {
  const out = listener()
  const progress = showProgress(1000, out)
  for (let n = 0; n < 100; n++) progress.advance(10)
  progress.print('skipped: a')
  const lines = out.text.trimEnd().split('\n')
  t.same(lines.slice(-2), ['1000 of 1000 rows', 'skipped: a'])
  t.equal(lines.length, 11)
})
