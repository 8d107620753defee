import { connect } from 'node:net'
import t from 'tap'
import { send } from './hostile.js'
import { createApi, sharedEmbedded } from './support.js'

const database = await sharedEmbedded()

const API_KEYS = JSON.stringify([
  {
    name: 'teacher',
    hash: '6b6ccd9ee7ac9ce6a10dcb1d8e5a5a9bd0a2b7e5e7ab0a4e2a22b9a3a5c3a1f0',
    scopes: ['tasks:read'],
  },
])

t.test('without authentication, a Host other than localhost or an IP address returns 421', async (t) => {
  const { app, call } = await createApi(database)
  t.teardown(() => app.close())
  const responseTo = (host: string, path = '/tasks', method = 'GET') =>
    call(method, path, method === 'POST' ? { title: 'a' } : undefined, { headers: { host } })
  for (const host of [
    'localhost',
    'LOCALHOST:8001',
    'localhost.:8001',
    'aklp.localhost:1',
    '127.0.0.1',
    '192.168.1.7:8001',
    '[::1]',
    '[::1]:8001',
  ]) {
    t.equal((await responseTo(host)).status, 200, host)
  }
  const before = (await responseTo('localhost')).body.total
  for (const host of [
    'evil.example',
    'evil.example:8001',
    'localhost.evil.example',
    'evillocalhost',
    '127.0.0.1.evil.example',
    '127.0.0.1@evil.example',
    '[::1].evil.example',
    '::1',
    '[]',
  ]) {
    for (const method of ['GET', 'POST']) {
      const { status, body, headers } = await responseTo(host, '/tasks', method)
      t.equal(status, 421, `${method} ${host}`)
      t.equal(body.error_code, 'host_not_allowed')
      t.match(body.detail, /API_KEYS.*AUTH=off/)
      t.match(headers, { 'x-content-type-options': 'nosniff', 'content-security-policy': /./ })
    }
  }
  for (const path of ['/docs', '/openapi.json', '/metrics', '/nowhere']) {
    t.equal((await app.inject({ url: path, headers: { host: 'evil.example' } })).statusCode, 421, path)
  }
  t.equal((await responseTo('localhost')).body.total, before, 'nothing was created')
})

t.test('health checks respond whatever their Host is', async (t) => {
  const { app } = await createApi(database)
  t.teardown(() => app.close())
  for (const url of ['/health', '/livez', '/readyz']) {
    for (const method of ['GET', 'HEAD'] as const)
      t.equal((await app.inject({ method, url, headers: { host: 'pod-7.tasks' } })).statusCode, 200, url)
  }
})

t.test('with AUTH=off, keys or an issuer, the service has any name', async (t) => {
  const issuer = { JWT_ISSUER: 'a', JWT_AUDIENCE: 'b', JWT_JWKS_URL: 'https://issuer.example/keys' }
  for (const [settings, status] of [
    [{ AUTH: 'off' }, 200],
    [{ API_KEYS }, 401],
    [issuer, 401],
  ] as const) {
    const { app, call } = await createApi(database, settings)
    const headers = { host: 'tasks.example.com' }
    t.equal((await call('GET', '/tasks', undefined, { headers })).status, status)
    await app.close()
  }
})

t.test(
  'an Expect other than 100-continue returns 417 as a problem, with the headers of every response',
  async (t) => {
    const { app } = await createApi(database)
    t.teardown(() => app.close())
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as { port: number }
    for (const method of ['GET', 'POST']) {
      const headers = { expect: '200-ok', 'x-request-id': 'mine', 'content-type': 'application/json' }
      const response = await send({ port, method, path: '/api/v1/tasks', headers }, '{"title": "a"}')
      t.match(response, {
        status: 417,
        headers: {
          'content-type': 'application/problem+json',
          'x-request-id': 'mine',
          'x-content-type-options': 'nosniff',
        },
        body: { error_code: 'expectation_failed', request_id: 'mine' },
      })
    }
    const headers = { expect: '100-Continue', 'content-type': 'application/json' }
    const response = await send({ port, method: 'POST', path: '/api/v1/tasks', headers }, '{"title": "a"}')
    t.equal(response.status, 201)
  },
)

t.test('a request with 200 headers is handled, and one with more returns 431', async (t) => {
  const { app } = await createApi(database)
  t.teardown(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  // Node adds Host, Connection and Content-Length.
  const responseTo = (others: number) =>
    send({ port, path: '/api/v1/tasks', headers: { a: Array(others).fill(''), 'if-match': '*' } }, '')
  t.equal((await responseTo(196)).status, 422, 'the last header counts')
  for (const others of [197, 230, 1000, 3900]) {
    const { status, body, headers } = await responseTo(others)
    t.match(
      { status, body, headers },
      {
        status: 431,
        body: { error_code: 'headers_too_large', detail: /200/ },
        headers: { connection: 'close' },
      },
    )
  }
})

t.test('a request with two Host headers returns 400', async (t) => {
  const { app } = await createApi(database)
  t.teardown(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  for (const hosts of [
    'Host: localhost\r\nHost: localhost',
    'Host: localhost\r\nA: b\r\nhOST: evil.example',
  ]) {
    const socket = connect(port, '127.0.0.1')
    socket.write(`GET /api/v1/tasks HTTP/1.1\r\n${hosts}\r\n\r\n`)
    const text = Buffer.concat(await socket.toArray()).toString()
    t.match(text, /^HTTP\/1.1 400 .*"error_code":"bad_request"/s)
  }
})
