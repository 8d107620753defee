import { getEventListeners } from 'node:events'
import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import {
  AbortError,
  AklpError,
  type Client,
  type ClientOptions,
  ConflictError,
  type ConnectionError,
  createClient,
  InputError,
  NotFoundError,
  RateLimitError,
  type Retry,
  ServerError,
  TimeoutError,
  UnauthorizedError,
  ValidationError,
} from '../src/index.js'
import { failure, startServer } from './support.js'

const id = '019b0f3e-7c00-7000-8000-000000000001'

type Answer = (response: ServerResponse) => void

const json =
  (status: number, body: unknown, headers = {}): Answer =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
const fine = json(200, { id })
const cut: Answer = (response) => response.destroy()
const cutInBody: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 })
  response.write('{"id":', () => response.destroy())
}
const stall: Answer = () => {}
const stallInBody: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 })
  response.write('{"id":')
}

/** A client of a server that gives these answers, one after the other, and the last one from then on. */
async function faulty(t: Test, answers: Answer[], options: Partial<ClientOptions> = {}) {
  const left = [...answers]
  const { requests, baseUrl } = await startServer(t, (request, response) => {
    const answer = left.length > 1 ? left.shift()! : left[0]!
    request.resume().on('end', () => answer(response))
  })
  const retries: Retry[] = []
  const aklp = createClient({ baseUrl, onRetry: (retry) => retries.push(retry), ...options })
  return { aklp, requests, retries, baseUrl }
}

const read = (aklp: Client) => aklp.tasks.get(id)
const change = (aklp: Client) => aklp.tasks.update(id, { status: 'completed' })
const remove = (aklp: Client) => aklp.tasks.delete(id)
const create = (aklp: Client) => aklp.tasks.create({ title: 'a' })

// The waits between tries are as short as they can be drawn, but where a test is about them.
const { random } = Math
t.beforeEach(() => {
  Math.random = () => 0
})
t.teardown(() => {
  Math.random = random
})

t.test('a failure that may pass is tried again, where that does no harm', async (t) => {
  const failures: [string, Answer][] = [
    ...[429, 500, 502, 503, 504].map((status): [string, Answer] => [`${status}`, json(status, {})]),
    ['a cut connection', cut],
    ['a body cut in the middle', cutInBody],
  ]
  for (const [name, answer] of failures) {
    for (const call of [read, change, remove]) {
      const { aklp, requests, retries } = await faulty(t, [answer, answer, fine])
      await call(aklp)
      t.equal(requests.length, 3, name)
      t.same(
        retries.map(({ attempt }) => attempt),
        [1, 2],
      )
    }
  }
})

t.test('a create is tried again under the same key, which no other call has', async (t) => {
  const keys = new Set<unknown>()
  for (const answer of [...[429, 500, 502, 503, 504].map((status) => json(status, {})), cut, cutInBody]) {
    const { aklp, requests } = await faulty(t, [answer, answer, fine])
    await create(aklp)
    const sent = requests.map(({ headers }) => headers['idempotency-key'])
    t.equal(sent.length, 3)
    t.match(sent[0], /^"[0-9a-f]{32}"$/)
    t.equal(new Set(sent).size, 1)
    keys.add(sent[0])
  }
  t.equal(keys.size, 7)
})

t.test('a key of one’s own is sent as it is, in quotes; one that cannot be sent is refused', async (t) => {
  const { aklp, requests } = await faulty(t, [fine])
  for (const [key, sent] of [
    [`${id}:plan:1`, `"${id}:plan:1"`],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['a'.repeat(255), `"${'a'.repeat(255)}"`],
  ] as const) {
    await aklp.tasks.create({ title: 'a' }, { idempotencyKey: key })
    t.equal(requests.at(-1)!.headers['idempotency-key'], sent)
  }
  for (const key of ['', 'a b', '계획', 'a'.repeat(256)]) {
    await failure(aklp.tasks.create({ title: 'a' }, { idempotencyKey: key }), InputError)
  }
  t.equal(requests.length, 3, 'nothing was sent')
})

t.test('an earlier request that is not finished yet is waited for', async (t) => {
  const busy = json(409, { error_code: 'idempotency_in_progress' })
  const { aklp, requests } = await faulty(t, [busy, fine])
  t.same(await create(aklp), { id })
  t.equal(requests.length, 2)
})

t.test('only calls that create have a key', async (t) => {
  const { aklp, requests } = await faulty(t, [fine])
  for (const call of [read, change, remove]) await call(aklp)
  t.same(
    requests.map(({ headers }) => headers['idempotency-key']),
    [undefined, undefined, undefined],
  )
})

t.test('a change on a condition is not tried again where it may have taken effect', async (t) => {
  const changeIf = (aklp: Client) =>
    aklp.tasks.update(id, { status: 'completed' }, { ifUnchangedSince: '2025-12-06T10:00:00.000Z' })
  for (const answer of [...[500, 502, 503, 504].map((status) => json(status, {})), cut, cutInBody]) {
    const { aklp, requests } = await faulty(t, [answer, fine])
    await failure(changeIf(aklp), Error)
    t.equal(requests.length, 1)
    t.equal(requests[0]!.headers['if-match'], '"2025-12-06T10:00:00.000Z"')
  }
  const { aklp, requests } = await faulty(t, [json(429, {}), fine])
  await changeIf(aklp)
  t.equal(requests.length, 2)
})

t.test('a create that found nobody is tried again', async (t) => {
  const { server, requests, baseUrl } = await startServer(t, (_, response) => fine(response))
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
  t.match((errors[0] as ConnectionError).message, /POST \/api\/v1\/tasks was not answered: .*ECONNREFUSED/)
})

t.test('what is wrong with the request is never tried again', async (t) => {
  for (const status of [400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 431, 501]) {
    const { aklp, requests } = await faulty(t, [json(status, {}), fine])
    const error = await failure(read(aklp), AklpError)
    t.equal(error.status, status)
    t.equal(requests.length, 1)
  }
})

t.test('tries are bounded, by the client or by the call', async (t) => {
  const byDefault = await faulty(t, [json(503, {})])
  await failure(read(byDefault.aklp), ServerError)
  t.equal(byDefault.requests.length, 3)

  const { aklp, requests } = await faulty(t, [json(503, {})], { retries: 4 })
  await failure(read(aklp), ServerError)
  t.equal(requests.length, 5)
  await failure(aklp.tasks.get(id, { retries: 0 }), ServerError)
  t.equal(requests.length, 6)
})

t.test(
  'the wait before a try is drawn from zero up to a bound that doubles, to 8 seconds at most',
  async (t) => {
    for (const [drawn, bounds] of [
      [0, [0, 0, 0]],
      [0.01, [2.5, 5, 10, 20, 40, 80, 80]],
    ] as const) {
      const { aklp, retries } = await faulty(t, [json(503, {})], { retries: bounds.length })
      Math.random = () => drawn
      await failure(read(aklp), ServerError)
      t.same(
        retries.map(({ delay }) => delay),
        bounds,
      )
    }
  },
)

t.test('Retry-After is waited for, in seconds or as a date', async (t) => {
  const inSeconds = await faulty(t, [json(503, {}, { 'retry-after': '1' }), fine])
  const start = performance.now()
  await read(inSeconds.aklp)
  t.ok(performance.now() - start >= 990, 'a second')
  t.equal(inSeconds.retries[0]!.delay, 1000)

  const date = new Date(Date.now() + 2_000).toUTCString()
  const untilDate = await faulty(t, [json(429, {}, { 'retry-after': date }), fine])
  await read(untilDate.aklp)
  const { delay, error } = untilDate.retries[0]!
  t.ok(delay > 0 && delay <= 2000, `${delay}`)
  t.ok(error instanceof RateLimitError)

  const unreadable = await faulty(t, [json(503, {}, { 'retry-after': 'soon' }), fine])
  await read(unreadable.aklp)
  t.equal(unreadable.retries[0]!.delay, 0)
})

t.test('a wait that would outlast the timeout is not begun', async (t) => {
  const { aklp, requests } = await faulty(t, [json(503, {}, { 'retry-after': '3600' })])
  const start = performance.now()
  const error = await failure(read(aklp), ServerError)
  t.ok(performance.now() - start < 10_000)
  t.equal(error.retryAfter, 3600)
  t.equal(requests.length, 1)
})

t.test('the timeout ends a call wherever it hangs', async (t) => {
  const never = new Promise<never>(() => {})
  const hanging: [string, Answer, Partial<ClientOptions>][] = [
    ['no answer', stall, {}],
    ['half an answer', stallInBody, {}],
    ['a token that does not come', fine, { token: () => never }],
    ['a fetch that heeds no signal', fine, { fetch: () => never }],
  ]
  for (const [name, answer, options] of hanging) {
    const { aklp } = await faulty(t, [answer], { timeout: 50, ...options })
    const error = await failure(read(aklp), TimeoutError)
    t.match(error.message, 'GET /api/v1/tasks/{task_id} was not finished within 50 ms', name)
  }
  const { aklp } = await faulty(t, [stall])
  await failure(aklp.tasks.get(id, { timeout: 50 }), TimeoutError)
})

t.test('the timeout spans all tries', async (t) => {
  const { aklp, requests } = await faulty(t, [json(503, {}), stall], { timeout: 500 })
  await failure(read(aklp), TimeoutError)
  t.equal(requests.length, 2)
})

t.test('a timeout longer than timers can be is no timeout of nothing', async (t) => {
  const { aklp } = await faulty(t, [fine], { timeout: Number.POSITIVE_INFINITY })
  t.same(await read(aklp), { id })
})

t.test('a signal ends a call wherever it is, and its reason is kept', async (t) => {
  const reason = new Error('the learner left')
  for (const owner of ['client', 'call']) {
    for (const answer of [stall, stallInBody, json(503, {}, { 'retry-after': '20' })]) {
      const controller = new AbortController()
      const { signal } = controller
      const thenAbort: Answer = (response) => {
        answer(response)
        setTimeout(() => controller.abort(reason), 50)
      }
      const { aklp, requests } = await faulty(t, [thenAbort], owner === 'client' ? { signal } : {})
      const error = await failure(aklp.tasks.get(id, owner === 'call' ? { signal } : {}), AbortError)
      t.equal(error.cause, reason)
      t.match(error.message, 'GET /api/v1/tasks/{task_id} was aborted: the learner left')
      t.equal(requests.length, 1)
    }
  }
})

t.test('with a signal that has aborted, nothing is sent', async (t) => {
  const { aklp, requests } = await faulty(t, [fine])
  await failure(aklp.tasks.create({ title: 'a' }, { signal: AbortSignal.abort() }), AbortError)
  t.equal(requests.length, 0)
})

t.test('a signal that lives long keeps nothing of the calls it went along with', async (t) => {
  const { signal } = new AbortController()
  const { aklp } = await faulty(t, [fine, json(404, {}), fine], { signal })
  await read(aklp)
  await failure(read(aklp), NotFoundError)
  await aklp.tasks.get(id, { signal })
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

t.test('a redirect is not followed: a create would come back as a list', async (t) => {
  const { aklp, requests } = await faulty(t, [json(301, {}, { location: '/health' }), fine])
  const error = await failure(create(aklp), AklpError)
  t.equal(error.status, 301)
  t.equal(requests.length, 1)
})

t.test('what is not an answer of the service is told by what it is', async (t) => {
  const html = '<!doctype html><title>502 Bad Gateway</title>'
  const answers: [number, string, abstract new (...input: any[]) => AklpError][] = [
    [200, html, AklpError],
    [200, '{"id": "019b', AklpError],
    [200, '', AklpError],
    [502, html, ServerError],
    [500, '{"type": "urn:aklp', ServerError],
    [404, '', NotFoundError],
    [418, '"teapot"', AklpError],
    [503, 'null', ServerError],
  ]
  for (const [status, text, Kind] of answers) {
    const { aklp } = await faulty(t, [
      (response) => response.writeHead(status, { 'x-request-id': 'of-the-proxy' }).end(text),
    ])
    const error = await failure(read(aklp), Kind)
    t.equal(error.constructor, Kind)
    t.equal(error.status, status)
    t.equal(error.error_code, undefined)
    t.equal(error.problem, undefined)
    t.equal(error.requestId, 'of-the-proxy')
    t.equal(
      error.message,
      `${status}: The answer is not one of the task service. Is baseUrl right? It begins: ${text}`,
    )
  }
})

t.test('an error has a class by its kind, and all that the problem says', async (t) => {
  const kinds: [number, typeof AklpError][] = [
    [400, ValidationError],
    [401, UnauthorizedError],
    [403, UnauthorizedError],
    [404, NotFoundError],
    [409, ConflictError],
    [413, AklpError],
    [422, ValidationError],
    [429, RateLimitError],
    [500, ServerError],
    [503, ServerError],
  ]
  for (const [status, Kind] of kinds) {
    const problem = {
      type: 'urn:aklp:problem:task_not_found',
      title: 'No such task',
      status,
      detail: 'There is no task with this id. List the tasks to see which there are.',
      instance: `/api/v1/tasks/${id}`,
      error_code: 'task_not_found',
      request_id: 'r1',
    }
    const { aklp } = await faulty(t, [json(status, problem)])
    const error = await failure(read(aklp), AklpError)
    t.equal(error.constructor, Kind)
    t.equal(error.name, Kind.name)
    t.equal(error.message, `${status} task_not_found: ${problem.detail}`)
    t.equal(error.error_code, 'task_not_found')
    t.equal(error.detail, problem.detail)
    t.same(error.errors, [])
    t.equal(error.requestId, 'r1')
    t.same(error.problem, problem)
  }
})

t.test('the message of a validation error names every mistake', async (t) => {
  const errors = [
    {
      in: 'body',
      path: 'status',
      message: 'must be pending, in_progress or completed',
      did_you_mean: 'completed',
    },
    { in: 'path', path: 'task_id', message: 'must be a UUID' },
    { in: 'body', path: '', message: 'must be an object, not null' },
  ]
  const problem = {
    title: 'The request breaks the schema',
    detail: '…',
    error_code: 'validation_error',
    errors,
    error_count: 5,
  }
  const { aklp } = await faulty(t, [json(422, problem)])
  const error = await failure(change(aklp), ValidationError)
  t.same(error.errors, errors)
  t.equal(
    error.message,
    [
      '422 validation_error: The request breaks the schema',
      '- body status must be pending, in_progress or completed; did you mean completed?',
      '- path task_id must be a UUID',
      '- body must be an object, not null',
      '- and 2 more',
    ].join('\n'),
  )
})
