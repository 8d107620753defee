import { createHmac, randomUUID } from 'node:crypto'
import { exportSPKI } from 'jose'
import t, { type Test } from 'tap'
import { createKeyring, hashKey, makeKey } from '../src/access/keys.js'
import { createLimit } from '../src/access/rate-limit.js'
import { sessionFor } from '../src/access/session.js'
import { createTokens, RefusedToken } from '../src/access/tokens.js'
import { openDatabase } from '../src/db/open.js'
import { assertNotExposed, ConfigError, loadConfig } from '../src/start/config.js'
import { startIssuer } from './issuer.js'
import { openApi, options } from './support.js'

const database = await openDatabase('memory://', options)
t.teardown(() => database.close())

async function serve(test: Test, settings: Record<string, string> = {}) {
  const api = await openApi(database, settings)
  test.teardown(() => api.app.close())
  return api
}

const key = makeKey()
const entry = { name: 'teacher', hash: hashKey(key), scopes: ['tasks:read', 'tasks:write'] }
const reader = makeKey()
const readerEntry = { name: 'reader', hash: hashKey(reader), scopes: ['tasks:read'] }
const withKeys = { API_KEYS: JSON.stringify([entry, readerEntry]) }
const bearer = (credential: string, headers = {}) => ({
  headers: { authorization: `Bearer ${credential}`, ...headers },
})

t.test('without keys everything works, and nobody is asked who he is', async (t) => {
  const { call } = await serve(t)
  t.equal((await call('POST', '/tasks', { title: 'a' })).status, 201)
  t.equal((await call('GET', '/tasks', undefined, bearer('nonsense'))).status, 200)
})

t.test('with keys, a call needs one that is known; the answer says so as RFC 6750 wants it', async (t) => {
  const { call } = await serve(t, withKeys)
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
    const { status, headers: answered, body } = await call('GET', '/tasks', undefined, { headers })
    t.equal(status, 401, String(authorization))
    t.equal(answered['www-authenticate'], challenge)
    t.match(body, { error_code: 'unauthorized', detail: /key/ })
    t.notMatch(JSON.stringify(body), key)
  }
  const onlyInUrl = await call('GET', `/tasks?access_token=${key}`)
  t.equal(onlyInUrl.status, 401)
})

t.test('who calls is asked before anything that was sent is looked at', async (t) => {
  const { call } = await serve(t, withKeys)
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

t.test('a missing scope is 403 and named', async (t) => {
  const { call } = await serve(t, withKeys)
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

t.test('health, docs and document stay open, and the latter two can be turned off', async (t) => {
  const { app } = await serve(t, withKeys)
  for (const path of ['/health', '/docs', '/docs/static/index.html', '/openapi.json']) {
    t.ok((await app.inject(path)).statusCode < 400, path)
  }
  const { app: without } = await serve(t, { DOCS: 'off' })
  for (const path of ['/docs', '/docs/', '/docs/json', '/docs/static/swagger-ui.css', '/openapi.json']) {
    t.equal((await without.inject(path)).statusCode, 404, path)
  }
})

t.test('which of many keys it is makes no difference', async (t) => {
  const keys = Array.from({ length: 50 }, makeKey)
  const ownerOf = createKeyring(keys.map((key, i) => ({ name: `${i}`, hash: hashKey(key), scopes: [] })))
  for (const [i, key] of keys.entries()) t.equal(ownerOf(key)?.name, `key:${i}`)
  t.equal(new Set(keys).size, 50)
  t.match(keys[0], /^aklp_[\w-]{43}$/)
  t.equal(ownerOf(makeKey()), undefined)
  t.equal(ownerOf(''), undefined)
})

t.test('tokens of the issuer are accepted, and their claims say what they allow', async (t) => {
  const { issuer, audience, jwksUrl, token } = await startIssuer(t)
  const tokens = createTokens({ issuer, audience, jwksUrl })
  const session = randomUUID()
  const both = ['tasks:read', 'tasks:write']
  const allowed: [Record<string, unknown>, object][] = [
    [{}, { name: 'token:learner', scopes: both }],
    [{ aud: ['another', audience] }, { name: 'token:learner', scopes: both }],
    [{ scope: ['tasks:write', 'tasks:read'] }, { name: 'token:learner', scopes: both }],
    [{ scope: 'openid  tasks:read tasks:admin' }, { name: 'token:learner', scopes: ['tasks:read'] }],
    [{ scope: 7 }, { name: 'token:learner', scopes: [] }],
    [
      { scope: undefined, sub: 'a b' },
      { name: 'token:a b', scopes: [] },
    ],
    [{ sessions: [session.toUpperCase()] }, { name: 'token:learner', scopes: both, sessions: [session] }],
    [{ sessions: session }, { name: 'token:learner', scopes: both, sessions: [session] }],
    [{ sessions: [] }, { name: 'token:learner', scopes: both, sessions: [] }],
  ]
  for (const [claims, caller] of allowed) {
    t.strictSame(await tokens.verify(await token(claims)), caller, JSON.stringify(claims))
  }
})

t.test('a token is refused when anything about it is wrong', async (t) => {
  const { issuer, audience, jwksUrl, token, first, key } = await startIssuer(t)
  const tokens = createTokens({ issuer, audience, jwksUrl })
  const now = Math.floor(Date.now() / 1000)
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const claims = { iss: issuer, aud: audience, sub: 'a', scope: 'tasks:read', exp: now + 60 }
  const unsigned = (alg: string) => `${encode({ alg, kid: first.kid })}.${encode(claims)}`
  // The public key as the secret of an HMAC: what a checker accepts that takes the algorithm from the token.
  const secret = await exportSPKI(first.publicKey)
  const hmac = createHmac('sha256', secret).update(unsigned('HS256')).digest('base64url')
  const good = await token()
  const [header, , signature] = good.split('.')
  const wrong: Record<string, string> = {
    expired: await token({ exp: now - 60 }),
    'without an end': await token({ exp: undefined }),
    'not valid yet': await token({ nbf: now + 60 }),
    'of another issuer': await token({ iss: 'https://issuer.test.evil.test' }),
    'for another audience': await token({ aud: 'another' }),
    'without an audience': await token({ aud: undefined }),
    'of nobody': await token({ sub: undefined }),
    'of an empty subject': await token({ sub: '' }),
    'of a subject with a NUL': await token({ sub: 'a\0' }),
    'for sessions that are none': await token({ sessions: ['all'] }),
    'for no list of sessions': await token({ sessions: { all: true } }),
    'for null as sessions': await token({ sessions: null }),
    'signed by a stranger': await token({}, { by: await key() }),
    'signed by a stranger in the name of the issuer': await token(
      {},
      { by: { ...(await key()), kid: first.kid } },
    ),
    'not signed': `${unsigned('none')}.`,
    'signed with the public key': `${unsigned('HS256')}.${hmac}`,
    'with other claims': `${header}.${encode({ ...claims, sub: 'admin' })}.${signature}`,
    'cut off': good.slice(0, -4),
    'in three dots': '...',
    'in one dot': 'a.b',
    'of five parts': `${good}.a.b`,
    'with a header that is no JSON': `YQ.${good.split('.').slice(1).join('.')}`,
    'with a critical extension': `${encode({ alg: 'ES256', kid: first.kid, crit: ['x'], x: 1 })}.${encode(claims)}.${signature}`,
  }
  for (const [what, given] of Object.entries(wrong)) {
    const error = await tokens.verify(given).catch((error) => error)
    t.ok(error instanceof RefusedToken, `${what}: ${error}`)
    t.equal(tokens.recall(given), undefined, what)
  }
  const { call } = await serve(t, { JWT_ISSUER: issuer, JWT_AUDIENCE: audience, JWT_JWKS_URL: jwksUrl })
  t.equal((await call('GET', '/tasks', undefined, bearer(good))).status, 200)
  for (const [what, given] of Object.entries(wrong)) {
    const { status, headers, body } = await call('GET', '/tasks', undefined, bearer(given))
    t.equal(status, 401, what)
    t.match(headers['www-authenticate'], 'error="invalid_token"')
    t.notMatch(JSON.stringify(body), given)
  }
})

t.test('a checked token is remembered for five minutes, and never beyond its end', async (t) => {
  const { issuer, audience, jwksUrl, token } = await startIssuer(t)
  let now = Date.now()
  const tokens = createTokens({ issuer, audience, jwksUrl }, () => now)
  const exp = (seconds: number) => ({ exp: Math.floor(now / 1000) + seconds })
  const [long, short] = [await token(exp(3600)), await token(exp(60))]
  t.equal(tokens.recall(long), undefined)
  const caller = await tokens.verify(long)
  await tokens.verify(short)
  t.equal(tokens.recall(long), caller)
  t.ok(tokens.recall(short))
  now += 70_000
  t.ok(tokens.recall(long))
  t.equal(tokens.recall(short), undefined)
  await t.rejects(tokens.verify(short), /expired/)
  now += 4 * 60_000
  t.equal(tokens.recall(long), undefined)
  t.strictSame(await tokens.verify(long), caller)
})

t.test('a new key of the issuer is found, and its server is not asked for every stranger', async (t) => {
  const { settings, state, token, key } = await startIssuer(t)
  const { call } = await serve(t, settings)
  const status = async (token: string) => (await call('GET', '/tasks', undefined, bearer(token))).status
  t.equal(await status(await token()), 200)
  t.equal(await status(await token({ sub: 'b' })), 200)
  t.equal(state.asked, 1, 'the keys are kept')
  const stranger = await key()
  for (let i = 0; i < 10; i++) t.equal(await status(await token({}, { by: stranger })), 401)
  t.ok(state.asked <= 2, `asked ${state.asked} times`)
})

t.test('while the issuer is away, keys and known tokens work, and other tokens are 503', async (t) => {
  const { settings, state, token, close } = await startIssuer(t)
  state.status = 500
  const { call } = await serve(t, { ...settings, ...withKeys })
  const ask = (credential: string) => call('GET', '/tasks', undefined, bearer(credential))
  const known = await token({ sub: 'known' })
  const refused = await ask(known)
  t.match(refused, { status: 503, body: { error_code: 'issuer_unavailable' } })
  t.match(refused.headers['retry-after'], /^\d+$/)
  state.status = 200
  t.equal((await ask(known)).status, 200)
  await close()
  t.equal((await ask(known)).status, 200)
  t.equal((await ask(key)).status, 200)
  const { call: another } = await serve(t, settings)
  t.equal((await another('GET', '/tasks', undefined, bearer(known))).status, 503)
})

t.test('a caller that is bound to sessions creates only in those', (t) => {
  const [a, b, other] = [randomUUID(), randomUUID(), randomUUID()]
  const caller = (sessions?: string[]) => ({ name: 'x', scopes: [], ...(sessions && { sessions }) })
  for (const given of [a, null, undefined]) t.equal(sessionFor(caller(), given), given)
  for (const given of [a, a.toUpperCase()]) t.equal(sessionFor(caller([a]), given)?.toLowerCase(), a)
  for (const given of [null, undefined]) t.equal(sessionFor(caller([a]), given), a, 'its only one')
  t.equal(sessionFor(caller([a, b]), b), b)
  const refused: [string[], string | null | undefined, RegExp][] = [
    [[a], other, /must be the session of the key or token/],
    [[a, b], other, /must be one of the sessions of the key or token/],
    [[a, b], undefined, /must be one of the sessions of the key or token/],
    [[a, b], null, /must be one of the sessions of the key or token/],
    [[], undefined, /has access to no session/],
    [[], other, /has access to no session/],
  ]
  for (const [sessions, given, detail] of refused) {
    t.throws(() => sessionFor(caller(sessions), given), {
      code: 'validation_error',
      message: detail,
      extras: { error_count: 1, errors: [{ in: 'body', path: 'session_id', allowed: sessions }] },
    })
  }
  t.end()
})

t.test('an Idempotency-Key does not reach into a session that its caller has left', async (t) => {
  const { settings, token } = await startIssuer(t)
  const { call } = await serve(t, settings)
  const create = async (session: string) => {
    const credential = await token({ sessions: [session] })
    return call('POST', '/tasks', { title: 'a' }, bearer(credential, { 'idempotency-key': 'step-1' }))
  }
  const [left, entered] = [randomUUID(), randomUUID()]
  const first = await create(left)
  t.match(first, { status: 201, body: { session_id: left } })
  const again = await create(left)
  t.match(again.headers, { 'idempotency-replayed': 'true' })
  t.same(again.body, first.body)
  const { status, text } = await create(entered)
  t.equal(status, 422)
  t.notMatch(text, left)
  t.notMatch(text, first.body.id)
})

t.test('a caller may send so many requests in a minute, whatever others do', async (t) => {
  const { call } = await serve(t, { ...withKeys, RATE_LIMIT_PER_MINUTE: '3' })
  for (const left of [2, 1, 0]) {
    const { status, headers } = await call('GET', '/tasks', undefined, bearer(key))
    t.equal(status, 200)
    t.equal(headers['ratelimit-policy'], '"requests";q=3;w=60')
    t.match(headers.ratelimit, new RegExp(`^"requests";r=${left};t=\\d+$`))
  }
  const { status, headers, body } = await call('GET', '/tasks', undefined, bearer(key))
  t.equal(status, 429)
  t.equal(body.error_code, 'rate_limited')
  t.ok(Number(headers['retry-after']) >= 1 && Number(headers['retry-after']) <= 60)
  t.match(headers.ratelimit, '"requests";r=0;')
  t.equal(
    (await call('GET', '/tasks', undefined, bearer(reader))).status,
    200,
    'another key of the same address',
  )
  t.equal((await call('GET', '/health')).status, 200, 'probes are not counted')
})

t.test('callers without a key are counted by address, as trusted proxies tell it', async (t) => {
  const settings = { RATE_LIMIT_PER_MINUTE: '1', TRUSTED_PROXIES: '10.0.0.0/8,127.0.0.1' }
  const { call } = await serve(t, settings)
  const from = async (remoteAddress: string, forwarded?: string) => {
    const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
    return (await call('GET', '/tasks', undefined, { remoteAddress, headers })).status
  }
  t.equal(await from('192.0.2.1'), 200)
  t.equal(await from('192.0.2.1'), 429)
  t.equal(await from('192.0.2.1', '192.0.2.9'), 429, 'a stranger cannot say who it is')
  t.equal(await from('10.1.1.1', '192.0.2.1'), 429)
  t.equal(await from('10.1.1.1', '192.0.2.2'), 200)
  t.equal(await from('127.0.0.1', '192.0.2.2, 10.2.2.2'), 429)
  const { call: trustsNobody } = await serve(t, { RATE_LIMIT_PER_MINUTE: '1' })
  const forwarded = { headers: { 'x-forwarded-for': '192.0.2.7' } }
  t.equal((await trustsNobody('GET', '/tasks')).status, 200)
  t.equal((await trustsNobody('GET', '/tasks', undefined, forwarded)).status, 429)
})

t.test('an address that fails again and again is slowed down, and nobody else behind it', async (t) => {
  const { call } = await serve(t, withKeys)
  const fail = (remoteAddress: string) =>
    call('GET', '/tasks', undefined, { ...bearer(makeKey()), remoteAddress })
  for (let i = 0; i < 60; i++) t.equal((await fail('192.0.2.1')).status, 401)
  const { status, headers } = await fail('192.0.2.1')
  t.equal(status, 429)
  t.match(headers['retry-after'], /^\d+$/)
  t.equal(
    (await call('GET', '/tasks', undefined, { remoteAddress: '192.0.2.1' })).status,
    429,
    'without a key, too',
  )
  t.equal((await fail('192.0.2.2')).status, 401, 'another address')
  const { status: known } = await call('GET', '/tasks', undefined, {
    ...bearer(key),
    remoteAddress: '192.0.2.1',
  })
  t.equal(known, 200, 'a key that is known')
})

t.test('a minute of requests ends after sixty seconds, for all', (t) => {
  let now = 1_000_000
  const take = createLimit(2, { now: () => now })
  t.same(take('a'), { left: 1, resetsIn: 60 })
  now += 59_001
  t.same(take('a'), { left: 0, resetsIn: 1 })
  t.same(take('a'), { left: -1, resetsIn: 1 })
  t.same(take('a'), { left: -1, resetsIn: 1 })
  t.same(take('b'), { left: 1, resetsIn: 1 })
  now += 999
  t.same(take('a'), { left: 1, resetsIn: 60 })
  t.same(take('b'), { left: 1, resetsIn: 60 })
  t.end()
})

t.test('a full rate limiter evicts the oldest caller and keeps the counts of the others', (t) => {
  const take = createLimit(1, { most: 2, now: () => 0 })
  for (const caller of ['a', 'b']) t.equal(take(caller).left, 0)
  t.equal(take('c').left, 0, 'evicts a')
  t.equal(take('b').left, -1)
  t.equal(take('a').left, 0, 'evicts b')
  t.equal(take('c').left, -1)
  t.end()
})

t.test('only pages of the allowed origins may call the service', async (t) => {
  const { app, call } = await serve(t, {
    ...withKeys,
    CORS_ORIGINS: 'https://app.test, http://localhost:3000',
  })
  /** The question of a browser before a call. */
  const preflight = async (origin: string, url = '/api/v1/tasks') => {
    const headers = { origin, 'access-control-request-method': 'POST' }
    const {
      statusCode: status,
      headers: answered,
      body: text,
    } = await app.inject({ method: 'OPTIONS', url, headers })
    return { status, headers: answered, text }
  }
  const ask = (method: string, headers: Record<string, string>) =>
    call(method, '/tasks', undefined, { headers: { origin: 'https://app.test', ...headers } })

  for (const origin of ['https://app.test', 'http://localhost:3000']) {
    const { status, headers, text } = await preflight(origin)
    t.equal(status, 204)
    t.equal(text, '')
    t.match(headers, {
      'access-control-allow-origin': origin,
      'access-control-allow-methods': /\bPUT\b/,
      'access-control-allow-headers':
        'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-ID',
      vary: 'Origin',
    })
    t.notOk('access-control-allow-credentials' in headers)
  }
  const answered = await ask('GET', { authorization: `Bearer ${key}` })
  t.equal(answered.status, 200)
  t.match(
    answered.headers['access-control-expose-headers'],
    /ETag.*Idempotency-Replayed.*Retry-After.*X-Request-ID/,
  )
  const refused = await ask('GET', {})
  t.equal(refused.status, 401)
  t.equal(refused.headers['access-control-allow-origin'], 'https://app.test', 'a page can read why')

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
  const plain = await ask('OPTIONS', {})
  t.equal(plain.status, 405, 'what is no question of a browser')

  const { call: without } = await serve(t)
  const { headers } = await without('GET', '/tasks', undefined, { headers: { origin: 'https://app.test' } })
  t.notOk('access-control-allow-origin' in headers || 'vary' in headers)
})

t.test('a browser cannot frame, sniff or run a response', async (t) => {
  const { app, call } = await serve(t, withKeys)
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

t.test('an address that others can reach needs keys, an issuer or AUTH=off', (t) => {
  const here = ['127.0.0.1', '127.1.2.3', '::1', 'localhost']
  const open = ['0.0.0.0', '::', '10.1.1.1', 'tasks.example.com', '127.0.0.1.example.com']
  for (const HOST of here) t.doesNotThrow(() => assertNotExposed(loadConfig({ HOST })))
  for (const HOST of open) {
    t.throws(() => assertNotExposed(loadConfig({ HOST })), {
      constructor: ConfigError,
      message: /API_KEYS.*AUTH=off/,
    })
    t.doesNotThrow(() => assertNotExposed(loadConfig({ HOST, AUTH: 'off' })))
    t.doesNotThrow(() => assertNotExposed(loadConfig({ HOST, ...withKeys })))
  }
  t.end()
})

t.test('an invalid setting for authentication is named', (t) => {
  const keys = (...entries: object[]) => ({ API_KEYS: JSON.stringify(entries) })
  const wrong: [Record<string, string>, string][] = [
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
    [{ JWT_JWKS_URL: 'http://issuer.test/jwks' }, 'JWT_JWKS_URL must be a URL that begins with https://'],
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
  for (const [environment, message] of wrong) {
    t.throws(() => loadConfig(environment), new ConfigError(message), message)
  }
  t.end()
})
