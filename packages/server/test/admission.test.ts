import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { request, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { admission, Gate, loadOfList, needsScan } from '../src/http/admission.js'
import { anonymous } from '../src/http/caller.js'
import { pipelining } from '../src/http/pipelining.js'
import { startServer, until } from './process.js'
import { skipPostgres, startPostgres } from './support.js'

/** Work that ends when `end` is called, and records when it starts. */
function work(begun: string[], name: string) {
  let end = (_error?: Error) => {}
  const run = () => {
    begun.push(name)
    return new Promise<string>((resolve, reject) => {
      end = (error) => (error ? reject(error) : resolve(name))
    })
  }
  return { run, end: (error?: Error) => end(error) }
}

t.test('calls start in the order of arrival, as soon as a place is free', async (t) => {
  const gate = new Gate(2)
  const begun: string[] = []
  const works = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => work(begun, name))
  const results = works.map(({ run }) => gate.run('ordinary', run))
  await sleep()
  t.same(begun, ['a', 'b', 'c', 'd'], 'four on the connection that is not reserved for pings')
  works[1]!.end()
  await results[1]
  await until('the next call starts', () => begun.length === 5)
  works[0]!.end(new Error('failed'))
  await t.rejects(results[0]!, { message: 'failed' })
  await until('a failed call frees its place', () => begun.length === 6)
  t.same(begun, ['a', 'b', 'c', 'd', 'e', 'f'])
  for (const name of [2, 3, 4, 5]) works[name]!.end()
  await until('the last call starts', () => begun.length === 7)
  works[6]!.end()
  await results[6]
})

t.test('a scan waits for a connection of its own, and no call is queued behind it', async (t) => {
  const gate = new Gate(3)
  const begun: string[] = []
  const [a, b, c, scan, other, d, e] = ['a', 'b', 'c', 'scan', 'other scan', 'd', 'e'].map((name) =>
    work(begun, name),
  ) as ReturnType<typeof work>[]
  const all = [a, b, c].map((one) => gate.run('ordinary', one!.run))
  all.push(gate.run('scan', scan!.run), gate.run('scan', other!.run))
  all.push(gate.run('ordinary', d!.run), gate.run('ordinary', e!.run))
  await sleep()
  t.same(begun, ['a', 'b', 'c'])
  a!.end()
  await sleep()
  t.same(begun, ['a', 'b', 'c'], 'both connections are in use')
  b!.end()
  await sleep()
  t.same(begun, ['a', 'b', 'c', 'scan'])
  c!.end()
  await sleep()
  t.same(begun, ['a', 'b', 'c', 'scan', 'd'], 'one scan at a time, and one call on the other connection')
  scan!.end()
  d!.end()
  await sleep()
  t.same(begun, ['a', 'b', 'c', 'scan', 'd', 'other scan', 'e'])
  other!.end()
  e!.end()
  await Promise.all(all)
})

t.test('a call is rejected at once if the queue is full, and later if it waits too long', async (t) => {
  // Keeps the process alive, as the sockets of waiting clients do.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(alive))
  const gate = new Gate(1)
  const begun: string[] = []
  const running = Array.from({ length: 4 }, () => work(begun, 'running'))
  const results = running.map(({ run }) => gate.run('ordinary', run))
  const start = performance.now()
  const waiting = Array.from({ length: 500 }, () => gate.run('ordinary', work(begun, 'waiting').run))
  t.ok(gate.isFull('ordinary'))
  await t.rejects(gate.run('ordinary', work(begun, 'refused').run), { code: 'overloaded' })
  t.ok(performance.now() - start < 400)
  for (const { reason } of (await Promise.allSettled(waiting)) as PromiseRejectedResult[]) {
    if (reason?.code !== 'overloaded') t.fail(`waited and got ${reason}`)
  }
  t.ok(performance.now() - start > 400)
  for (const { end } of running) end()
  await Promise.all(results)
  t.equal(begun.length, 4)
  t.equal(await gate.run('ordinary', async () => 'as before'), 'as before')
})

t.test('a large response keeps its place until it is written, for a tenth of a second at most', async (t) => {
  const gate = new Gate(1)
  const response = () => Object.assign(new EventEmitter(), { req: {} }) as unknown as ServerResponse
  const [small, read, unread] = [response(), response(), response()]
  await gate.run('ordinary', async () => 'a'.repeat(16_384), small)
  t.equal(gate.running.ordinary, 0)
  await gate.run('ordinary', async () => 'a'.repeat(16_385), read)
  t.equal(gate.running.ordinary, 1)
  read.emit('close')
  t.equal(gate.running.ordinary, 0)
  await gate.run('ordinary', async () => 'a'.repeat(16_385), unread)
  await until('it is free', () => gate.running.ordinary === 0)
  unread.emit('close')
  t.equal(gate.running.ordinary, 0, 'it is freed once')
})

t.test(
  'a list that turns out to be large, asks for a late page, or searches has the share of scans',
  async (t) => {
    const app = Fastify()
    const gate = new Gate(10)
    const running: string[] = []
    app.decorateRequest('caller', { getter: () => anonymous })
    await app.register(pipelining)
    await app.register(admission, { gate })
    app.get('/', { config: { load: loadOfList } }, async (request) => {
      running.push(gate.running.scan === 1 ? 'scan' : 'ordinary')
      const { large } = request.query as { large?: string }
      return large && request.load !== 'scan' ? needsScan(request) : 'done'
    })
    for (const [query, loads] of [
      ['session_id=1', ['ordinary']],
      ['session_id=1&page=10&limit=100', ['ordinary']],
      ['session_id=1&page=11&limit=100', ['scan']],
      ['session_id=1&large=1', ['ordinary', 'scan']],
      ['session_id=1&q=a', ['scan']],
      ['', ['scan']],
    ] as const) {
      t.equal((await app.inject(`/?${query}`)).body, 'done')
      t.same(running.splice(0), loads, query)
    }
    t.match(gate.running, { ordinary: 0, scan: 0 })
  },
)

t.test('a service at its limit of concurrent calls', { skip: skipPostgres }, async (t) => {
  const { newDatabase } = await startPostgres(t)
  const database = await newDatabase()
  const server = startServer(t, {
    DATABASE_URL: database,
    DATABASE_POOL_SIZE: '3',
    REQUEST_TIMEOUT_MS: '3000',
    STATEMENT_TIMEOUT_MS: '60000',
  })
  const base = await server.listening()
  const call = async (method: string, path: string, body?: object) => {
    const response = await fetch(base + path, {
      method,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text }
  }
  const path = async (t: Test) => {
    const { status, text } = await call('POST', '/api/v1/tasks', { title: 'a' })
    t.equal(status, 201)
    return `/api/v1/tasks/${JSON.parse(text).id}`
  }
  const task = await path(t)
  const other = postgres(database, { max: 2, onnotice: () => {} })
  t.teardown(() => other.end())
  /** Calls `run` while another connection locks the row of the task. */
  const whileHeld = (run: () => Promise<void>) =>
    other.begin(async (sql) => {
      await sql`select from tasks where id = ${task.split('/').at(-1)!} for update`
      await run()
    })

  await t.test('the next call returns 503 within 2 s, and the probes still succeed', async (t) => {
    await whileHeld(async () => {
      const held = Array.from({ length: 8 }, () => call('PUT', task, { title: 'b' }))
      await sleep(100)
      const start = performance.now()
      const { status, headers, text } = await call('GET', task)
      t.ok(performance.now() - start < 2000)
      t.equal(status, 503)
      t.match(JSON.parse(text), { error_code: 'overloaded', status: 503 })
      t.match(headers.get('retry-after'), /^\d+$/)
      t.equal((await call('GET', '/livez')).text, 'ok')
      t.equal((await call('GET', '/readyz')).text, 'ok')
      t.match((await call('GET', '/health')).text, '"healthy"')
      t.equal((await call('GET', '/openapi.json')).status, 200)
      for (const { status, text } of await Promise.all(held)) {
        t.equal(status, 503)
        t.match(JSON.parse(text), { error_code: 'timeout' })
      }
      t.equal((await call('GET', task)).status, 503, 'a place stays taken until its statement ends')
    })
    await until('it works again', async () => (await call('GET', task)).status === 200)
  })

  await t.test('every place is free again after clients disconnect or time out', async (t) => {
    for (let round = 0; round < 3; round++) {
      await whileHeld(async () => {
        const calls = Array.from({ length: 16 }, () =>
          request(base + task, {
            method: 'PUT',
            agent: false,
            headers: { 'content-type': 'application/json' },
          })
            .on('error', () => {})
            .end('{"title":"c"}'),
        )
        await sleep(50)
        for (const call of calls) call.destroy()
      })
      await until('it works again', async () => (await call('GET', task)).status === 200)
    }
    await until('all places are free', async () =>
      /^aklp_database_requests_running{kind="ordinary"} 0$/m.test((await call('GET', '/metrics')).text),
    )
    await whileHeld(async () => {
      const calls = Array.from({ length: 9 }, () => call('PUT', task, { title: 'd' }))
      const codes = (await Promise.all(calls)).map(({ text }) => JSON.parse(text).error_code)
      t.same(codes.sort(), ['overloaded', ...Array(8).fill('timeout')], 'there are eight places')
    })
  })

  await t.test('eight concurrent HEAD and GET calls succeed on a pool of three', async (t) => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, n) => call(n % 2 ? 'HEAD' : 'GET', n < 4 ? '/api/v1/tasks' : task)),
    )
    for (const { status } of answers) t.equal(status, 200)
    t.equal((await call('GET', `/api/v1/tasks/${randomUUID()}`)).status, 404)
  })
})
