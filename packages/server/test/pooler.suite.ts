import { execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { openDatabase } from '../src/db/open.js'
import { newFolder, until } from './process.js'
import { createApi, freePort, options, skipPostgres, startPostgres } from './support.js'

function pgbouncerMissing(): string | undefined {
  try {
    execFileSync('pgbouncer', ['--version'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'PgBouncer is not installed (apt-get install pgbouncer)'
  }
}

const skip = skipPostgres || pgbouncerMissing() || false

/** PgBouncer with two connections to the server, which callers have for a transaction at a time; its port. */
async function startPooler(t: Test, server: number): Promise<number> {
  const port = await freePort()
  const folder = newFolder(t)
  chmodSync(folder, 0o755)
  const settings = join(folder, 'pgbouncer.ini')
  writeFileSync(
    settings,
    `[databases]
    * = host=127.0.0.1 port=${server} user=postgres password=password
    [pgbouncer]
    listen_addr = 127.0.0.1
    listen_port = ${port}
    unix_socket_dir =
    auth_type = any
    pool_mode = transaction
    default_pool_size = 2
    ignore_startup_parameters = statement_timeout,lock_timeout
    `,
  )
  // It does not run as root.
  const args = process.getuid?.() === 0 ? ['-u', 'postgres', settings] : [settings]
  const child = spawn('pgbouncer', args, { stdio: 'ignore' })
  t.teardown(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  await until('PgBouncer listens', () => {
    const socket = createConnection(port, '127.0.0.1')
    return new Promise((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    }).finally(() => socket.destroy()) as Promise<boolean>
  })
  return port
}

t.test('behind PgBouncer in transaction mode', { skip }, async (t) => {
  const { newDatabase, port } = await startPostgres(t)
  const direct = await newDatabase()
  const name = direct.split('/').at(-1)!
  const pooler = await startPooler(t, port)
  const pooled = `${direct.replace(`:${port}/`, `:${pooler}/`)}?prepare=false`
  const other = postgres(direct, { max: 1, onnotice: () => {} })
  t.teardown(() => other.end())
  await other`alter role postgres in database ${other(name)} set lock_timeout = '300ms'`

  await t.test('servers that start at once create the schema once and release the lock', async (t) => {
    const opened = await Promise.all(Array.from({ length: 5 }, () => openDatabase(pooled, options)))
    await Promise.all(opened.map((database) => database.close()))
    t.strictSame([...(await other`select from pg_locks where locktype = 'advisory'`)], [])
  })

  const database = await openDatabase(pooled, options)
  t.teardown(() => database.close())
  const { app, call, plan } = await createApi(database)
  t.teardown(() => app.close())
  const base = await app.listen({ port: 0, host: '127.0.0.1' })

  await t.test('every kind of call works with more concurrent calls than server connections', async (t) => {
    await Promise.all(
      Array.from({ length: 12 }, async () => {
        const session_id = randomUUID()
        const { id: batch_id, tasks } = await plan([{ title: 'a' }, { title: 'b' }], session_id)
        const [{ id }] = tasks
        t.equal((await call('PUT', `/tasks/${id}`, { status: 'completed' })).body.status, 'completed')
        const bulk = { tasks: tasks.map(({ id }: { id: string }) => ({ id, priority: 'high' })) }
        t.equal((await call('PUT', '/tasks/bulk', bulk)).body.updated.length, 2)
        const once = { headers: { 'idempotency-key': `"${session_id}"` } }
        const created = await call('POST', '/tasks', { title: 'c', session_id }, once)
        const repeated = await call('POST', '/tasks', { title: 'c', session_id }, once)
        t.strictSame(repeated.body, created.body)
        t.equal((await call('GET', `/tasks?session_id=${session_id}&sort_by=priority`)).body.total, 3)
        t.equal((await call('GET', `/batches/latest?session_id=${session_id}`)).body.id, batch_id)
        t.equal((await call('DELETE', '/tasks/bulk', { ids: [id] })).body.deleted_count, 1)
      }),
    )
    await database.ping()
  })

  await t.test('events are followed, and those who wait hold no connection', async (t) => {
    const { next } = (await call('GET', '/events?limit=500')).body
    const waiting = Array.from({ length: 50 }, () => call('GET', `/events?after=${next}&wait=30`))
    const stream = await fetch(`${base}/api/v1/events/stream`)
    const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = (await reader.read()).value!
    const { body: task } = await call('POST', '/tasks', { title: 'a' })
    for (const { body } of await Promise.all(waiting)) t.ok(body.items.length > 0)
    while (!text.includes(task.id)) text += (await reader.read()).value
    await reader.cancel()
    t.match(text, /^event: task.created$/m)
  })

  await t.test('the timeouts of the role apply', async (t) => {
    const { id } = (await call('POST', '/tasks', { title: 'a' })).body
    await other.begin(async (holder) => {
      await holder`select from tasks where id = ${id} for update`
      t.equal((await call('PUT', `/tasks/${id}`, { title: 'b' })).status, 503)
    })
    t.equal((await call('PUT', `/tasks/${id}`, { title: 'b' })).status, 200)
  })
})
