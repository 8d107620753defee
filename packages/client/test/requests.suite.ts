import t from 'tap'
import { createClient, InputError } from '../src/index.js'
import { recording } from './recording.js'
import { failure } from './support.js'

const id = '019b0f3e-7c00-7000-8000-000000000001'
const session_id = '550e8400-e29b-41d4-a716-446655440001'
const tasks = [{ title: 'Pod 개념 이해하기' }]

t.test('every method sends the HTTP method, path, query and body of its operation', async (t) => {
  const { aklp, requests } = recording()
  await aklp.tasks.create({ title: 'a' })
  await aklp.tasks.list()
  await aklp.tasks.list({
    session_id,
    status: 'pending',
    page: 2,
    limit: 5,
    sort_by: 'priority',
    order: 'asc',
  })
  await aklp.tasks.get(id)
  await aklp.tasks.update(id, { status: 'completed', due_date: null })
  await aklp.tasks.delete(id)
  await aklp.tasks.bulkUpdate([{ id, status: 'completed' }])
  await aklp.tasks.bulkDelete([id])
  await aklp.tasks.claimNext({ worker: 'agent-1', session_id })
  await aklp.tasks.claim(id, { worker: 'agent-1' })
  await aklp.tasks.renewLease(id, { token: id, lease_seconds: 60 })
  await aklp.tasks.release(id, { token: id, not_before: new Date('2025-12-31T00:00:00Z') })
  await aklp.batches.create({ session_id, reason: 'because', tasks })
  await aklp.batches.list({ session_id })
  await aklp.batches.latest()
  await aklp.batches.latest({ session_id })
  await aklp.batches.get(id)
  await aklp.batches.extend(id, tasks)
  await aklp.sessions.get(session_id)
  await aklp.health.get()
  t.same(
    requests.map(({ method, url, body }) => [method, url, body]),
    [
      ['POST', '/api/v1/tasks', { title: 'a' }],
      ['GET', '/api/v1/tasks', undefined],
      [
        'GET',
        `/api/v1/tasks?session_id=${session_id}&status=pending&page=2&limit=5&sort_by=priority&order=asc`,
        undefined,
      ],
      ['GET', `/api/v1/tasks/${id}`, undefined],
      ['PUT', `/api/v1/tasks/${id}`, { status: 'completed', due_date: null }],
      ['DELETE', `/api/v1/tasks/${id}`, undefined],
      ['PUT', '/api/v1/tasks/bulk', { tasks: [{ id, status: 'completed' }] }],
      ['DELETE', '/api/v1/tasks/bulk', { ids: [id] }],
      ['POST', '/api/v1/tasks/claim', { worker: 'agent-1', session_id }],
      ['POST', `/api/v1/tasks/${id}/claim`, { worker: 'agent-1' }],
      ['POST', `/api/v1/tasks/${id}/renew`, { token: id, lease_seconds: 60 }],
      ['POST', `/api/v1/tasks/${id}/release`, { token: id, not_before: '2025-12-31T00:00:00.000Z' }],
      ['POST', '/api/v1/batches', { session_id, reason: 'because', tasks }],
      ['GET', `/api/v1/batches?session_id=${session_id}`, undefined],
      ['GET', '/api/v1/batches/latest', undefined],
      ['GET', `/api/v1/batches/latest?session_id=${session_id}`, undefined],
      ['GET', `/api/v1/batches/${id}`, undefined],
      ['POST', `/api/v1/batches/${id}/tasks`, { tasks }],
      ['GET', `/api/v1/sessions/${session_id}`, undefined],
      ['GET', '/health', undefined],
    ],
  )
})

t.test('only a request with a body has a Content-Type', async (t) => {
  const { aklp, requests } = recording()
  await aklp.tasks.create({ title: 'a' })
  await aklp.tasks.delete(id)
  t.equal(requests[0]!.headers.get('content-type'), 'application/json')
  t.equal(requests[1]!.headers.get('content-type'), null)
  for (const { headers } of requests) t.equal(headers.get('accept'), 'application/json')
})

t.test('the path of baseUrl is kept, with or without a trailing slash', async (t) => {
  for (const baseUrl of ['http://tasks.test/aklp', 'http://tasks.test/aklp/']) {
    const { aklp, requests } = recording({ baseUrl })
    await aklp.tasks.get(id)
    t.equal(requests[0]!.url, `/aklp/api/v1/tasks/${id}`)
  }
})

t.test('an invalid baseUrl throws when the client is created', async (t) => {
  for (const baseUrl of ['', 'localhost:8001', '/api', 'ftp://tasks.test']) {
    t.throws(() => createClient({ baseUrl }), TypeError, baseUrl)
  }
})

t.test('an id is encoded, so it cannot lead to another path', async (t) => {
  const { aklp, requests } = recording()
  await aklp.tasks.get('../batches?a=b#c/ü')
  t.equal(requests[0]!.url, '/api/v1/tasks/..%2Fbatches%3Fa%3Db%23c%2F%C3%BC')
})

t.test('an empty id or a dot segment is rejected before a request is sent', async (t) => {
  const { aklp, requests } = recording()
  for (const bad of ['', '.', '..', undefined, null] as string[]) {
    const error = await failure(aklp.tasks.delete(bad), InputError)
    t.match(error.message, 'task_id must be an id')
  }
  t.equal(requests.length, 0)
})

t.test('query values are encoded, and undefined values are omitted', async (t) => {
  const { aklp, requests } = recording()
  await aklp.tasks.list({ status: 'a&b=c d+é' as 'pending', page: undefined as unknown as number })
  t.equal(new URL(requests[0]!.url, 'http://tasks.test').searchParams.get('status'), 'a&b=c d+é')
  t.notMatch(requests[0]!.url, 'page')
})

t.test('a Date is sent as a UTC timestamp', async (t) => {
  const { aklp, requests } = recording()
  const due_date = new Date('2025-12-31T18:00:00+09:00')
  await aklp.batches.create({ tasks: [{ title: 'a', due_date }] })
  t.same(requests[0]!.body, { tasks: [{ title: 'a', due_date: '2025-12-31T09:00:00.000Z' }] })
})

t.test('an invalid Date is rejected, not sent as null', async (t) => {
  const { aklp, requests } = recording()
  const error = await failure(aklp.tasks.update(id, { due_date: new Date('tomorrow') }), InputError)
  t.match(error.message, 'due_date is an invalid Date')
  t.equal(requests.length, 0)
})

t.test('a lease token is sent as a header of a change', async (t) => {
  const { aklp, requests } = recording()
  await aklp.tasks.update(id, { title: 'a' }, { leaseToken: session_id })
  await aklp.tasks.delete(id, { leaseToken: session_id })
  await aklp.tasks.update(id, { title: 'a' })
  t.same(
    requests.map(({ headers }) => headers.get('lease-token')),
    [session_id, session_id, null],
  )
})

t.test('headers of a call override those of the client, whatever their case', async (t) => {
  const { aklp, requests } = recording({ headers: { 'X-Request-ID': 'client', 'x-team': 'a' } })
  await aklp.health.get()
  await aklp.health.get({ headers: { 'x-request-id': 'call' } })
  t.equal(requests[0]!.headers.get('x-request-id'), 'client')
  t.equal(requests[1]!.headers.get('x-request-id'), 'call')
  t.equal(requests[1]!.headers.get('x-team'), 'a')
})

t.test('a token is sent as a bearer token', async (t) => {
  const { aklp, requests } = recording({ token: 'secret' })
  await aklp.health.get()
  t.equal(requests[0]!.headers.get('authorization'), 'Bearer secret')
})

t.test('a token function is called for each request', async (t) => {
  let calls = 0
  const { aklp, requests } = recording({ token: async () => `token-${++calls}` })
  await aklp.health.get()
  await aklp.health.get()
  t.same(
    requests.map(({ headers }) => headers.get('authorization')),
    ['Bearer token-1', 'Bearer token-2'],
  )
})

t.test('without a token there is no Authorization header', async (t) => {
  const { aklp, requests } = recording()
  await aklp.health.get()
  t.equal(requests[0]!.headers.get('authorization'), null)
})

t.test('a JSON null is returned as null, and an empty response as undefined', async (t) => {
  t.equal(await recording({}, null).aklp.batches.latest(), null)
  const aklp = createClient({
    baseUrl: 'http://tasks.test',
    fetch: async () => new Response(null, { status: 204 }),
  })
  t.equal(await aklp.tasks.delete(id), undefined)
})

t.test('without a fetch option the client uses the current global fetch', async (t) => {
  const aklp = createClient({ baseUrl: 'http://tasks.test' })
  const { fetch } = globalThis
  t.teardown(() => {
    globalThis.fetch = fetch
  })
  globalThis.fetch = async () => Response.json({ status: 'healthy' })
  t.same(await aklp.health.get(), { status: 'healthy' })
})
