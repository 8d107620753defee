import t from 'tap'
import {
  AklpError,
  ConflictError,
  DependencyCycleError,
  LeaseLostError,
  NotFoundError,
  RateLimitError,
  ServerError,
  TaskBlockedError,
  TaskClaimedError,
  UnauthorizedError,
  ValidationError,
} from '../src/index.js'
import { create, faulty, id, json, read, success, update, withoutDelays } from './faulty.js'
import { failure } from './support.js'

withoutDelays(t)

t.test('a redirect is an error: fetch would turn a create into a list', async (t) => {
  const { aklp, requests } = await faulty(t, [json(301, {}, { location: '/health' }), success])
  const error = await failure(create(aklp), AklpError)
  t.equal(error.status, 301)
  t.equal(requests.length, 1)
})

t.test(
  'a response that is not from the service is an error with its status and first characters',
  async (t) => {
    const html = '<!doctype html><title>502 Bad Gateway</title>'
    const replies: [number, string, abstract new (...input: any[]) => AklpError][] = [
      [200, html, AklpError],
      [200, '{"id": "019b', AklpError],
      [200, '', AklpError],
      [502, html, ServerError],
      [500, '{"type": "urn:aklp', ServerError],
      [404, '', NotFoundError],
      [418, '"teapot"', AklpError],
      [503, 'null', ServerError],
    ]
    for (const [status, text, Kind] of replies) {
      const { aklp } = await faulty(t, [
        (response) => response.writeHead(status, { 'x-request-id': 'from-the-proxy' }).end(text),
      ])
      const error = await failure(read(aklp), Kind)
      t.equal(error.constructor, Kind)
      t.equal(error.status, status)
      t.equal(error.error_code, undefined)
      t.equal(error.problem, undefined)
      t.equal(error.requestId, 'from-the-proxy')
      t.equal(
        error.message,
        `${status}: The response is not from the task service. Check baseUrl. The response starts with: ${text}`,
      )
    }
  },
)

t.test('each status has an error class, which has all fields of the problem', async (t) => {
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
      title: 'Task not found',
      status,
      detail: 'No task has this id.',
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

t.test('a conflict between agents has an error class of its own, and is not retried', async (t) => {
  const current = { id, claimed_by: 'agent-2' }
  const open_blockers = [{ id, key: 'create-pod', title: 'nginx Pod 생성하기', status: 'pending' }]
  const kinds: [string, number, object, typeof AklpError, typeof AklpError][] = [
    ['task_blocked', 409, { open_blockers }, TaskBlockedError, ConflictError],
    ['task_claimed', 409, { current }, TaskClaimedError, ConflictError],
    ['lease_lost', 409, { current }, LeaseLostError, ConflictError],
    ['dependency_cycle', 422, {}, DependencyCycleError, ValidationError],
  ]
  for (const [error_code, status, extras, Kind, Parent] of kinds) {
    const { aklp, requests } = await faulty(t, [
      json(status, { error_code, detail: '…', ...extras }),
      success,
    ])
    const error = await failure(update(aklp), Parent)
    t.equal(error.constructor, Kind)
    t.equal(error.name, Kind.name)
    t.equal(error.error_code, error_code)
    t.match(error, {
      ...('current' in extras && { current }),
      ...('open_blockers' in extras && { openBlockers: open_blockers }),
    })
    t.equal(requests.length, 1)
  }
})

t.test('retryAfter has the seconds of Retry-After, which may also be a date', async (t) => {
  const inTwoSeconds = new Date(Date.now() + 2_000).toUTCString()
  const seconds = async (value: string) => {
    const { aklp } = await faulty(t, [json(429, {}, { 'retry-after': value })], { retries: 0 })
    return (await failure(read(aklp), RateLimitError)).retryAfter
  }
  t.equal(await seconds('3600'), 3600)
  const untilDate = await seconds(inTwoSeconds)
  t.ok(untilDate! > 0 && untilDate! <= 2, `${untilDate}`)
  t.equal(await seconds('soon'), undefined)
})

t.test('the message of a validation error lists every error and where it is', async (t) => {
  const errors = [
    {
      in: 'body',
      path: 'tasks[3].status',
      message: 'must be pending, in_progress or completed',
      did_you_mean: 'completed',
    },
    { in: 'body', path: 'titel', message: 'unknown field; allowed: title, priority', did_you_mean: 'title' },
    { in: 'path', path: 'task_id', message: 'must be a UUID' },
    { in: 'body', path: '', message: 'must be an object, not null' },
  ]
  const problem = {
    title: 'The request is invalid',
    detail: '…',
    error_code: 'validation_error',
    errors,
    error_count: 6,
  }
  const { aklp } = await faulty(t, [json(422, problem)])
  const error = await failure(update(aklp), ValidationError)
  t.same(error.errors, errors)
  t.equal(
    error.message,
    [
      '422 validation_error: The request is invalid',
      '- body.tasks[3].status: must be pending, in_progress or completed. Did you mean completed?',
      '- body.titel: unknown field; allowed: title, priority. Did you mean title?',
      '- path.task_id: must be a UUID',
      '- body: must be an object, not null',
      '- and 2 more',
    ].join('\n'),
  )
})
