import { createHmac, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { exportSPKI } from 'jose'
import { pino } from 'pino'
import t from 'tap'
import { sessionFor } from '../src/access/session.js'
import { createTokens, InvalidToken } from '../src/access/tokens.js'
import { bearer, key, withKeys } from './access.js'
import { startIssuer } from './issuer.js'
import { serveOn, sharedEmbedded } from './support.js'

const database = await sharedEmbedded()

/** A logger that keeps its lines. */
function logOf() {
  const written: string[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => written.push(line) })
  return { logger, lines: () => written.map((line) => JSON.parse(line)) }
}

t.test('the claims of a token set the name, scopes and sessions of its caller', async (t) => {
  const { issuer, audience, jwksUrl, token } = await startIssuer(t)
  const tokens = createTokens({ issuer, audience, jwksUrl })
  const session = randomUUID()
  const both = ['tasks:read', 'tasks:write']
  const allowed: [Record<string, unknown>, object][] = [
    [{}, { name: 'token:learner', scopes: both }],
    [{ aud: ['another', audience] }, { name: 'token:learner', scopes: both }],
    [{ scope: ['tasks:write', 'tasks:read'] }, { name: 'token:learner', scopes: both }],
    [{ scope: 'openid  tasks:read tasks:admin' }, { name: 'token:learner', scopes: ['tasks:read'] }],
    [
      { scope: undefined, sub: 'a b' },
      { name: 'token:a b', scopes: [] },
    ],
    [{ sessions: [session.toUpperCase()] }, { name: 'token:learner', scopes: both, sessions: [session] }],
    [{ sessions: session }, { name: 'token:learner', scopes: both, sessions: [session] }],
    [{ sessions: [] }, { name: 'token:learner', scopes: both, sessions: [] }],
  ]
  for (const [claims, caller] of allowed) {
    const { until, ...rest } = await tokens.verify(await token(claims))
    t.strictSame(rest, caller, JSON.stringify(claims))
    t.ok(until! > Date.now(), 'until it expires')
  }
})

t.test('an invalid token returns 401 and is not echoed', async (t) => {
  const { issuer, audience, jwksUrl, token, first, key } = await startIssuer(t)
  const tokens = createTokens({ issuer, audience, jwksUrl })
  const now = Math.floor(Date.now() / 1000)
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const claims = { iss: issuer, aud: audience, sub: 'a', scope: 'tasks:read', exp: now + 60 }
  const unsigned = (alg: string) => `${encode({ alg, kid: first.kid })}.${encode(claims)}`
  // The public key as the secret of an HMAC. A verifier that trusts the algorithm in the token accepts it.
  const secret = await exportSPKI(first.publicKey)
  const hmac = createHmac('sha256', secret).update(unsigned('HS256')).digest('base64url')
  const good = await token()
  const [header, , signature] = good.split('.')
  const invalid: Record<string, string> = {
    expired: await token({ exp: now - 60 }),
    'without an expiry': await token({ exp: undefined }),
    'not valid yet': await token({ nbf: now + 60 }),
    'from another issuer': await token({ iss: 'https://issuer.test.evil.test' }),
    'for another audience': await token({ aud: 'another' }),
    'without an audience': await token({ aud: undefined }),
    'without a subject': await token({ sub: undefined }),
    'with an empty subject': await token({ sub: '' }),
    'with a NUL in the subject': await token({ sub: 'a\0' }),
    'with a number as subject': await token({ sub: 7 as never }),
    'with the subject of another in an array': await token({ sub: ['learner'] as never }),
    'with an object as subject': await token({ sub: { name: 'learner' } as never }),
    'with null as subject': await token({ sub: null as never }),
    'with a number as scope': await token({ scope: 7 }),
    'with an object as scope': await token({ scope: { 'tasks:read': true } }),
    'with null as scope': await token({ scope: null }),
    'with a number among the scopes': await token({ scope: ['tasks:read', 7] }),
    'with a text as expiry': await token({ exp: 'never' as never }),
    'with an object as audience': await token({ aud: { audience } as never }),
    'with sessions that are not UUIDs': await token({ sessions: ['all'] }),
    'with an object as sessions': await token({ sessions: { all: true } }),
    'with null as sessions': await token({ sessions: null }),
    'signed with an unknown key': await token({}, { by: await key() }),
    'signed with an unknown key under the key id of the issuer': await token(
      {},
      { by: { ...(await key()), kid: first.kid } },
    ),
    'not signed': `${unsigned('none')}.`,
    'signed with the public key': `${unsigned('HS256')}.${hmac}`,
    'with changed claims': `${header}.${encode({ ...claims, sub: 'admin' })}.${signature}`,
    'with a truncated signature': good.slice(0, -4),
    'of four empty parts': '...',
    'of two parts': 'a.b',
    'of five parts': `${good}.a.b`,
    'with a header that is not JSON': `YQ.${good.split('.').slice(1).join('.')}`,
    'with a critical extension': `${encode({ alg: 'ES256', kid: first.kid, crit: ['x'], x: 1 })}.${encode(claims)}.${signature}`,
  }
  for (const [what, given] of Object.entries(invalid)) {
    const error = await tokens.verify(given).catch((error) => error)
    t.ok(error instanceof InvalidToken, `${what}: ${error}`)
    t.equal(tokens.recall(given), undefined, what)
  }
  const { call } = await serveOn(database, t, {
    JWT_ISSUER: issuer,
    JWT_AUDIENCE: audience,
    JWT_JWKS_URL: jwksUrl,
  })
  t.equal((await call('GET', '/tasks', undefined, bearer(good))).status, 200)
  for (const [what, given] of Object.entries(invalid)) {
    const { status, headers, body } = await call('GET', '/tasks', undefined, bearer(given))
    t.equal(status, 401, what)
    t.match(headers['www-authenticate'], 'error="invalid_token"')
    t.notMatch(JSON.stringify(body), given)
  }
})

t.test('a verified token is cached for five minutes, and never past its expiry', async (t) => {
  const { issuer, audience, jwksUrl, token } = await startIssuer(t)
  let now = Date.now()
  const tokens = createTokens({ issuer, audience, jwksUrl }, { now: () => now })
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

t.test('the keys of the issuer are cached, also while tokens have unknown signatures', async (t) => {
  const { settings, state, token, key } = await startIssuer(t)
  const { call } = await serveOn(database, t, settings)
  const status = async (token: string) => (await call('GET', '/tasks', undefined, bearer(token))).status
  t.equal(await status(await token()), 200)
  t.equal(await status(await token({ sub: 'b' })), 200)
  t.equal(state.asked, 1, 'the keys are cached')
  const unknown = await key()
  for (let i = 0; i < 10; i++) t.equal(await status(await token({}, { by: unknown })), 401)
  t.ok(state.asked <= 2, `${state.asked} requests`)
})

t.test(
  'while the issuer is unreachable, keys and cached tokens work and other tokens return 503',
  async (t) => {
    const { settings, state, token, close } = await startIssuer(t)
    state.status = 500
    const { call } = await serveOn(database, t, { ...settings, ...withKeys })
    const list = (credential: string) => call('GET', '/tasks', undefined, bearer(credential))
    const known = await token({ sub: 'known' })
    const unavailable = await list(known)
    t.match(unavailable, { status: 503, body: { error_code: 'issuer_unavailable' } })
    t.match(unavailable.headers['retry-after'], /^\d+$/)
    state.status = 200
    t.equal((await list(known)).status, 200)
    await close()
    t.equal((await list(known)).status, 200)
    t.equal((await list(key)).status, 200)
    const { call: another } = await serveOn(database, t, settings)
    t.equal((await another('GET', '/tasks', undefined, bearer(known))).status, 503)
  },
)

t.test(
  'a token signed with an unusable key of the issuer returns 401, and the reason is logged',
  async (t) => {
    const { settings, state, first } = await startIssuer(t)
    const ofRsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength })
    const [weak, ec] = [ofRsa(1024), generateKeyPairSync('ec', { namedCurve: 'P-256' })]
    const [publicRsa, publicEc] = [weak, ec].map(({ publicKey }) => publicKey.export({ format: 'jwk' }))
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
    const signed = (alg: string, key: KeyObject) => {
      const exp = Math.floor(Date.now() / 1000) + 60
      const claims = {
        iss: settings.JWT_ISSUER,
        aud: settings.JWT_AUDIENCE,
        sub: 'a',
        scope: 'tasks:read',
        exp,
      }
      const input = `${encode({ alg, kid: 'key' })}.${encode(claims)}`
      const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
      return `${input}.${signature.toString('base64url')}`
    }
    const byRsa = signed('RS256', weak.privateKey)
    const byEc = signed('ES256', ec.privateKey)
    const unusable: [jwk: object, token: string, reason: RegExp | undefined][] = [
      [{ ...publicRsa, alg: 'RS256' }, byRsa, /2048 bits/],
      [{ ...publicRsa, n: 5 }, byRsa, /2048 bits/],
      [{ ...publicEc, x: 'AAAA' }, byEc, /^Invalid/],
      [{ kty: 'EC', crv: 'P-256' }, byEc, /^Invalid/],
      [ec.privateKey.export({ format: 'jwk' }), byEc, /must be public keys/],
      [{ ...publicEc, key_ops: ['verify', 'sign'] }, byEc, /key usage/],
      [{ ...publicEc, alg: 'RS256' }, byRsa, undefined],
      [{ kty: 'oct', k: 'AAAA', alg: 'HS256' }, byRsa, undefined],
      [first.jwk, byRsa, undefined],
    ]
    for (const [jwk, token, reason] of unusable) {
      state.keys = [{ kid: 'key', ...jwk }]
      const { lines, logger } = logOf()
      const { call } = await serveOn(database, t, settings, logger)
      for (let i = 0; i < 3; i++) {
        const { status, body } = await call('GET', '/tasks', undefined, bearer(token))
        t.equal(status, 401, JSON.stringify(jwk))
        if (reason) t.match(body.detail, /a key of its issuer that cannot be used/)
      }
      const warnings = lines().filter(({ level }) => level >= 40)
      t.match(warnings, reason ? [{ level: 40, reason, msg: 'cannot use a key of the token issuer' }] : [])
      t.equal(warnings.length, reason ? 1 : 0)
    }
  },
)

t.test('failures to load the keys of the issuer return 503, and are logged once a minute', async (t) => {
  const { issuer, audience, jwksUrl, settings, state, token, close } = await startIssuer(t)
  const { lines, logger } = logOf()
  const { call } = await serveOn(database, t, settings, logger)
  const good = await token()
  state.status = 500
  for (let i = 0; i < 20; i++) {
    const response = await call('GET', '/tasks', undefined, bearer(good))
    t.match(response, { status: 503, body: { error_code: 'issuer_unavailable' } })
  }
  const warnings = lines().filter(({ level }) => level >= 40)
  t.match(warnings, [{ level: 40, reason: 'the response has the status 500' }])
  t.equal(warnings.length, 1)
  for (const secret of good.split('.')) t.notMatch(JSON.stringify(lines()), secret)

  let now = Date.now()
  const reasons: string[] = []
  const tokens = createTokens(
    { issuer, audience, jwksUrl },
    { warn: ({ reason }) => reasons.push(reason), now: () => now },
  )
  const fail = () => t.rejects(tokens.verify(good), { code: 'issuer_unavailable' })
  await fail()
  now += 59_000
  await fail()
  now += 1000
  await close()
  await fail()
  // The connection is reused if the client does not know yet that it is closed.
  t.match(reasons, ['the response has the status 500', /ECONNREFUSED|closed/])
  t.equal(reasons.length, 2)
})

t.test(
  'keys of the issuer that are too many, too large, malformed or never complete return 503',
  async (t) => {
    const { issuer, audience, jwksUrl, state, token, first } = await startIssuer(t)
    const good = await token()
    const endless = (start: string, part: string, pause: number) => (response: ServerResponse) => {
      response.write(start)
      const timer = setInterval(() => response.write(part), pause)
      response.on('close', () => clearInterval(timer))
    }
    const many = Array.from({ length: 10_000 }, () => ({}))
    const keys = JSON.stringify({ keys: [first.jwk, { more: 'a'.repeat(10 * 2 ** 20) }] })
    const responses: [reason: RegExp, (response: ServerResponse) => void][] = [
      [/more than 1000 keys/, (response) => response.end(JSON.stringify({ keys: [first.jwk, ...many] }))],
      [/more than 262144 bytes/, (response) => response.end(keys)],
      [
        /more than 262144 bytes/,
        (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(keys)),
      ],
      [/more than 262144 bytes/, endless('{"keys":[', ' '.repeat(100_000), 1)],
      [/timeout/, endless('{"keys":[', ' ', 100)],
      [/timeout/, () => {}],
      [/status 302/, (response) => response.writeHead(302, { location: jwksUrl }).end()],
      [/not valid JSON/, (response) => response.end('<html>')],
      [/JSON/, (response) => response.end()],
      [/closed|terminated/, (response) => void response.write('{', () => response.destroy())],
      ...['null', '[]', '{}', '{"keys":{}}', '{"keys":[null]}', '{"keys":["a"]}'].map(
        (text): [RegExp, (response: ServerResponse) => void] => [
          /not a JSON Web Key Set/,
          (response) => response.end(text),
        ],
      ),
    ]
    for (const [reason, respond] of responses) {
      state.respond = respond
      const reasons: string[] = []
      const tokens = createTokens(
        { issuer, audience, jwksUrl },
        { warn: ({ reason }) => reasons.push(reason) },
      )
      const start = performance.now()
      await t.rejects(tokens.verify(good), { code: 'issuer_unavailable' })
      t.ok(performance.now() - start < 7000)
      t.match(reasons, [reason])
      state.respond = undefined
      t.match(await tokens.verify(good), { name: 'token:learner' }, 'the keys are loaded again')
    }
  },
)

t.test('a caller with sessions can create only in those sessions', (t) => {
  const [a, b, other] = [randomUUID(), randomUUID(), randomUUID()]
  const caller = (sessions?: string[]) => ({ name: 'x', scopes: [], ...(sessions && { sessions }) })
  for (const given of [a, null, undefined]) t.equal(sessionFor(caller(), given), given)
  for (const given of [a, a.toUpperCase()]) t.equal(sessionFor(caller([a]), given)?.toLowerCase(), a)
  for (const given of [null, undefined])
    t.equal(sessionFor(caller([a]), given), a, 'defaults to the only session')
  t.equal(sessionFor(caller([a, b]), b), b)
  const invalid: [string[], string | null | undefined, RegExp][] = [
    [[a], other, /must be the session of the key or token/],
    [[a, b], other, /must be one of the sessions of the key or token/],
    [[a, b], undefined, /must be one of the sessions of the key or token/],
    [[a, b], null, /must be one of the sessions of the key or token/],
    [[], undefined, /has access to no session/],
    [[], other, /has access to no session/],
  ]
  for (const [sessions, given, detail] of invalid) {
    t.throws(() => sessionFor(caller(sessions), given), {
      code: 'validation_error',
      message: detail,
      extras: { error_count: 1, errors: [{ in: 'body', path: 'session_id', allowed: sessions }] },
    })
  }
  t.end()
})

t.test(
  'an Idempotency-Key returns nothing from a session that its caller can no longer access',
  async (t) => {
    const { settings, token } = await startIssuer(t)
    const { call } = await serveOn(database, t, settings)
    const create = async (session: string) => {
      const credential = await token({ sessions: [session] })
      return call('POST', '/tasks', { title: 'a' }, bearer(credential, { 'idempotency-key': 'step-1' }))
    }
    const [former, current] = [randomUUID(), randomUUID()]
    const first = await create(former)
    t.match(first, { status: 201, body: { session_id: former } })
    const again = await create(former)
    t.match(again.headers, { 'idempotency-replayed': 'true' })
    t.same(again.body, first.body)
    const { status, text } = await create(current)
    t.equal(status, 422)
    t.notMatch(text, former)
    t.notMatch(text, first.body.id)
  },
)
