import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { buildApp } from '../src/app.js'
import { openDatabase } from '../src/db/open.js'
import { loadConfig, serviceOptions } from '../src/start/config.js'
import { until } from './process.js'
import { freePort, options } from './support.js'

const database = await openDatabase('memory://', options)
t.teardown(() => database.close())

interface Received {
  path: string
  headers: IncomingHttpHeaders
  body: string
}

/** A collector: an HTTP server that stores the bodies it receives. With `answers: false` it never responds. */
async function startCollector(test: Test, { status = 200, answers = true } = {}) {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    received.push({ path: request.url!, headers: request.headers, body: await text(request) })
    if (answers) response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  test.teardown(
    () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  )
  return { received, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Every span that a collector was sent, with its attributes as an object. */
const spansOf = (received: Received[]): any[] =>
  received.flatMap(({ body }) =>
    JSON.parse(body).resourceSpans.flatMap(({ resource, scopeSpans }: any) =>
      scopeSpans.flatMap(({ spans }: any) =>
        spans.map((span: any) => ({
          ...span,
          resource: attributes(resource),
          attributes: attributes(span),
        })),
      ),
    ),
  )
const attributes = ({ attributes }: any) =>
  Object.fromEntries(
    attributes.map(({ key, value }: any) => [key, value.intValue ?? value.stringValue ?? value]),
  )

/** The service with traces, listening. */
async function startTraced(endpoint: string) {
  const lines: any[] = []
  const stream = new Writable({
    write(line, _encoding, done) {
      lines.push(JSON.parse(String(line)))
      done()
    },
  })
  const app = await buildApp({
    metricsMaxAge: 0,
    database,
    ...serviceOptions(loadConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })),
    logger: pino({}, stream),
  })
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  const call = async (method: string, path: string, body?: object, headers: Record<string, string> = {}) => {
    const response = await fetch(base + path, {
      method,
      headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    })
    return { status: response.status, text: await response.text() }
  }
  return { app, base, lines, call }
}

const SERVER = 2
const CLIENT = 3
const FAILED = 2

t.test(
  'a request is a span in the trace of its caller, with a child span for its database work',
  async (t) => {
    const { received, endpoint } = await startCollector(t)
    const { app, lines, call } = await startTraced(endpoint)
    const secret = 'never-in-a-trace'
    const trace = randomUUID().replaceAll('-', '')
    const parent = 'b7ad6b7169203331'
    const traceparent = `00-${trace}-${parent}-01`
    await call('POST', '/api/v1/tasks', { title: secret }, { traceparent, authorization: `Bearer ${secret}` })
    await call('GET', `/api/v1/tasks/${randomUUID()}?${secret}`)
    await call('GET', `/api/v1/tasks/${randomUUID()}`)
    await call('GET', `/api/v1/tasks?limit=0&session_id=${secret}`, undefined, { traceparent: secret })
    await call('GET', '/nowhere')
    for (const path of ['/livez', '/readyz', '/metrics']) t.equal((await call('GET', path)).status, 200)
    const unsampled = `00-${randomUUID().replaceAll('-', '')}-${parent}-00`
    await call('GET', '/api/v1/tasks', undefined, { traceparent: unsampled })
    await app.close()

    for (const { path, headers } of received) {
      t.equal(path, '/v1/traces')
      t.equal(headers['content-type'], 'application/json')
    }
    const spans = spansOf(received)
    const servers = spans.filter(({ kind }) => kind === SERVER)
    t.same(
      servers.map(({ name, attributes }) => [name, attributes['http.response.status_code']]),
      [
        ['POST /api/v1/tasks', 201],
        ['GET /api/v1/tasks/:task_id', 422],
        ['GET /api/v1/tasks/:task_id', 404],
        ['GET /api/v1/tasks', 422],
        ['GET', 404],
      ],
      'not of probes, and not where the caller wants none',
    )
    const [create] = servers
    t.equal(create.traceId, trace)
    t.equal(create.parentSpanId, parent)
    t.match(create.resource, { 'service.name': 'aklp-task-service', 'service.version': /^\d/ })
    t.match(create.attributes, {
      'http.request.method': 'POST',
      'http.route': '/api/v1/tasks',
      'url.path': '/api/v1/tasks',
      'url.scheme': 'http',
    })
    t.not(servers[1].traceId, trace)
    t.notOk(servers[3].parentSpanId, 'what is no traceparent begins a trace')

    const clients = spans.filter(({ kind }) => kind === CLIENT)
    t.same(
      clients.map(({ name, parentSpanId }) => [name, parentSpanId]),
      [
        ['postgresql createTask', create.spanId],
        ['postgresql getTask', servers[2].spanId],
      ],
      'none if the request was rejected before',
    )
    t.equal(clients[0].attributes['db.system.name'], 'postgresql')
    t.equal(clients[0].traceId, trace)
    t.ok(clients[0].startTimeUnixNano >= create.startTimeUnixNano)
    t.ok(clients[0].endTimeUnixNano <= create.endTimeUnixNano)
    t.ok(spans.every(({ status }) => status.code !== FAILED))
    for (const { body } of received) {
      t.notMatch(body, secret)
      t.notMatch(body, /select|insert/i)
    }

    const ids = lines.filter(({ msg }) => msg === 'request').map(({ trace_id }) => trace_id)
    const expected = servers.map(({ traceId }) => traceId)
    t.same(
      ids,
      [...expected, undefined, undefined, undefined, unsampled.split('-')[1]],
      'log lines have the trace_id',
    )
  },
)

t.test('a failed request is marked as an error, also if the client disconnects', async (t) => {
  const { received, endpoint } = await startCollector(t)
  const { app, base, call } = await startTraced(`${endpoint}/`)
  let release = () => {}
  const held = database.db.transaction(
    () =>
      new Promise<void>((resolve) => {
        release = resolve
      }),
  )
  const gone = new Promise((resolve) => {
    app.server.once('connection', (socket) => socket.once('close', resolve))
  })
  const socket = connect(Number(new URL(base).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write('GET /api/v1/batches/latest HTTP/1.1\r\nHost: localhost\r\n\r\n')
  // More calls than there are places: the last one is rejected.
  const calls = Array.from({ length: 36 }, () => call('GET', '/api/v1/batches/latest'))
  await Promise.any(calls.map(async (one) => ((await one).status === 503 ? one : Promise.reject())))
  socket.destroy()
  await gone
  release()
  await held
  const statuses = (await Promise.all(calls)).map(({ status }) => status)
  await app.close()
  const servers = spansOf(received).filter(({ kind }) => kind === SERVER)
  t.equal(servers.length, 37)
  const failed = servers.filter(({ status }) => status.code === FAILED)
  t.equal(failed.length, statuses.filter((status) => status === 503).length)
  for (const { attributes } of failed) t.match(attributes, { 'error.type': '503' })
  t.equal(servers.filter(({ attributes }) => !('http.response.status_code' in attributes)).length, 1)
})

t.test('a failed statement is marked with its code and without SQL', async (t) => {
  const { received, endpoint } = await startCollector(t)
  const broken = await openDatabase('memory://', options)
  const app = await buildApp({
    database: broken,
    ...serviceOptions(loadConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })),
  })
  await broken.db.execute('drop table tasks cascade')
  t.equal((await app.inject('/api/v1/tasks')).statusCode, 500)
  await app.close()
  await broken.close()
  const spans = spansOf(received)
  t.same(
    spans.map(({ kind, status, attributes }) => [kind, status, attributes['error.type']]),
    [
      [CLIENT, { code: FAILED }, '42P01'],
      [SERVER, { code: FAILED }, '500'],
    ],
  )
  for (const { body } of received) t.notMatch(body, /select|relation/i)
})

t.test('a request in flight during shutdown is exported', async (t) => {
  const { received, endpoint } = await startCollector(t)
  const { app, call } = await startTraced(endpoint)
  let release = () => {}
  const held = database.db.transaction(
    () =>
      new Promise<void>((resolve) => {
        release = resolve
      }),
  )
  const metrics = async () => (await app.inject('/metrics')).body
  const answer = call('GET', '/api/v1/batches/latest')
  await until('it is at the database', async () =>
    (await metrics()).includes('requests_running{kind="ordinary"} 1'),
  )
  const closed = app.close()
  release()
  await held
  t.equal((await answer).status, 200)
  await closed
  t.ok(spansOf(received).some(({ name, kind }) => kind === SERVER && name === 'GET /api/v1/batches/latest'))
})

t.test('requests succeed if the collector is unreachable, silent or returns errors', async (t) => {
  const endpoints = {
    away: `http://127.0.0.1:${await freePort()}`,
    silent: (await startCollector(t, { answers: false })).endpoint,
    refusing: (await startCollector(t, { status: 400 })).endpoint,
  }
  for (const [name, endpoint] of Object.entries(endpoints)) {
    const { app, lines, call } = await startTraced(endpoint)
    // Enough that a batch is sent before the service closes.
    for (let round = 0; round < 6; round++) {
      const answers = await Promise.all(Array.from({ length: 100 }, () => call('GET', '/nowhere')))
      t.ok(
        answers.every(({ status }) => status === 404),
        name,
      )
    }
    t.equal((await call('POST', '/api/v1/tasks', { title: 'a' })).status, 201)
    const start = performance.now()
    await app.close()
    t.ok(performance.now() - start < 6000, `it stops after ${Math.round(performance.now() - start)} ms`)
    if (name !== 'refusing') continue
    const warnings = lines.filter(({ level }) => level >= 40)
    t.same(
      warnings.map(({ msg }) => msg),
      ['traces cannot be sent'],
      'reported once',
    )
  }
})
