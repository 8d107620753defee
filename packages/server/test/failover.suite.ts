import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { openDatabase } from '../src/db/open.js'
import { until } from './process.js'
import { createApi, freePort, options, skipPostgres, startPostgres, type TestResponse } from './support.js'

/** A connection that changes whether a server is read-only. */
function operate(t: Test, url: string) {
  const operator = postgres(url, { max: 1, onnotice: () => {} })
  t.teardown(() => operator.end())
  return {
    sql: operator,
    async setReadOnly(value: 'on' | 'off') {
      await operator.unsafe(`alter system set default_transaction_read_only = ${value}`)
      await operator`select pg_reload_conf()`
      await until(`read only is ${value}`, async () => {
        const [setting] = await operator`show default_transaction_read_only`
        return setting!.default_transaction_read_only === value
      })
    },
  }
}

t.test('several servers in DATABASE_URL', { skip: skipPostgres }, async (t) => {
  const first = await startPostgres(t)
  const url = await first.newDatabase()
  const second = await startPostgres(t, first)
  const [firstHost, secondHost] = [`127.0.0.1:${first.port}`, `127.0.0.1:${second.port}`]
  const atFirst = operate(t, url)
  const atSecond = operate(t, url.replace(firstHost, secondHost))

  // Nothing listens on the first port, and the next server is a standby.
  const hosts = `127.0.0.1:${await freePort()},${secondHost},${firstHost}`
  const several = `${url.replace(firstHost, hosts)}?target_session_attrs=read-write`
  const database = await openDatabase(several, { ...options, statementTimeout: 500 })
  t.teardown(() => database.close())
  const { app, call } = await createApi(database, { REQUEST_TIMEOUT_MS: '4000' })
  t.teardown(() => app.close())

  const create = () => call('POST', '/tasks', { title: 'a' })
  /** Enough concurrent calls to use every connection of the pool. */
  const createMany = () => Promise.all(Array.from({ length: 30 }, create))
  const statuses = (responses: TestResponse[]) => [...new Set(responses.map(({ status }) => status))]
  const unavailable = (responses: TestResponse[]) =>
    responses.every(({ body }) => body.error_code === 'database_unavailable')
  /** Retries until all calls succeed. Until then, each one returns database_unavailable. */
  const recover = async (t: Test) => {
    let responses: TestResponse[] = []
    await until('every connection is to the primary', async () => {
      responses = await createMany()
      t.ok(unavailable(responses.filter(({ status }) => status !== 201)))
      return responses.every(({ status }) => status === 201)
    })
    return responses
  }

  await t.test('writes go to the primary, at any place in the URL', async (t) => {
    t.equal(database.location, `PostgreSQL at ${hosts}/${url.split('/').at(-1)}`)
    t.strictSame(statuses(await createMany()), [201])
    await database.ping()
  })

  await t.test('after a server becomes read-only, calls use the new primary', async (t) => {
    const [{ id }] = (await createMany()).map(({ body }) => body)
    const [before] = await atFirst.sql`select pg_current_wal_lsn() as lsn`
    await until('the standby has caught up', async () => {
      const [there] = await atSecond.sql`select pg_last_wal_replay_lsn() >= ${before!.lsn}::pg_lsn as all`
      return there!.all
    })
    await atFirst.setReadOnly('on')
    await atSecond.sql`select pg_promote()`
    t.ok(unavailable(await createMany()), 'every connection was to the first')
    await recover(t)
    t.equal((await call('GET', `/tasks/${id}`)).status, 200)
  })

  await t.test(
    'without a primary calls fail at once, and they succeed when there is one again',
    async (t) => {
      await atSecond.setReadOnly('on')
      await createMany()
      const start = performance.now()
      t.ok(unavailable(await createMany()))
      t.ok(performance.now() - start < 2000, 'no call waits')
      await atFirst.setReadOnly('off')
      await recover(t)
    },
  )

  await t.test('connections to an unreachable server are closed', async (t) => {
    await atSecond.setReadOnly('off')
    const backends =
      await atFirst.sql`select pid from pg_stat_activity where application_name = 'aklp-task-server'`
    const [server] = readFileSync(join(first.databaseDir, 'postmaster.pid'), 'utf8').split('\n')
    const stopped = [Number(server), ...backends.map(({ pid }) => pid as number)]
    t.ok(stopped.length > 1)
    for (const pid of stopped) process.kill(pid, 'SIGSTOP')
    try {
      t.ok(unavailable(await createMany()), 'the server never responds')
      await recover(t)
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT')
    }
  })

  await t.test('a start waits until one of the servers is the primary', async () => {
    await atFirst.setReadOnly('on')
    await atSecond.setReadOnly('on')
    const waits: string[] = []
    const opening = openDatabase(several, { ...options, onWait: (location) => waits.push(location) })
    await until('it waits', () => waits.length > 0)
    await atSecond.setReadOnly('off')
    await (await opening).close()
  })
})

t.test(
  'a connection is closed when its server becomes read-only, so that the host name is resolved again',
  { skip: skipPostgres },
  async (t) => {
    const { newDatabase } = await startPostgres(t)
    const url = await newDatabase()
    const { sql, setReadOnly } = operate(t, url)
    const database = await openDatabase(url, options)
    const { app, call } = await createApi(database)
    const backends = async () => {
      const rows = await sql`select pid from pg_stat_activity
      where application_name = 'aklp-task-server' and query like '%tasks%'`
      return rows.map(({ pid }) => pid)
    }
    t.equal((await call('POST', '/tasks', { title: 'a' })).status, 201)
    const before = await backends()
    t.equal(before.length, 1)
    await setReadOnly('on')
    t.match(await call('POST', '/tasks', { title: 'a' }), { body: { error_code: 'database_unavailable' } })
    await until('the connection is closed', async () => (await backends()).length === 0)
    await setReadOnly('off')
    t.equal((await call('POST', '/tasks', { title: 'a' })).status, 201)
    await app.close()
    await database.close()
  },
)

t.test('the service is not ready while its database is read-only', { skip: skipPostgres }, async (t) => {
  const { newDatabase } = await startPostgres(t)
  const url = await newDatabase()
  const { sql, setReadOnly } = operate(t, url)
  for (const poolSize of [10, 1]) {
    const database = await openDatabase(url, { ...options, poolSize })
    const { app, call } = await createApi(database)
    const probe = async (path: string) => {
      const { statusCode, body } = await app.inject(path)
      return { status: statusCode, body: body.startsWith('{') ? JSON.parse(body) : body }
    }
    const expectReady = async () => {
      t.same(await probe('/readyz'), { status: 200, body: 'ok' })
      t.match(await probe('/health'), { status: 200, body: { status: 'healthy', database: 'healthy' } })
      t.equal((await call('POST', '/tasks', { title: 'a' })).status, 201)
    }
    const expectNotReady = async () => {
      const detail = /^The database is read-only, so writes fail\./
      const problem = { status: 503, body: { error_code: 'database_unavailable', detail } }
      t.match(await probe('/readyz'), problem)
      t.match(await probe('/readyz'), problem, 'still')
      t.match(await probe('/health'), { status: 200, body: { status: 'degraded', database: 'unhealthy' } })
      t.equal((await probe('/livez')).status, 200)
      t.equal((await call('POST', '/tasks', { title: 'a' })).status, 503)
      t.equal((await call('GET', '/tasks')).status, 200)
    }
    await expectReady()
    await setReadOnly('on')
    await expectNotReady()
    await setReadOnly('off')
    await expectReady()

    // Sessions that exist keep the setting that they began with.
    const reconnect = async (change: string) => {
      await sql.unsafe(`alter database ${url.split('/').at(-1)} ${change}`)
      await sql`select pg_terminate_backend(pid, 5000) from pg_stat_activity
                where application_name = 'aklp-task-server'`
    }
    await reconnect('set default_transaction_read_only = on')
    await until('the setting applies', async () =>
      (await probe('/readyz')).body.detail?.includes('read-only'),
    )
    await expectNotReady()
    await reconnect('reset default_transaction_read_only')
    await until('the setting is gone', async () => (await probe('/readyz')).status === 200)
    await expectReady()
    await app.close()
    await database.close()
  }
})

t.test('an unknown target_session_attrs is reported', async (t) => {
  await t.rejects(openDatabase('postgres://u:secret@h1,h2/d?target_session_attrs=any', options), {
    message: 'DATABASE_URL: target_session_attrs any is not supported',
  })
})
