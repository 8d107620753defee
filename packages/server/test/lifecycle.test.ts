import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { newFolder, send, startServer, until } from './process.js'
import { freePort, skipPostgres, startPostgres } from './support.js'

// The tests on the embedded database share a folder, one after the other.
const folder = newFolder(t)

t.test('a signal stops an idle server at once, even if clients are connected', async (t) => {
  const server = startServer(t, { SHUTDOWN_TIMEOUT_MS: '20000' }, { folder })
  const url = await server.listening()
  await send(url, 'GET', '/health')
  // Browsers open connections in advance and send nothing on them.
  const silent = connect(Number(new URL(url).port), '127.0.0.1')
  await new Promise((resolve) => silent.once('connect', resolve))
  await send(url, 'GET', '/health')
  const start = performance.now()
  server.child.kill('SIGTERM')
  t.same(await server.ended, { code: 0, signal: null })
  t.ok(performance.now() - start < 10_000, 'without waiting for SHUTDOWN_TIMEOUT_MS')
  silent.destroy()
  t.equal(server.output.stderr, '')
})

t.test('a server whose stdout is closed keeps working and stops on SIGTERM', async (t) => {
  const server = startServer(t, { DATABASE_URL: 'memory://' })
  const url = await server.listening()
  const other = startServer(t, { DATABASE_URL: 'memory://' })
  await other.listening()
  server.child.stdout!.destroy()
  for (let nth = 0; nth < 100; nth++) t.equal((await send(url, 'GET', '/health')).status, 200)
  server.child.kill('SIGTERM')
  t.strictSame(await server.ended, { code: 0, signal: null })

  // The first line that this server cannot write is the last of its log.
  other.child.stdout!.destroy()
  other.child.kill('SIGTERM')
  t.strictSame(await other.ended, { code: 0, signal: null })
})

t.test('a server that waits for its database stops on SIGTERM', async (t) => {
  const server = startServer(t, { DATABASE_URL: `postgres://nobody@127.0.0.1:${await freePort()}/nowhere` })
  await until('it waits', () => server.output.stdout.includes('waiting for'))
  server.child.kill('SIGTERM')
  t.strictSame(await server.ended, { code: 0, signal: null })
})

t.test('after SIGTERM readiness fails, and requests succeed until SHUTDOWN_DELAY_MS is over', async (t) => {
  const server = startServer(t, { SHUTDOWN_DELAY_MS: '1500' }, { folder })
  const url = await server.listening()
  const ready = async () => (await fetch(`${url}/readyz`)).status
  t.equal(await ready(), 200)
  const start = performance.now()
  server.child.kill('SIGTERM')
  await until('it is not ready', async () => (await ready()) === 503)
  const answer = await send(url, 'GET', '/readyz')
  t.match(answer.body, { status: 503, error_code: 'shutting_down' })
  t.equal(answer.headers.get('connection'), 'close', 'no connection stays open at the end')
  t.equal((await send(url, 'POST', '/api/v1/tasks', { title: 'a' })).status, 201)
  t.equal((await fetch(`${url}/livez`)).status, 200)
  t.same(await server.ended, { code: 0, signal: null })
  t.ok(performance.now() - start > 1400)
})

t.test('SIGINT does not wait for SHUTDOWN_DELAY_MS', async (t) => {
  const server = startServer(t, { SHUTDOWN_DELAY_MS: '60000' }, { folder })
  await server.listening()
  server.child.kill('SIGINT')
  t.same(await server.ended, { code: 0, signal: null })
})

t.test('with PostgreSQL', { skip: skipPostgres }, async (t) => {
  const { cluster, newDatabase } = await startPostgres(t)

  /** A server with a task whose row is locked: an update of it stays in flight until `release` is called. */
  const withUpdateInFlight = async (t: Test, settings: Record<string, string>) => {
    const database = await newDatabase()
    const server = startServer(t, { DATABASE_URL: database, ...settings })
    const url = await server.listening()
    const { body: task } = await send(url, 'POST', '/api/v1/tasks', { title: 'before' })
    const other = postgres(database, { max: 2, onnotice: () => {} })
    let release = () => {}
    let holding: Promise<unknown> = Promise.resolve()
    await new Promise<void>((held, failed) => {
      holding = other.begin(async (sql) => {
        await sql`select from tasks where id = ${task.id} for update`
        await new Promise<void>((resolve) => {
          release = resolve
          held()
        })
      })
      holding.catch(failed)
    })
    t.teardown(async () => {
      release()
      await holding
      await other.end()
    })
    const update = send(url, 'PUT', `/api/v1/tasks/${task.id}`, { title: 'after' })
    update.catch(() => {})
    const waiting = async () =>
      (
        await other`select from pg_stat_activity where application_name = 'aklp-task-server'
          and datname = current_database() and wait_event_type = 'Lock'`
      ).length
    await until('the update waits for the row', async () => (await waiting()) > 0)
    const title = async () => (await other`select title from tasks where id = ${task.id}`)[0]!.title
    const connections = async () =>
      (
        await other`select from pg_stat_activity where application_name = 'aklp-task-server'
          and datname = current_database()`
      ).length
    return { server, url, update, release, title, connections }
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    await t.test(
      `${signal} finishes requests in flight, accepts no new ones and closes the database`,
      async (t) => {
        const { server, url, update, release, title, connections } = await withUpdateInFlight(t, {
          SHUTDOWN_TIMEOUT_MS: '20000',
          REQUEST_TIMEOUT_MS: '30000',
        })
        server.child.kill(signal)
        await until(
          'new connections are refused',
          () =>
            new Promise<boolean>((resolve) => {
              const socket = connect(Number(new URL(url).port), '127.0.0.1')
              socket.once('connect', () => resolve(false)).once('error', () => resolve(true))
              socket.once('connect', () => socket.destroy())
            }),
        )
        t.equal(server.child.exitCode, null, 'it does not stop before the response')
        release()
        const { status, body } = await update
        t.equal(status, 200)
        t.equal(body.title, 'after')
        const answered = performance.now()
        t.same(await server.ended, { code: 0, signal: null })
        t.ok(
          performance.now() - answered < 5000,
          'it stops after the response, even if the client keeps its connection',
        )
        t.equal(await title(), 'after')
        t.equal(await connections(), 0)
        t.equal(server.output.stderr, '')
      },
    )
  }

  await t.test('a server stops after SHUTDOWN_TIMEOUT_MS even if a request has not ended', async (t) => {
    const { server, update } = await withUpdateInFlight(t, {
      SHUTDOWN_TIMEOUT_MS: '500',
      REQUEST_TIMEOUT_MS: '60000',
      STATEMENT_TIMEOUT_MS: '60000',
    })
    const start = performance.now()
    server.child.kill('SIGTERM')
    await t.rejects(update)
    t.same(await server.ended, { code: 0, signal: null })
    t.ok(performance.now() - start < 4000, 'it does not wait for the statement either')
  })

  await t.test('a second signal stops the server at once', async (t) => {
    const { server } = await withUpdateInFlight(t, {
      SHUTDOWN_TIMEOUT_MS: '60000',
      REQUEST_TIMEOUT_MS: '60000',
    })
    server.child.kill('SIGINT')
    await until('it is stopping', () => server.output.stdout.includes('SIGINT: stopping'))
    server.child.kill('SIGINT')
    t.same(await server.ended, { code: 1, signal: null })
  })

  await t.test('a statement over STATEMENT_TIMEOUT_MS returns 503', async (t) => {
    const { update } = await withUpdateInFlight(t, { STATEMENT_TIMEOUT_MS: '1500' })
    const { status, headers, body } = await update
    t.equal(status, 503)
    t.match(headers.get('retry-after'), /^\d+$/)
    t.equal(body.error_code, 'database_unavailable')
  })

  await t.test(
    'a request over REQUEST_TIMEOUT_MS returns 503, and its update may still take effect',
    async (t) => {
      const { server, url, update, release, title } = await withUpdateInFlight(t, {
        REQUEST_TIMEOUT_MS: '1500',
        STATEMENT_TIMEOUT_MS: '60000',
      })
      const { status, headers, body } = await update
      t.equal(status, 503)
      t.match(headers.get('retry-after'), /^\d+$/)
      t.equal(body.error_code, 'timeout')
      t.match(headers.get('content-type'), 'application/problem+json')
      release()
      await until(
        'the update takes effect, as the response said it may',
        async () => (await title()) === 'after',
      )
      t.equal((await send(url, 'GET', '/health')).status, 200)
      const updates = () => server.logs().filter(({ msg, method }) => msg === 'request' && method === 'PUT')
      await until('the update is logged', () => updates().length > 0)
      const lines = updates()
      t.strictSame(
        lines.map(({ status }) => status),
        [503],
      )
      t.notMatch(server.output.stdout, '    at ', 'no stack')
    },
  )

  await t.test(
    'when PostgreSQL closes connections, single requests return 503 and the server keeps working',
    async (t) => {
      const database = await newDatabase()
      const server = startServer(t, { DATABASE_URL: database })
      const url = await server.listening()
      const { body: batch } = await send(url, 'POST', '/api/v1/batches', {
        tasks: [{ title: 'a' }, { title: 'b' }],
      })
      const ids: string[] = batch.tasks.map((task: any) => task.id)
      const statuses = new Map<number, number>()
      let loaded = true
      const load = async (n: number) => {
        while (loaded) {
          const { status } = await (n % 4 === 0
            ? send(url, 'GET', '/api/v1/tasks')
            : n % 4 === 1
              ? send(url, 'PUT', '/api/v1/tasks/bulk', { tasks: ids.map((id) => ({ id, title: String(n) })) })
              : n % 4 === 2
                ? send(url, 'POST', '/api/v1/batches', { tasks: [{ title: 'c' }] })
                : send(url, 'GET', `/api/v1/tasks/${ids[0]}`))
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
        }
      }
      const callers = Promise.all(Array.from({ length: 20 }, (_, n) => load(n)))
      const other = postgres(database, { max: 1, onnotice: () => {} })
      let ended = 0
      for (let round = 0; round < 10; round++) {
        const before = statuses.get(200) ?? 0
        await until('requests succeed', () => (statuses.get(200) ?? 0) > before + 50)
        ended += (
          await other`select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'aklp-task-server' and datname = current_database()`
        ).length
      }
      loaded = false
      await callers
      await other.end()
      t.ok(ended >= 10, `${ended} connections were ended`)
      t.strictSame(
        [...statuses.keys()].filter((status) => ![200, 201, 503].includes(status)),
        [],
      )
      t.equal(server.child.exitCode, null, 'the server still runs')
      await until('it is healthy', async () => (await send(url, 'GET', '/health')).body.status === 'healthy')
      t.equal(server.output.stderr, '')
    },
  )

  await t.test(
    'while PostgreSQL is down requests return 503 in time, and once it is up again they succeed',
    async (t) => {
      const server = startServer(t, { DATABASE_URL: await newDatabase(), REQUEST_TIMEOUT_MS: '2000' })
      const url = await server.listening()
      const { body: task } = await send(url, 'POST', '/api/v1/tasks', { title: 'a' })
      const calls: [string, string, unknown?][] = [
        ['POST', '/api/v1/tasks', { title: 'b' }],
        ['GET', '/api/v1/tasks'],
        ['GET', `/api/v1/tasks/${task.id}`],
        ['PUT', `/api/v1/tasks/${task.id}`, { title: 'b' }],
        ['PUT', '/api/v1/tasks/bulk', { tasks: [{ id: task.id, title: 'b' }] }],
        ['DELETE', '/api/v1/tasks/bulk', { ids: [randomUUID()] }],
        ['DELETE', `/api/v1/tasks/${randomUUID()}`],
        ['POST', '/api/v1/batches', { tasks: [{ title: 'b' }] }],
        ['GET', '/api/v1/batches'],
        ['GET', '/api/v1/batches/latest'],
        ['GET', `/api/v1/batches/${randomUUID()}`],
      ]
      await cluster.stop()
      for (let round = 0; round < 2; round++) {
        await Promise.all(
          calls.map(async ([method, path, body]) => {
            const start = performance.now()
            const answer = await send(url, method, path, body)
            const ms = performance.now() - start
            t.equal(answer.status, 503, `${method} ${path}`)
            t.match(answer.body, { status: 503, error_code: /^(database_unavailable|timeout)$/ })
            t.match(answer.headers.get('content-type'), 'application/problem+json')
            t.match(answer.headers.get('retry-after'), /^\d+$/)
            t.ok(ms < 4000, `${method} ${path} returned after ${Math.round(ms)} ms`)
          }),
        )
      }
      const health = await send(url, 'GET', '/health')
      t.equal(health.status, 200)
      t.match(health.body, { status: 'degraded', database: 'unhealthy' })
      t.equal(
        (await send(url, 'POST', '/api/v1/tasks', { title: 1 })).status,
        422,
        'validation errors are still reported',
      )

      await cluster.start()
      const start = performance.now()
      await until(
        'it works again',
        async () => (await send(url, 'GET', `/api/v1/tasks/${task.id}`)).status === 200,
      )
      t.ok(
        performance.now() - start < 10_000,
        `works again after ${Math.round(performance.now() - start)} ms`,
      )
      for (const [method, path, body] of calls) {
        t.not((await send(url, method, path, body)).status, 503, `${method} ${path}`)
      }
      t.match((await send(url, 'GET', '/health')).body, { status: 'healthy', database: 'healthy' })
      t.equal(server.child.exitCode, null)
      t.notMatch(server.output.stdout, 'password')
    },
  )
})
