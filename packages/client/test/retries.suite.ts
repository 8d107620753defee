import t from 'tap'
import { AklpError, type Client, type ConnectionError, createClient, ServerError } from '../src/index.js'
import {
  create,
  disconnect,
  disconnectInBody,
  faulty,
  id,
  json,
  type Reply,
  read,
  remove,
  success,
  update,
  withoutDelays,
} from './faulty.js'
import { failure, startServer } from './support.js'

withoutDelays(t)

const conditionalUpdate = (aklp: Client) =>
  aklp.tasks.update(id, { status: 'completed' }, { ifUnchangedSince: '2025-12-06T10:00:00.000Z' })
const updateUnderLease = (aklp: Client) => aklp.tasks.update(id, { status: 'completed' }, { leaseToken: id })

t.test('a temporary failure of a read, an update or a delete is retried', async (t) => {
  const failures: [string, Reply][] = [
    ...[429, 500, 502, 503, 504].map((status): [string, Reply] => [`${status}`, json(status, {})]),
    ['a closed connection', disconnect],
    ['a connection closed within the body', disconnectInBody],
  ]
  for (const [name, reply] of failures) {
    for (const call of [read, update, remove]) {
      const { aklp, requests, retries } = await faulty(t, [reply, reply, success])
      await call(aklp)
      t.equal(requests.length, 3, name)
      t.same(
        retries.map(({ attempt }) => attempt),
        [1, 2],
      )
    }
  }
})

t.test('a conditional update sends its condition', async (t) => {
  const { aklp, requests } = await faulty(t, [success])
  await conditionalUpdate(aklp)
  t.equal(requests[0]!.headers['if-match'], '"2025-12-06T10:00:00.000Z"')
})

t.test('a conditional update is not retried if it may have taken effect', async (t) => {
  for (const reply of [
    ...[500, 502, 503, 504].map((status) => json(status, {})),
    disconnect,
    disconnectInBody,
  ]) {
    for (const change of [conditionalUpdate, updateUnderLease]) {
      const { aklp, requests } = await faulty(t, [reply, success])
      await failure(change(aklp), Error)
      t.equal(requests.length, 1)
    }
  }
})

t.test('a conditional update that had no effect is retried', async (t) => {
  for (const change of [conditionalUpdate, updateUnderLease]) {
    const { aklp, requests } = await faulty(t, [json(429, {}), success])
    await change(aklp)
    t.equal(requests.length, 2)
  }
})

t.test('a create is retried after a refused connection', async (t) => {
  const { server, requests, baseUrl } = await startServer(t, (_, response) => success(response))
  const { port } = new URL(baseUrl)
  await new Promise((resolve) => server.close(resolve))
  const errors: unknown[] = []
  const aklp = createClient({
    baseUrl,
    onRetry: ({ error }) => {
      errors.push(error)
      server.listen(Number(port), '127.0.0.1')
    },
  })
  t.same(await create(aklp), { id })
  t.equal(requests.length, 1)
  t.equal((errors[0] as ConnectionError).maybeSent, false)
  t.match((errors[0] as ConnectionError).message, /^POST \/api\/v1\/tasks failed: .*ECONNREFUSED/)
})

t.test('an error of the request itself is not retried', async (t) => {
  for (const status of [400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 431, 501]) {
    const { aklp, requests } = await faulty(t, [json(status, {}), success])
    const error = await failure(read(aklp), AklpError)
    t.equal(error.status, status)
    t.equal(requests.length, 1)
  }
})

t.test('the number of retries is 2, or what the client or the call sets', async (t) => {
  const byDefault = await faulty(t, [json(503, {})])
  await failure(read(byDefault.aklp), ServerError)
  t.equal(byDefault.requests.length, 3)

  const { aklp, requests } = await faulty(t, [json(503, {})], { retries: 4 })
  await failure(read(aklp), ServerError)
  t.equal(requests.length, 5)
  await failure(aklp.tasks.get(id, { retries: 0 }), ServerError)
  t.equal(requests.length, 6)
})

t.test('the delay before a retry is random, with a maximum that doubles up to 8 seconds', async (t) => {
  for (const [factor, delays] of [
    [0, [0, 0, 0]],
    [0.01, [2.5, 5, 10, 20, 40, 80, 80]],
  ] as const) {
    const { aklp, retries } = await faulty(t, [json(503, {})], { retries: delays.length })
    Math.random = () => factor
    await failure(read(aklp), ServerError)
    t.same(
      retries.map(({ delay }) => delay),
      delays,
    )
  }
})

t.test('a retry waits for Retry-After', async (t) => {
  const { aklp, retries } = await faulty(t, [json(503, {}, { 'retry-after': '1' }), success])
  const start = performance.now()
  await read(aklp)
  t.ok(performance.now() - start >= 990)
  t.equal(retries[0]!.delay, 1000)
})

t.test('a delay that exceeds the timeout ends the call at once', async (t) => {
  const { aklp, requests } = await faulty(t, [json(503, {}, { 'retry-after': '3600' })])
  const start = performance.now()
  const error = await failure(read(aklp), ServerError)
  t.ok(performance.now() - start < 10_000)
  t.equal(error.retryAfter, 3600)
  t.equal(requests.length, 1)
})
