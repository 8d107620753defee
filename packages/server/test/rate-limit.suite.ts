import t from 'tap'
import { makeKey } from '../src/access/keys.js'
import { createLimit } from '../src/access/rate-limit.js'
import { bearer, key, reader, withKeys } from './access.js'
import { serveOn, sharedEmbedded } from './support.js'

const database = await sharedEmbedded()

t.test('a caller over its limit of requests per minute gets 429, and other callers do not', async (t) => {
  const { call } = await serveOn(database, t, { ...withKeys, RATE_LIMIT_PER_MINUTE: '3' })
  for (const remaining of [2, 1, 0]) {
    const { status, headers } = await call('GET', '/tasks', undefined, bearer(key))
    t.equal(status, 200)
    t.equal(headers['ratelimit-policy'], '"requests";q=3;w=60')
    t.match(headers.ratelimit, new RegExp(`^"requests";r=${remaining};t=\\d+$`))
  }
  const { status, headers, body } = await call('GET', '/tasks', undefined, bearer(key))
  t.equal(status, 429)
  t.equal(body.error_code, 'rate_limited')
  t.ok(Number(headers['retry-after']) >= 1 && Number(headers['retry-after']) <= 60)
  t.match(headers.ratelimit, '"requests";r=0;')
  t.equal(
    (await call('GET', '/tasks', undefined, bearer(reader))).status,
    200,
    'another key from the same address',
  )
  t.equal((await call('GET', '/health')).status, 200, 'probes are not counted')
})

t.test('callers without a key are limited by the address that trusted proxies report', async (t) => {
  const settings = { RATE_LIMIT_PER_MINUTE: '1', TRUSTED_PROXIES: '10.0.0.0/8,127.0.0.1' }
  const { call } = await serveOn(database, t, settings)
  const from = async (remoteAddress: string, forwarded?: string) => {
    const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
    return (await call('GET', '/tasks', undefined, { remoteAddress, headers })).status
  }
  t.equal(await from('192.0.2.1'), 200)
  t.equal(await from('192.0.2.1'), 429)
  t.equal(await from('192.0.2.1', '192.0.2.9'), 429, 'an untrusted client cannot set its address')
  t.equal(await from('10.1.1.1', '192.0.2.1'), 429)
  t.equal(await from('10.1.1.1', '192.0.2.2'), 200)
  t.equal(await from('127.0.0.1', '192.0.2.2, 10.2.2.2'), 429)
  const { call: withoutProxies } = await serveOn(database, t, { RATE_LIMIT_PER_MINUTE: '1' })
  const forwarded = { headers: { 'x-forwarded-for': '192.0.2.7' } }
  t.equal((await withoutProxies('GET', '/tasks')).status, 200)
  t.equal((await withoutProxies('GET', '/tasks', undefined, forwarded)).status, 429)
})

t.test('an address with 60 failed authentications gets 429, but valid keys from it still work', async (t) => {
  const { call } = await serveOn(database, t, withKeys)
  const fail = (remoteAddress: string) =>
    call('GET', '/tasks', undefined, { ...bearer(makeKey()), remoteAddress })
  for (let i = 0; i < 60; i++) t.equal((await fail('192.0.2.1')).status, 401)
  const { status, headers } = await fail('192.0.2.1')
  t.equal(status, 429)
  t.match(headers['retry-after'], /^\d+$/)
  t.equal(
    (await call('GET', '/tasks', undefined, { remoteAddress: '192.0.2.1' })).status,
    429,
    'also without a key',
  )
  t.equal((await fail('192.0.2.2')).status, 401, 'another address')
  const { status: withKey } = await call('GET', '/tasks', undefined, {
    ...bearer(key),
    remoteAddress: '192.0.2.1',
  })
  t.equal(withKey, 200, 'a valid key')
})

t.test('the counts of all callers reset after 60 seconds', (t) => {
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
