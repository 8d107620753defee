import { randomUUID } from 'node:crypto'
import t from 'tap'
import { nearestRoute } from '../src/http/not-found.js'
import { createApi, sharedEmbedded } from './support.js'

const database = await sharedEmbedded()
const { app, call } = await createApi(database)
t.teardown(() => app.close())

const json = { 'content-type': 'application/json' }

t.test('a body that is not JSON returns 400 and the position of the error', async (t) => {
  const bodies: [string | Buffer, RegExp][] = [
    ['{', /position 1/],
    ['{"title": "a",}', /position 14/],
    ["{'title': 'a'}", /position 1/],
    ['title=a', /not valid JSON/],
    ['{"title": "a"} x', /position 15/],
    ['{"__proto__": {"admin": true}, "title": "a"}', /forbidden prototype property/],
    ['{"title": "a", "constructor": {"prototype": {}}}', /forbidden prototype property/],
    [Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), /not UTF-8/],
    ['{"title": "a\u0000"}', /position 12/],
  ]
  for (const [payload, detail] of bodies) {
    const { status, body } = await call('POST', '/tasks', undefined, { payload, headers: json })
    t.equal(status, 400, String(payload))
    t.equal(body.error_code, 'invalid_json')
    t.match(body.detail, detail)
  }
})

t.test('an empty body returns 400 if the operation needs one', async (t) => {
  for (const [method, path] of [
    ['POST', '/tasks'],
    ['PUT', `/tasks/${randomUUID()}`],
    ['PUT', '/tasks/bulk'],
    ['DELETE', '/tasks/bulk'],
    ['POST', '/batches'],
  ] as const) {
    for (const headers of [json, {}]) {
      const { status, body } = await call(method, path, undefined, { headers })
      t.equal(status, 400, `${method} ${path}`)
      t.equal(body.error_code, 'empty_body')
    }
  }
})

t.test('a byte order mark before the JSON is ignored', async (t) => {
  t.equal((await call('POST', '/tasks', '\uFEFF{"title": "a"}')).status, 201)
})

t.test('every JSON content type is accepted and any other returns 415', async (t) => {
  for (const type of [
    'application/json',
    'application/json; charset=utf-8',
    'Application/JSON',
    'application/merge-patch+json',
  ]) {
    t.equal(
      (await call('POST', '/tasks', { title: 'a' }, { headers: { 'content-type': type } })).status,
      201,
      type,
    )
  }
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonp',
    'multipart/form-data; boundary=x',
    'nonsense',
  ]) {
    const { status, body } = await call(
      'POST',
      '/tasks',
      { title: 'a' },
      { headers: { 'content-type': type } },
    )
    t.equal(status, 415, type)
    t.equal(body.error_code, 'unsupported_media_type')
  }
  const { status } = await call('POST', '/tasks', undefined, {
    payload: '{"title": "a"}',
    headers: { 'content-type': '' },
  })
  t.equal(status, 415, 'no content type')
})

t.test('a compressed body returns 415, and one with the coding identity is accepted', async (t) => {
  for (const [header, value] of [
    ['content-encoding', 'gzip'],
    ['content-encoding', 'br, identity'],
    ['content-encoding', 'nonsense'],
    ['transfer-encoding', 'gzip, chunked'],
  ] as const) {
    const { status, body, headers } = await call(
      'POST',
      '/tasks',
      { title: 'a' },
      { headers: { [header]: value } },
    )
    t.equal(status, 415, value)
    t.equal(body.error_code, 'unsupported_media_type')
    t.match(body.detail, /Send the body uncompressed/)
    t.equal(headers['accept-encoding'], 'identity')
  }
  for (const value of ['identity', 'Identity']) {
    const headers = { 'content-encoding': value }
    t.equal((await call('POST', '/tasks', { title: 'a' }, { headers })).status, 201, value)
  }
})

t.test('DELETE works with any content type as long as there is no body', async (t) => {
  for (const headers of [json, { 'content-type': 'application/x-www-form-urlencoded' }, {}]) {
    const { id } = (await call('POST', '/tasks', { title: 'a' })).body
    t.equal((await call('DELETE', `/tasks/${id}`, undefined, { headers })).status, 204)
  }
})

t.test('a body over 1 MiB returns 413, and one of exactly 1 MiB is accepted', async (t) => {
  const around = JSON.stringify({ title: 'a', description: '' }).length
  const sized = (bytes: number) => JSON.stringify({ title: 'a', description: 'x'.repeat(bytes - around) })
  const { status, body } = await call('POST', '/tasks', sized(1024 * 1024 + 1))
  t.equal(status, 413)
  t.equal(body.error_code, 'body_too_large')
  t.equal(
    (await call('POST', '/tasks', sized(1024 * 1024))).status,
    422,
    'read, and the description is too long',
  )
})

t.test('an unknown route returns 404 whatever its body', async (t) => {
  for (const [method, path] of [
    ['GET', '/api/v1'],
    ['GET', '/api/v1/task'],
    ['POST', '/api/v1/tasks/1/complete'],
    ['GET', '/api/v1//tasks'],
    ['GET', '/api/v2/tasks'],
    ['GET', '/api/v1/TASKS'],
  ] as const) {
    const { status, body } = await call(method, path, method === 'POST' ? '{' : undefined)
    t.equal(status, 404, path)
    t.equal(body.error_code, 'route_not_found')
  }
})

t.test('an unknown path names the route that was probably meant', async (t) => {
  for (const [path, route] of [
    ['/tasks', '/api/v1/tasks'],
    ['/tasks/?status=pending', '/api/v1/tasks'],
    ['/api/tasks', '/api/v1/tasks'],
    ['/api/v2/Task', '/api/v1/tasks'],
    [`/v1/tasks/${randomUUID()}`, '/api/v1/tasks/{task_id}'],
    [`/api/v1/tasks/${randomUUID()}/complete`, '/api/v1/tasks/{task_id}'],
    ['/task/1/release', '/api/v1/tasks/{task_id}/release'],
    ['/claim', '/api/v1/tasks/claim'],
    ['/api/v1/batch/latest', '/api/v1/batches/latest'],
    ['/sessions', '/api/v1/sessions/{session_id}'],
    ['/api/v1/health', '/health'],
  ] as const) {
    const { statusCode, body } = await app.inject(path)
    t.equal(statusCode, 404, path)
    t.match(JSON.parse(body).detail, `Did you mean \`${route}\`?`, path)
  }
  for (const path of ['/api/v1', '/foo', '/wp-admin/setup.php', '/tasks/1/2/3/4/5', '/%F0%9F%98%80']) {
    const { body } = await app.inject(path)
    t.equal(JSON.parse(body).detail, 'No route has this path. `/openapi.json` lists all paths.', path)
  }
})

t.test('an unknown path of 15 kB is compared as fast as a short one', async (t) => {
  const routes = ['/api/v1/tasks', '/api/v1/tasks/:task_id']
  const start = performance.now()
  for (const path of ['/tasks'.repeat(2500), `/${'tasks'.repeat(3000)}`, '/'.repeat(15_000)]) {
    for (let n = 0; n < 100; n++) t.equal(nearestRoute(path, routes), undefined)
  }
  t.ok(performance.now() - start < 1000)
})

t.test('a path that cannot be decoded returns 400', async (t) => {
  const { status, body } = await call('GET', '/api/v1/tasks/%FF')
  t.equal(status, 400)
  t.equal(body.error_code, 'bad_request')
})

t.test('an unsupported method returns 405 with the supported ones in Allow', async (t) => {
  const task = `/tasks/${randomUUID()}`
  for (const [method, path, allow] of [
    ['POST', task, 'DELETE, GET, HEAD, PATCH, PUT'],
    ['DELETE', '/tasks', 'GET, HEAD, POST'],
    ['PUT', '/tasks/', 'GET, HEAD, POST'],
    ['GET', '/tasks/bulk', 'DELETE, PUT'],
    ['POST', '/tasks/bulk', 'DELETE, PUT'],
    ['PUT', '/batches/latest', 'GET, HEAD'],
    ['DELETE', `/batches/${randomUUID()}`, 'GET, HEAD'],
    ['OPTIONS', '/tasks', 'GET, HEAD, POST'],
    ['TRACE', '/batches', 'GET, HEAD, POST'],
    ['PROPFIND', '/tasks', 'GET, HEAD, POST'],
    ['POST', '/health', 'GET, HEAD'],
  ] as const) {
    const { status, headers, body } = await call(method, path, method === 'POST' ? '{' : undefined)
    t.equal(status, 405, `${method} ${path}`)
    t.equal(headers.allow, allow)
    t.equal(body.error_code, 'method_not_allowed')
    t.ok(body.detail.includes(allow))
  }
})

t.test('a trailing slash makes no difference', async (t) => {
  const { status, body } = await call('POST', '/tasks/', { title: 'a' })
  t.equal(status, 201)
  t.equal((await call('GET', `/tasks/${body.id}/`)).status, 200)
  t.equal((await call('GET', '/tasks/?status=pending')).status, 200)
  t.equal((await call('GET', '/batches/latest/')).status, 200)
  t.equal((await call('GET', '/health/')).status, 200)
})

t.test(
  'X-Request-ID is echoed if it has 1 to 128 visible ASCII characters, and generated otherwise',
  async (t) => {
    const idOf = async (given?: string, path = '/tasks') => {
      const { headers, body } = await call(
        'GET',
        path,
        undefined,
        given === undefined ? {} : { headers: { 'x-request-id': given } },
      )
      if (body?.request_id) t.equal(body.request_id, headers['x-request-id'])
      return headers['x-request-id']
    }
    for (const given of ['a', 'agent-7/turn#12~!', 'x'.repeat(128)]) {
      for (const path of ['/tasks', '/tasks/1', '/nowhere', '/tasks/%FF', '/tasks?x=1'])
        t.equal(await idOf(given, path), given)
    }
    const made = new Set<string | undefined>()
    for (const given of [undefined, '', 'x'.repeat(129), 'two words', 'tab\there', 'é'])
      made.add(await idOf(given))
    t.equal(made.size, 6)
    for (const id of made) t.match(id, /^[0-9a-f-]{36}$/)
  },
)

t.test('health returns the status of service and database, and the version', async (t) => {
  const { status, body } = await call('GET', '/health')
  t.equal(status, 200)
  t.match(body, { status: 'healthy', version: /^\d+\.\d+\.\d+/, database: 'healthy' })
})

t.test('50 probes at the same time share one ping', async (t) => {
  let pings = 0
  const slow = {
    db: database.db,
    async ping() {
      pings++
      await database.ping()
    },
  }
  const { app } = await createApi({ ...database, ...slow })
  t.teardown(() => app.close())
  const probe = async () => {
    const probes = Array.from({ length: 50 }, (_, i) => app.inject(i % 2 ? '/readyz' : '/health'))
    for (const { statusCode } of await Promise.all(probes)) t.equal(statusCode, 200)
  }
  await probe()
  t.equal(pings, 1)
  await probe()
  t.equal(pings, 2, 'a later probe pings again')
})

t.test('a problem has type, status, instance and request_id', async (t) => {
  const { body, headers } = await call('GET', `/tasks/${randomUUID()}?`)
  t.same(Object.keys(body), ['type', 'title', 'status', 'detail', 'instance', 'error_code', 'request_id'])
  t.match(body, {
    type: 'urn:aklp:problem:task_not_found',
    status: 404,
    instance: /^\/api\/v1\/tasks\/[0-9a-f-]{36}$/,
  })
  t.equal(headers['content-type'], 'application/problem+json')
})

t.test('HEAD returns the status and Content-Type of GET, without a body', async (t) => {
  const { status, text, headers } = await call('HEAD', '/tasks')
  t.equal(status, 200)
  t.equal(text, '')
  t.match(headers['content-type'], /^application\/json/)
})
