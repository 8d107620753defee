import t from 'tap'
import { type ClientOptions, createClient, InputError } from '../src/index.js'
import { failure } from './support.js'

const id = '019b0f3e-7c00-7000-8000-000000000001'
const session_id = '550e8400-e29b-41d4-a716-446655440001'
const tasks = [{ title: 'Pod 개념 이해하기' }]

/** A client whose requests are kept and answered with the same JSON. */
function observed(options: Partial<ClientOptions> = {}, answer: unknown = { items: [], has_next: false }) {
  const requests: { method: string; url: string; headers: Headers; body: unknown }[] = []
  const aklp = createClient({
    baseUrl: 'http://tasks.test',
    fetch: async (url, init) => {
      const request = new Request(url, init)
      const text = await request.text()
      requests.push({
        method: request.method,
        url: request.url.slice('http://tasks.test'.length),
        headers: request.headers,
        body: text === '' ? undefined : JSON.parse(text),
      })
      return Response.json(answer)
    },
    ...options,
  })
  return { aklp, requests }
}

t.test('every operation sends its method, path, query and body', async (t) => {
  const { aklp, requests } = observed()
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
  await aklp.batches.create({ session_id, reason: 'because', tasks })
  await aklp.batches.list({ session_id })
  await aklp.batches.latest()
  await aklp.batches.latest({ session_id })
  await aklp.batches.get(id)
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
      ['POST', '/api/v1/batches', { session_id, reason: 'because', tasks }],
      ['GET', `/api/v1/batches?session_id=${session_id}`, undefined],
      ['GET', '/api/v1/batches/latest', undefined],
      ['GET', `/api/v1/batches/latest?session_id=${session_id}`, undefined],
      ['GET', `/api/v1/batches/${id}`, undefined],
      ['GET', '/health', undefined],
    ],
  )
})

t.test('a body is announced as JSON, and only a body', async (t) => {
  const { aklp, requests } = observed()
  await aklp.tasks.create({ title: 'a' })
  await aklp.tasks.delete(id)
  t.equal(requests[0]!.headers.get('content-type'), 'application/json')
  t.equal(requests[1]!.headers.get('content-type'), null)
  for (const { headers } of requests) t.equal(headers.get('accept'), 'application/json')
})

t.test('the path of baseUrl is kept, with or without a slash at its end', async (t) => {
  for (const baseUrl of ['http://tasks.test/aklp', 'http://tasks.test/aklp/']) {
    const { aklp, requests } = observed({ baseUrl })
    await aklp.tasks.get(id)
    t.equal(requests[0]!.url, `/aklp/api/v1/tasks/${id}`)
  }
})

t.test('a baseUrl that is none is refused when the client is made', async (t) => {
  for (const baseUrl of ['', 'localhost:8001', '/api', 'ftp://tasks.test']) {
    t.throws(() => createClient({ baseUrl }), TypeError, baseUrl)
  }
})

t.test('an id cannot lead to another path', async (t) => {
  const { aklp, requests } = observed()
  await aklp.tasks.get('../batches?a=b#c/ü')
  t.equal(requests[0]!.url, '/api/v1/tasks/..%2Fbatches%3Fa%3Db%23c%2F%C3%BC')
  for (const bad of ['', '.', '..', undefined, null] as string[]) {
    const error = await failure(aklp.tasks.delete(bad), InputError)
    t.match(error.message, 'task_id must be an id')
  }
  t.equal(requests.length, 1, 'nothing was sent')
})

t.test('query values are encoded, and those that are undefined are left out', async (t) => {
  const { aklp, requests } = observed()
  await aklp.tasks.list({ status: 'a&b=c d+é' as 'pending', page: undefined as unknown as number })
  t.equal(new URL(requests[0]!.url, 'http://tasks.test').searchParams.get('status'), 'a&b=c d+é')
  t.notMatch(requests[0]!.url, 'page')
})

t.test('a Date is sent as its time in UTC, and an invalid one is not sent as null', async (t) => {
  const { aklp, requests } = observed()
  const due_date = new Date('2025-12-31T18:00:00+09:00')
  await aklp.batches.create({ tasks: [{ title: 'a', due_date }] })
  t.same(requests[0]!.body, { tasks: [{ title: 'a', due_date: '2025-12-31T09:00:00.000Z' }] })
  const error = await failure(aklp.tasks.update(id, { due_date: new Date('tomorrow') }), InputError)
  t.match(error.message, 'due_date is an invalid Date')
  t.equal(requests.length, 1)
})

t.test('headers of the call go before those of the client, whatever their case', async (t) => {
  const { aklp, requests } = observed({ headers: { 'X-Request-ID': 'client', 'x-team': 'a' } })
  await aklp.health.get()
  await aklp.health.get({ headers: { 'x-request-id': 'call' } })
  t.equal(requests[0]!.headers.get('x-request-id'), 'client')
  t.equal(requests[1]!.headers.get('x-request-id'), 'call')
  t.equal(requests[1]!.headers.get('x-team'), 'a')
})

t.test('the token goes along as bearer, and a function is asked for each request', async (t) => {
  const fixed = observed({ token: 'secret' })
  await fixed.aklp.health.get()
  t.equal(fixed.requests[0]!.headers.get('authorization'), 'Bearer secret')

  let asked = 0
  const fresh = observed({ token: async () => `token-${++asked}` })
  await fresh.aklp.health.get()
  await fresh.aklp.health.get()
  t.same(
    fresh.requests.map(({ headers }) => headers.get('authorization')),
    ['Bearer token-1', 'Bearer token-2'],
  )

  const none = observed()
  await none.aklp.health.get()
  t.equal(none.requests[0]!.headers.get('authorization'), null)
})

t.test('a session goes along with every call that takes one, and nothing leads out of it', async (t) => {
  const { aklp, requests } = observed()
  const session = aklp.session(session_id)
  const other = { session_id: '00000000-0000-4000-8000-000000000000' }
  await session.tasks.create({ title: 'a' })
  await session.tasks.create({ title: 'a', ...other })
  await session.tasks.list({ status: 'pending' })
  await session.tasks.list({ ...other, session_id: undefined } as object)
  await session.batches.create({ reason: 'because', tasks })
  await session.batches.list()
  await session.batches.latest()
  for await (const _ of session.tasks.each());
  await session.tasks.update(id, { status: 'completed' })
  await session.tasks.bulkUpdate([{ id }])
  t.same(
    requests.map(({ url, body }) => [url, body]),
    [
      ['/api/v1/tasks', { title: 'a', session_id }],
      ['/api/v1/tasks', { title: 'a', session_id }],
      [`/api/v1/tasks?status=pending&session_id=${session_id}`, undefined],
      [`/api/v1/tasks?session_id=${session_id}`, undefined],
      ['/api/v1/batches', { reason: 'because', tasks, session_id }],
      [`/api/v1/batches?session_id=${session_id}`, undefined],
      [`/api/v1/batches/latest?session_id=${session_id}`, undefined],
      [`/api/v1/tasks?limit=100&page=1&session_id=${session_id}`, undefined],
      [`/api/v1/tasks/${id}`, { status: 'completed' }],
      ['/api/v1/tasks/bulk', { tasks: [{ id }] }],
    ],
  )
})

t.test('a session without an id is refused: its calls would be for all sessions', async (t) => {
  const { aklp } = observed()
  t.throws(() => aklp.session(''), TypeError)
  t.throws(() => aklp.session(undefined as unknown as string), TypeError)
})

t.test('each asks for page after page, in pages as large as they may be or as given', async (t) => {
  const urls: string[] = []
  const aklp = createClient({
    baseUrl: 'http://tasks.test',
    fetch: async (url) => {
      urls.push(url)
      const page = Number(new URL(url).searchParams.get('page'))
      return Response.json({ items: [{ id: `${page}` }, { id: 'moved' }], has_next: page < 3 })
    },
  })
  const seen: string[] = []
  for await (const { id } of aklp.tasks.each({ status: 'pending' })) seen.push(id)
  t.same(seen, ['1', 'moved', '2', '3'], 'an item that moved to a later page comes once')
  t.same(
    urls.map((url) => new URL(url).search),
    [1, 2, 3].map((page) => `?limit=100&status=pending&page=${page}`),
  )
  urls.length = 0
  await aklp.batches.each({ limit: 7 }).next()
  t.match(urls[0], 'limit=7')
})

t.test('null is an answer, and so is none', async (t) => {
  t.equal(await observed({}, null).aklp.batches.latest(), null)
  const aklp = createClient({
    baseUrl: 'http://tasks.test',
    fetch: async () => new Response(null, { status: 204 }),
  })
  t.equal(await aklp.tasks.delete(id), undefined)
})

t.test('without a fetch of its own, a client uses the global one of the moment', async (t) => {
  const aklp = createClient({ baseUrl: 'http://tasks.test' })
  const { fetch } = globalThis
  t.teardown(() => {
    globalThis.fetch = fetch
  })
  globalThis.fetch = async () => Response.json({ status: 'healthy' })
  t.same(await aklp.health.get(), { status: 'healthy' })
})
