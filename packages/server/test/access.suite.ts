import t from 'tap'
import { createKeyring, hashKey, makeKey } from '../src/access/keys.js'
import { assertNotExposed, ConfigError, loadConfig } from '../src/start/config.js'
import { bearer, entry, key, reader, readerEntry, withKeys } from './access.js'
import { serveOn, sharedEmbedded } from './support.js'

const database = await sharedEmbedded()

t.test('without configured keys, calls need no authentication', async (t) => {
  const { call } = await serveOn(database, t)
  t.equal((await call('POST', '/tasks', { title: 'a' })).status, 201)
  t.equal((await call('GET', '/tasks', undefined, bearer('nonsense'))).status, 200)
})

t.test('a missing, malformed or unknown key returns 401 with the challenge of RFC 6750', async (t) => {
  const { call } = await serveOn(database, t, withKeys)
  t.equal((await call('GET', '/tasks', undefined, bearer(key))).status, 200)
  t.equal(
    (await call('GET', '/tasks', undefined, { headers: { authorization: `bearer  ${key} ` } })).status,
    200,
  )
  const credentials: [string | undefined, string][] = [
    [undefined, 'Bearer realm="aklp-task", scope="tasks:read"'],
    ['', 'Bearer realm="aklp-task", scope="tasks:read"'],
    [`Basic ${btoa(`teacher:${key}`)}`, 'Bearer realm="aklp-task", scope="tasks:read"'],
    [key, 'Bearer realm="aklp-task", scope="tasks:read"'],
    [`Bearer ${key} ${key}`, 'Bearer realm="aklp-task", scope="tasks:read"'],
    [`Bearer ${makeKey()}`, 'Bearer realm="aklp-task", error="invalid_token", scope="tasks:read"'],
    [`Bearer ${key}a`, 'Bearer realm="aklp-task", error="invalid_token", scope="tasks:read"'],
    [`Bearer ${key.slice(0, -1)}`, 'Bearer realm="aklp-task", error="invalid_token", scope="tasks:read"'],
    [`Bearer ${hashKey(key)}`, 'Bearer realm="aklp-task", error="invalid_token", scope="tasks:read"'],
  ]
  for (const [authorization, challenge] of credentials) {
    const headers = authorization === undefined ? {} : { authorization }
    const { status, headers: received, body } = await call('GET', '/tasks', undefined, { headers })
    t.equal(status, 401, String(authorization))
    t.equal(received['www-authenticate'], challenge)
    t.match(body, { error_code: 'unauthorized', detail: /key/ })
    t.notMatch(JSON.stringify(body), key)
  }
  const onlyInUrl = await call('GET', `/tasks?access_token=${key}`)
  t.equal(onlyInUrl.status, 401)
})

t.test('an unauthenticated call returns 401 even if its request is invalid', async (t) => {
  const { call } = await serveOn(database, t, withKeys)
  for (const [method, path, body] of [
    ['POST', '/tasks', '{'],
    ['POST', '/tasks', { title: 1 }],
    ['POST', '/batches', 'x'.repeat(2 ** 21)],
    ['GET', '/tasks?limit=x', undefined],
    ['GET', '/tasks/1', undefined],
  ] as const) {
    t.equal((await call(method, path, body)).status, 401, `${method} ${path}`)
  }
})

t.test('a missing scope returns 403 and names the scope', async (t) => {
  const { call } = await serveOn(database, t, withKeys)
  const { status, headers, body } = await call('POST', '/tasks', { title: 'a' }, bearer(reader))
  t.equal(status, 403)
  t.equal(
    headers['www-authenticate'],
    'Bearer realm="aklp-task", error="insufficient_scope", scope="tasks:write"',
  )
  t.match(body, { error_code: 'forbidden', detail: /scope `tasks:write`/ })
  t.equal((await call('HEAD', '/tasks', undefined, bearer(reader))).status, 200)
  t.equal((await call('GET', '/tasks', undefined, bearer(reader))).status, 200)
})

t.test(
  'health, the page, docs and the OpenAPI document need no key, and DOCS=off removes all but health',
  async (t) => {
    const { app } = await serveOn(database, t, withKeys)
    for (const path of ['/health', '/', '/docs', '/docs/static/index.html', '/openapi.json']) {
      t.ok((await app.inject(path)).statusCode < 400, path)
    }
    const { app: without } = await serveOn(database, t, { DOCS: 'off' })
    for (const path of [
      '/',
      '/docs',
      '/docs/',
      '/docs/json',
      '/docs/static/swagger-ui.css',
      '/openapi.json',
    ]) {
      t.equal((await without.inject(path)).statusCode, 404, path)
    }
  },
)

t.test('each of 50 keys maps to its owner, and an unknown key to none', async (t) => {
  const keys = Array.from({ length: 50 }, makeKey)
  const ownerOf = createKeyring(keys.map((key, i) => ({ name: `${i}`, hash: hashKey(key), scopes: [] })))
  for (const [i, key] of keys.entries()) t.equal(ownerOf(key)?.name, `key:${i}`)
  t.equal(new Set(keys).size, 50)
  t.match(keys[0], /^aklp_[\w-]{43}$/)
  t.equal(ownerOf(makeKey()), undefined)
  t.equal(ownerOf(''), undefined)
})

t.test('CORS allows the configured origins and no others', async (t) => {
  const { app, call } = await serveOn(database, t, {
    ...withKeys,
    CORS_ORIGINS: 'https://app.test, http://localhost:3000',
  })
  /** The preflight request of a browser. */
  const preflight = async (origin: string, url = '/api/v1/tasks') => {
    const headers = { origin, 'access-control-request-method': 'POST' }
    const {
      statusCode: status,
      headers: received,
      body: text,
    } = await app.inject({ method: 'OPTIONS', url, headers })
    return { status, headers: received, text }
  }
  const send = (method: string, headers: Record<string, string>) =>
    call(method, '/tasks', undefined, { headers: { origin: 'https://app.test', ...headers } })

  for (const origin of ['https://app.test', 'http://localhost:3000']) {
    const { status, headers, text } = await preflight(origin)
    t.equal(status, 204)
    t.equal(text, '')
    t.match(headers, {
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'DELETE, GET, HEAD, PATCH, POST, PUT',
      'access-control-allow-headers':
        'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Lease-Token, MCP-Protocol-Version, Mcp-Method, Mcp-Name, X-Request-ID, X-Session-ID',
      vary: 'Origin',
    })
    t.notOk('access-control-allow-credentials' in headers)
  }
  const allowed = await send('GET', { authorization: `Bearer ${key}` })
  t.equal(allowed.status, 200)
  t.match(
    allowed.headers['access-control-expose-headers'],
    /ETag.*Idempotency-Replayed.*Retry-After.*X-Request-ID/,
  )
  const unauthorized = await send('GET', {})
  t.equal(unauthorized.status, 401)
  t.equal(
    unauthorized.headers['access-control-allow-origin'],
    'https://app.test',
    'the page can read the error',
  )

  for (const origin of [
    'https://evil.test',
    'https://app.test.evil.test',
    'http://app.test',
    'null',
    'https://app.test:444',
  ]) {
    const { status, headers } = await preflight(origin)
    t.equal(status, 405, origin)
    t.notOk('access-control-allow-origin' in headers)
    t.equal(headers.vary, 'Origin')
  }
  const unknown = await preflight('https://app.test', '/nowhere')
  t.match(unknown, { status: 404, headers: { 'access-control-allow-origin': 'https://app.test' } })
  const problem = JSON.parse(unknown.text)
  t.equal(problem.error_code, 'route_not_found')
  const misspelt = await call('GET', '/task', undefined, { headers: { origin: 'https://app.test' } })
  t.match(misspelt.body.detail, 'Did you mean `/api/v1/tasks`?')
  const plain = await send('OPTIONS', {})
  t.equal(plain.status, 405, 'OPTIONS that is not a preflight')

  const { call: without } = await serveOn(database, t)
  const { headers } = await without('GET', '/tasks', undefined, { headers: { origin: 'https://app.test' } })
  t.notOk('access-control-allow-origin' in headers || 'vary' in headers)
})

t.test('a browser cannot frame, sniff or run a response', async (t) => {
  const { app, call } = await serveOn(database, t, withKeys)
  const safe = {
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  }
  for (const [path, init] of [
    ['/tasks', bearer(key)],
    ['/tasks', {}],
    ['/nowhere', {}],
    ['/health', {}],
    ['/tasks/%FF', {}],
  ] as const) {
    t.match((await call('GET', path, undefined, init)).headers, safe, path)
  }
  const { headers } = await app.inject('/docs')
  t.match(headers, {
    'x-content-type-options': 'nosniff',
    'content-security-policy': /frame-ancestors 'self'/,
  })
})

t.test('a HOST other than loopback requires keys, an issuer or AUTH=off', (t) => {
  const loopback = ['127.0.0.1', '127.1.2.3', '::1', 'localhost']
  const exposed = ['0.0.0.0', '::', '10.1.1.1', 'tasks.example.com', '127.0.0.1.example.com']
  for (const HOST of loopback) t.doesNotThrow(() => assertNotExposed(loadConfig({ HOST })))
  for (const HOST of exposed) {
    t.throws(() => assertNotExposed(loadConfig({ HOST })), {
      constructor: ConfigError,
      message: /API_KEYS.*AUTH=off/,
    })
    t.doesNotThrow(() => assertNotExposed(loadConfig({ HOST, AUTH: 'off' })))
    t.doesNotThrow(() => assertNotExposed(loadConfig({ HOST, ...withKeys })))
  }
  t.end()
})

t.test('an invalid setting for authentication is reported with its name and reason', (t) => {
  const keys = (...entries: object[]) => ({ API_KEYS: JSON.stringify(entries) })
  const invalid: [Record<string, string>, string][] = [
    [{ API_KEYS: '[{' }, 'API_KEYS is not valid JSON'],
    [{ API_KEYS: key }, 'API_KEYS[0] must be an object, not a string'],
    [keys({ ...entry, name: undefined }), 'API_KEYS[0].name is required'],
    [
      keys({ ...entry, hash: key }),
      'API_KEYS[0].hash must be a SHA-256 as 64 hexadecimal digits in lower case',
    ],
    [
      keys({ ...entry, scopes: ['tasks:reed'] }),
      'API_KEYS[0].scopes[0] must be tasks:read or tasks:write. Did you mean tasks:read?',
    ],
    [
      keys({ ...entry, session: [] }),
      'API_KEYS[0].session: unknown field; allowed: name, hash, scopes, sessions. Did you mean sessions?',
    ],
    [
      keys({ ...entry, sessions: ['a'] }),
      'API_KEYS[0].sessions[0] must be a UUID such as 550e8400-e29b-41d4-a716-446655440001',
    ],
    [keys(entry, { ...readerEntry, name: 'teacher' }), 'API_KEYS[1].name is already used by another key'],
    [keys(entry, { ...readerEntry, hash: entry.hash }), 'API_KEYS[1].hash is already used by another key'],
    [{ JWT_ISSUER: 'a' }, 'JWT_AUDIENCE is required if JWT_ISSUER is set'],
    [{ JWT_JWKS_URL: 'https://a/b' }, 'JWT_ISSUER is required if JWT_JWKS_URL is set'],
    ...['http://issuer.test/jwks', 'https://u:secret@issuer.test/jwks'].map(
      (JWT_JWKS_URL): [Record<string, string>, string] => [
        { JWT_JWKS_URL },
        'JWT_JWKS_URL must be a URL that begins with https:// and contains no user or password',
      ],
    ),
    [
      { AUTH: 'off', ...withKeys },
      'AUTH=off turns authentication off, but API_KEYS is set. Remove one of them',
    ],
    [{ AUTH: 'no' }, 'AUTH must be off'],
    [
      { CORS_ORIGINS: '*' },
      'CORS_ORIGINS[0] must be an origin such as https://app.example.com, without a path',
    ],
    [
      { CORS_ORIGINS: 'https://a.test,https://b.test/' },
      'CORS_ORIGINS[1] must be an origin such as https://app.example.com, without a path',
    ],
    [
      { TRUSTED_PROXIES: '10.0.0.0/33' },
      'TRUSTED_PROXIES[0] must be an address such as 10.1.2.3 or a range such as 10.0.0.0/8',
    ],
    [{ RATE_LIMIT_PER_MINUTE: '0' }, 'RATE_LIMIT_PER_MINUTE must be a whole number from 1 to 1000000'],
  ]
  for (const [environment, message] of invalid) {
    t.throws(() => loadConfig(environment), new ConfigError(message), message)
  }
  t.end()
})
