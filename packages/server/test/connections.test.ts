import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, copyFileSync, readFileSync, statSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { type ConnectOptions, connect, type Sql } from '../src/db/driver.js'
import { openLegacy } from '../src/transfer/legacy.js'
import { newFolder, until } from './process.js'
import { freePort, skipPostgres, startPostgres } from './support.js'

function open(t: Test, url: string, options: ConnectOptions = {}): Sql {
  const sql = connect(url, {
    max: 1,
    fetch_types: false,
    onnotice: () => {},
    backoff: () => 0.05,
    ...options,
  })
  t.teardown(() => sql.end({ timeout: 0 }))
  return sql
}

/** Starts a TCP server. Returns its URL and the number of connections. */
async function listen(t: Test, accept: (socket: Socket) => void, port = 0) {
  const seen = { url: '', connections: 0 }
  const sockets = new Set<Socket>()
  const listener = createServer((socket) => {
    seen.connections++
    sockets.add(socket.on('error', () => {}))
    accept(socket)
  }).listen(port, '127.0.0.1')
  await once(listener, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  seen.url = `postgres://u:p@127.0.0.1:${(listener.address() as AddressInfo).port}/d`
  return seen
}

t.test('a statement fails when the server closes its connection during startup', async (t) => {
  const server = await listen(t, (socket) => socket.once('data', () => socket.end()))
  const sql = open(t, server.url)
  await t.rejects(sql`select 1`, { code: 'CONNECTION_CLOSED' })
  t.equal(server.connections, 1, 'it is not tried again')
})

t.test('a pool that was closed while it waits to reconnect opens no connection', async (t) => {
  const port = await freePort()
  const url = `postgres://u:p@127.0.0.1:${port}/d`
  const sql = open(t, url, { backoff: () => 0.3 })
  await t.rejects(sql`select 1`, { code: 'ECONNREFUSED' })
  const waiting = t.rejects(sql`select 1`, { code: 'CONNECTION_DESTROYED' })
  await sleep(50)
  await sql.end({ timeout: 0 })
  await waiting
  let received = 0
  await listen(t, (socket) => socket.on('data', () => received++), port)
  await sleep(500)
  t.equal(received, 0)
})

t.test('TLS verifies the certificate against the host in the URL', async (t) => {
  let hello = ''
  const server = await listen(t, (socket) => {
    socket.once('data', () => {
      socket.write('S')
      socket.once('data', (data) => {
        hello = data.toString('latin1')
        socket.destroy()
      })
    })
  })
  await t.rejects(open(t, `${server.url.replace('127.0.0.1', 'localhost')}?sslmode=verify-full`)`select 1`)
  t.match(hello, 'localhost')
})

t.test('a queue that is never empty stays short', async (t) => {
  const source = pathToFileURL(join(import.meta.dirname, '../node_modules/postgres/src/queue.js')).href
  const { default: Queue } = await import(source)
  const [queue, connection] = [Queue(), {}]
  queue.push(connection)
  const start = performance.now()
  for (let n = 0; n < 100_000; n++) {
    queue.push({})
    queue.shift()
    queue.remove(connection)
  }
  t.ok(performance.now() - start < 1000)
})

t.test('connections to PostgreSQL', { skip: skipPostgres }, async (t) => {
  const { databaseDir, newDatabase, port } = await startPostgres(t)
  const url = await newDatabase()
  const other = postgres(url, { max: 1, onnotice: () => {} })
  t.teardown(() => other.end())
  const terminate = (pid: number) => other`select pg_terminate_backend(${pid})`

  await t.test('a transaction whose connection closed runs nothing on the next connection', async (t) => {
    const sql = open(t, url)
    await other`create table written (by text)`
    let late: Promise<unknown> | undefined
    await t.rejects(
      sql.begin(async (tx) => {
        const [{ pid }] = (await tx`select pg_backend_pid() as pid`) as unknown as [{ pid: number }]
        late = (async () => {
          await terminate(pid)
          await until('the pool is connected again', () =>
            sql`select 1`.then(
              () => true,
              () => false,
            ),
          )
          await tx`insert into written values ('the transaction')`
        })()
        await late
      }),
      { code: 'CONNECTION_CLOSED' },
    )
    await t.rejects(late!, { code: 'CONNECTION_CLOSED' })
    t.strictSame([...(await other`select by from written`)], [])
  })

  await t.test(
    'statements sent while their connection closes all fail, and the next one succeeds',
    async (t) => {
      const sql = open(t, url, { max: 2 })
      for (let round = 0; round < 20; round++) {
        const each = () => Promise.all([1, 2].map(() => sql`select pg_backend_pid() as pid, pg_sleep(0.001)`))
        // On a busy machine, a connection of the round before closes only now.
        const pids = await each().catch(each)
        let closing = true
        const load = Array.from({ length: 20 }, async () => {
          while (closing) await sql.unsafe('select 1 where $1', ['true'], { prepare: true }).catch(() => {})
        })
        await Promise.all(pids.map(([row]) => terminate(row!.pid)))
        await sleep(5)
        closing = false
        await Promise.all(load)
      }
      const one = () => sql`select 1 as one`
      t.strictSame([...(await one().catch(one))], [{ one: 1 }])
    },
  )

  await t.test('an import fails when the connection it reads from closes', async (t) => {
    const old = await newDatabase()
    const client = open(t, old)
    await client`create table task_batches (id uuid, session_id uuid, reason text, created_at timestamptz)`
    await client`create table tasks (id uuid, session_id uuid, batch_id uuid, title text, description text, status text,
      priority text, due_date timestamptz, completed_at timestamptz, created_at timestamptz, updated_at timestamptz)`
    await client`insert into task_batches select gen_random_uuid() from generate_series(1, 1200)`
    const source = await openLegacy(old, 5000)
    t.teardown(() => source.close())
    let read = 0
    const reading = (async () => {
      for await (const _ of source.rows) {
        if (++read !== 500) continue
        await other`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = ${old.split('/').at(-1)!} and application_name = 'aklp-task-server'`
        await sleep(50)
      }
    })()
    await t.rejects(reading, { message: 'the connection to the old database was closed' })
    t.equal(read, 500)
  })

  await t.test('TLS', async (t) => {
    const folder = newFolder(t)
    const make = (name: string) => join(folder, name)
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-days',
        '2',
        ...subject,
        '-keyout',
        make('server.key'),
        '-out',
        make('server.crt'),
      ],
      { stdio: 'ignore' },
    )
    const { uid, gid } = statSync(databaseDir)
    for (const name of ['server.key', 'server.crt']) {
      copyFileSync(make(name), join(databaseDir, name))
      chownSync(join(databaseDir, name), uid, gid)
      chmodSync(join(databaseDir, name), 0o600)
    }
    await other`alter system set ssl = on`
    await other`select pg_reload_conf()`
    await until('the server speaks TLS', async () => (await other`show ssl`)[0]!.ssl === 'on')
    const isEncrypted = async (sql: Sql) =>
      (await sql`select ssl, pid from pg_stat_ssl where pid = pg_backend_pid()`)[0] as {
        ssl: boolean
        pid: number
      }

    await t.test('sslmode=require encrypts', async (t) => {
      t.ok((await isEncrypted(open(t, `${url}?sslmode=require`))).ssl)
    })
    await t.test('with several hosts, too', async (t) => {
      const hosts = `127.0.0.1:${await freePort()},127.0.0.1:${port}`
      const several = url.replace(`127.0.0.1:${port}`, hosts)
      t.ok((await isEncrypted(open(t, `${several}?sslmode=require&target_session_attrs=primary`))).ssl)
    })
    await t.test('sslmode=verify-full accepts only a trusted certificate', async (t) => {
      const local = url.replace('127.0.0.1', 'localhost')
      await t.rejects(open(t, `${local}?sslmode=verify-full`)`select 1`, { code: /SELF_SIGNED_CERT/ })
      const ssl = { ca: readFileSync(make('server.crt')) }
      t.ok((await isEncrypted(open(t, local, { ssl }))).ssl)
    })
    await t.test('a connection without a response for its timeout is closed', async (t) => {
      const sql = open(t, `${url}?sslmode=require`, { responseTimeout: 500 })
      const { pid } = await isEncrypted(sql)
      process.kill(pid, 'SIGSTOP')
      try {
        const start = performance.now()
        const all = await Promise.allSettled([sql`select 1`, sql`select 2`])
        for (const { reason } of all as PromiseRejectedResult[])
          t.match(reason, { code: 'CONNECTION_CLOSED' })
        t.ok(performance.now() - start < 2000)
        t.not((await isEncrypted(sql)).pid, pid, 'the next statement has a new connection')
      } finally {
        process.kill(pid, 'SIGCONT')
      }
    })
    await t.test('a statement that takes shorter is left alone, and so is an idle connection', async (t) => {
      const sql = open(t, `${url}?sslmode=require`, { responseTimeout: 600 })
      const { pid } = await isEncrypted(sql)
      await sql`select pg_sleep(0.4)`
      await sleep(1000)
      t.equal((await isEncrypted(sql)).pid, pid)
    })
  })
})
