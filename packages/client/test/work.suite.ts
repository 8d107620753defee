import { getEventListeners } from 'node:events'
import t from 'tap'
import {
  AbortError,
  AklpError,
  type Claim,
  type ClaimRequest,
  ConnectionError,
  InputError,
  LeaseLostError,
  type Operations,
  type Progress,
  RateLimitError,
  type RequestOptions,
  type Task,
  UnauthorizedError,
  ValidationError,
  type WatchOptions,
  type WorkFunction,
  type WorkOptions,
} from '../src/index.js'
import { type Time, work } from '../src/work.js'
import { withoutDelays } from './faulty.js'
import { failure } from './support.js'

withoutDelays(t)

/** Lets everything happen that needs no time. */
const settle = () => new Promise(setImmediate)

/** A clock that stands still until it is moved. */
function drivenTime() {
  let now = 0
  const sleeping = new Set<{ until: number; wake: () => void }>()
  const time: Time = {
    now: () => now,
    sleep: (milliseconds, signal) =>
      new Promise((resolve) => {
        const sleeper = {
          until: now + Math.max(0, milliseconds),
          wake: () => {
            sleeping.delete(sleeper)
            resolve()
          },
        }
        sleeping.add(sleeper)
        signal.addEventListener('abort', sleeper.wake)
        if (signal.aborted) sleeper.wake()
      }),
  }
  const advance = async (seconds: number) => {
    const end = now + seconds * 1000
    await settle()
    while (true) {
      const [next] = [...sleeping].sort((a, b) => a.until - b.until)
      if (!next || next.until > end) break
      now = Math.max(now, next.until)
      next.wake()
      await settle()
    }
    now = end
  }
  /** Moves the clock as a machine does that was asleep. */
  const jump = (seconds: number) => {
    now += seconds * 1000
    return advance(0)
  }
  return { time, advance, jump, sleeping, seconds: () => now / 1000 }
}

const SERVICE_START = Date.parse('2030-01-01T00:00:00Z')
const progress = (counts: Partial<Progress>): Progress => ({
  total: 2,
  pending: 0,
  in_progress: 0,
  completed: 0,
  ready: 0,
  blocked: 0,
  deferred: 0,
  overdue: 0,
  percent: 0,
  last_activity_at: '2030-01-01T00:00:00.000Z',
  ...counts,
})
const nothing = (counts: Partial<Progress>): Claim => ({
  task: null,
  lease: null,
  progress: progress(counts),
})
const done = nothing({ completed: 2 })
const othersWork = nothing({ completed: 1, in_progress: 1 })

function problem(status: number, error_code: string): AklpError {
  const Kind = { 401: UnauthorizedError, 409: LeaseLostError, 422: ValidationError }[status] ?? AklpError
  return new Kind({ status, headers: new Headers() }, JSON.stringify({ error_code, detail: '…' }))
}
const leaseLost = problem(409, 'lease_lost')
const unreachable = new ConnectionError('POST /api/v1/tasks/claim', new Error('no route'))

/** A stream of events that does not begin. */
async function* neverBegins({ signal }: WatchOptions): AsyncGenerator<void> {
  await new Promise((_, reject) => signal!.addEventListener('abort', reject))
}

/** What the service answers to a claim: a task of this name, an answer, or an error. */
type Answer = string | Claim | Error | Promise<Claim>

/**
 * The work on a service whose answers are given, and whose clock is not ours. The answers to claims come in order; the
 * last one is repeated.
 */
function working(
  answers: Answer[],
  run: WorkFunction,
  {
    attempts = 1,
    renewals = [],
    releases,
    watch = neverBegins,
    ...options
  }: Partial<WorkOptions> & {
    attempts?: number
    renewals?: (Error | undefined)[]
    releases?: Error
    watch?: Parameters<typeof work>[1]
  } = {},
) {
  const driven = drivenTime()
  const claims: (ClaimRequest & { key?: string | undefined; at: number })[] = []
  const released: { id: string; token: string; not_before?: unknown; note?: string }[] = []
  const notes: unknown[] = []
  const renewed: { id: string; token: string; at: number }[] = []
  const renewTimeouts = new Set<number | undefined>()
  const lease_seconds = options.lease_seconds ?? 900
  const leaseOf = (id: string) => ({
    token: `token of ${id}`,
    expires_at: new Date(SERVICE_START + (driven.seconds() + lease_seconds) * 1000).toISOString(),
  })
  const left = [...answers]
  const tasks = {
    async claimNext(body: ClaimRequest, options?: { idempotencyKey?: string }) {
      claims.push({ ...JSON.parse(JSON.stringify(body)), key: options?.idempotencyKey, at: driven.seconds() })
      const answer = left.length > 1 ? left.shift()! : left[0]!
      if (answer instanceof Error) throw answer
      if (typeof answer !== 'string') return answer
      return { task: { id: answer, attempts } as Task, lease: leaseOf(answer), progress: null }
    },
    async renewLease(id: string, { token }: { token: string }, options?: RequestOptions) {
      renewTimeouts.add(options?.timeout)
      renewed.push({ id, token, at: driven.seconds() })
      const error = renewals.length > 1 ? renewals.shift() : renewals[0]
      if (error) throw error
    },
    async release(id: string, body: { token: string; not_before?: Date; note?: string }) {
      released.push({ id, ...body, ...(body.not_before && { not_before: body.not_before.toISOString() }) })
      if (releases && !(releases instanceof ValidationError && !body.note)) throw releases
    },
    async update(...update: unknown[]) {
      notes.push(update)
    },
  }
  const result = work(
    tasks as unknown as Operations['tasks'],
    watch,
    { worker: 'agent-1', ...options },
    run,
    driven.time,
  )
  result.catch(() => {})
  return { ...driven, claims, released, notes, renewed, renewTimeouts, result }
}

/** A work function whose tasks run until the test ends them. */
function held() {
  const tasks: {
    id: string
    signal: AbortSignal
    end: (result?: string) => void
    fail: (error: Error) => void
  }[] = []
  const run: WorkFunction = ({ id }, { signal }) =>
    new Promise<string | undefined>((end, fail) => tasks.push({ id, signal, end, fail }))
  return { tasks, run: run as WorkFunction }
}

t.test(
  'work completes a task with what its function returns, and takes the next in the same call',
  async (t) => {
    const { result, claims, released } = working(['a', 'b', 'c', done], ({ id }) =>
      id === 'a' ? 'result of a' : id === 'b' ? null : undefined,
    )
    t.same(await result, { outcome: 'done', progress: done.progress })
    t.same(
      claims.map(({ key: _, at: __, ...body }) => body),
      [
        { worker: 'agent-1', lease_seconds: 900, resume: true },
        {
          worker: 'agent-1',
          lease_seconds: 900,
          resume: false,
          done: { task_id: 'a', token: 'token of a', result: 'result of a' },
        },
        {
          worker: 'agent-1',
          lease_seconds: 900,
          resume: false,
          done: { task_id: 'b', token: 'token of b', result: null },
        },
        { worker: 'agent-1', lease_seconds: 900, resume: false, done: { task_id: 'c', token: 'token of c' } },
      ],
    )
    t.equal(new Set(claims.map(({ key }) => key)).size, 4, 'each claim has a key of its own')
    t.same(released, [])
  },
)

t.test('a plan without tasks is done', async (t) => {
  const { result } = working([nothing({ total: 0, last_activity_at: null })], () => {})
  t.equal((await result).outcome, 'done')
})

t.test('the lease is renewed at each third of its time, until the function has ended', async (t) => {
  const { tasks, run } = held()
  const { advance, renewed, result, claims, sleeping } = working(['a', done], run, { lease_seconds: 60 })
  await advance(65)
  t.same(
    renewed,
    [20, 40, 60].map((at) => ({ id: 'a', token: 'token of a', at })),
  )
  tasks[0]!.end('result')
  await advance(60)
  t.equal(renewed.length, 3)
  t.match(claims[1], { done: { task_id: 'a', result: 'result' } })
  t.equal((await result).outcome, 'done')
  t.equal(sleeping.size, 0, 'no timer is left')
})

t.test('a lost lease aborts the signal of the task, whose result is not used', async (t) => {
  for (const end of ['result', new Error('aborted')]) {
    const { tasks, run } = held()
    const errors: unknown[] = []
    const { advance, result, claims, released } = working(['a', done], run, {
      lease_seconds: 60,
      renewals: [leaseLost],
      onError: (...error) => errors.push(error),
    })
    await advance(19)
    t.equal(tasks[0]!.signal.aborted, false)
    await advance(1)
    t.equal(tasks[0]!.signal.reason, leaseLost)
    t.equal(claims.length, 1, 'the next task is claimed when the function has ended')
    if (typeof end === 'string') tasks[0]!.end(end)
    else tasks[0]!.fail(end)
    t.equal((await result).outcome, 'done')
    t.notOk(claims[1]!.done)
    t.same(released, [], 'another worker holds it')
    t.same(errors.length, 1)
    t.match(errors, [[leaseLost, { id: 'a' }]])
  }
})

t.test('a renewal that fails for a moment is repeated', async (t) => {
  const { tasks, run } = held()
  const renewals = [unreachable, unreachable, undefined]
  const { advance, renewed } = working(['a', done], run, { lease_seconds: 90, renewals })
  await advance(85)
  t.same(
    renewed.map(({ at }) => at),
    [30, 40, 50, 80],
  )
  t.equal(tasks[0]!.signal.aborted, false)
})

t.test('a machine that slept longer than the lease keeps it, if nobody else has taken it', async (t) => {
  const { tasks, run } = held()
  const { jump, advance, renewed } = working(['a', done], run, { lease_seconds: 90 })
  await settle()
  await jump(3600)
  t.same(
    renewed.map(({ at }) => at),
    [3600],
  )
  t.equal(tasks[0]!.signal.aborted, false)
  await advance(30)
  t.equal(renewed.length, 2)
})

t.test('a task is aborted before its lease ends if the lease cannot be renewed', async (t) => {
  for (const [renewals, start] of [
    [[unreachable], 0],
    [[undefined, undefined, unreachable], 60],
  ] as const) {
    const { tasks, run } = held()
    const options = { lease_seconds: 90, renewals: [...renewals] }
    const { advance, seconds, renewTimeouts } = working(['a', done], run, options)
    while (!tasks[0]?.signal.aborted) await advance(1)
    t.equal(tasks[0]!.signal.reason, unreachable)
    t.same([...renewTimeouts], [10_000])
    // The last renewal, which may take until its timeout, has ended in time as well.
    t.ok(seconds() >= start + 75 && seconds() <= start + 80, `${seconds()}`)
  }
})

t.test(
  'a task whose function throws is released, longer after each attempt, by the clock of the service',
  async (t) => {
    for (const [attempts, pause] of [
      [1, 10],
      [2, 20],
      [3, 40],
      [8, 900],
      [99, 900],
    ] as const) {
      const { tasks, run } = held()
      const errors: unknown[] = []
      const { advance, result, released, claims } = working(['a', done], run, {
        attempts,
        onError: (...error) => errors.push(error),
      })
      await advance(100)
      const error = new Error('the cluster is gone')
      tasks[0]!.fail(error)
      await result
      const not_before = new Date(SERVICE_START + (100 + pause) * 1000).toISOString()
      t.same(released, [{ id: 'a', token: 'token of a', not_before, note: 'the cluster is gone' }])
      t.match(errors, [[error, { id: 'a' }]])
      t.notOk(claims[1]!.done)
    }
  },
)

t.test('a function that throws before its first await releases its task, too', async (t) => {
  const { result, released, sleeping } = working(['a', done], () => {
    throw new Error('at once')
  })
  await result
  t.match(released, [{ id: 'a' }])
  t.equal(sleeping.size, 0, 'its lease is not renewed any more')
})

t.test('the message of an error is a note that the service accepts, or is left out', async (t) => {
  const noteOf = async (error: unknown, releases?: Error) => {
    const { result, released } = working(
      ['a', done],
      () => Promise.reject(error),
      releases ? { releases } : {},
    )
    await result
    return released.map(({ note }) => note)
  }
  t.same(await noteOf('only text'), ['only text'])
  t.same(await noteOf(new Error(`a\0b\ud800c😀`)), ['abc😀'])
  t.same(await noteOf(new Error(`${'😀'.repeat(1001)}`)), ['😀'.repeat(1000)])
  t.same(await noteOf(new Error(' ')), [undefined])
  const keepsNoEvents = problem(422, 'validation_error')
  t.same(await noteOf(new Error('b'), keepsNoEvents), ['b', undefined], 'released without it')
})

t.test('the function can leave a note under its lease', async (t) => {
  const { result, notes } = working(['a', done], (_, { note }) => note('look at the image'))
  await result
  t.same(notes, [['a', { note: 'look at the image' }, { leaseToken: 'token of a' }]])
})

t.test('an idle worker claims as soon as something happens, and seldom otherwise', async (t) => {
  let happens: (end?: Error) => void = () => {}
  let opens: () => void = () => {}
  const given: WatchOptions[] = []
  async function* watch(options: WatchOptions, onOpen: () => void) {
    given.push(options)
    opens = onOpen
    while (true) {
      const end = await new Promise<Error | undefined>((resolve) => {
        happens = resolve
        options.signal!.addEventListener('abort', () => resolve(new Error('aborted')))
      })
      if (end) throw end
      yield
    }
  }
  Math.random = () => 0
  const deferred = nothing({ completed: 1, pending: 1, deferred: 1 })
  const { advance, claims, result, seconds } = working(
    ['a', ...Array(7).fill(deferred), 'b', done],
    () => {},
    {
      watch,
    },
  )
  const at = () => claims.map(({ at }) => at)
  await advance(0)
  t.same(at(), [0, 0])
  opens()
  await advance(0)
  t.same(at(), [0, 0, 0], 'what happened before the stream began')
  await advance(20)
  t.same(at().slice(3), [8, 16])
  happens()
  await advance(0)
  t.same(at().slice(5), [20])
  happens(new Error('the service is gone'))
  await advance(9)
  t.same(at().slice(6), [28, 28.25, 28.5, 28.5], 'without a stream, it asks more often')
  t.equal((await result).outcome, 'done')
  t.equal(given.length, 1)
  t.ok(given[0]!.signal!.aborted, 'the stream ends with the work')
  t.ok(seconds() >= 28)
})

t.test('a task that cannot be released is left to its lease', async (t) => {
  const { result, released } = working(
    ['a', 'b', done],
    ({ id }) => {
      if (id === 'a') throw new Error('no')
    },
    { releases: unreachable },
  )
  t.equal((await result).outcome, 'done')
  t.match(released, [{ id: 'a' }])
})

t.test('a task is completed once, also when nothing else is ready then', async (t) => {
  const { advance, result, claims } = working(['a', othersWork, othersWork, done], () => {})
  await advance(1)
  await result
  t.same(
    claims.map(({ done }) => done?.task_id),
    [undefined, 'a', undefined, undefined],
  )
})

t.test('a task whose result the service refuses is released', async (t) => {
  const refused = problem(422, 'validation_error')
  const errors: unknown[] = []
  const { result, released, claims } = working(['a', refused, done], () => 'x'.repeat(4001), {
    onError: (error) => errors.push(error),
  })
  t.equal((await result).outcome, 'done')
  t.match(released, [{ id: 'a', not_before: String }])
  t.same(errors, [refused])
  t.same(
    claims.map(({ done }) => Boolean(done)),
    [false, true, false],
  )
})

t.test('a task whose lease was lost before it was completed is left to the other worker', async (t) => {
  const { result, released, claims } = working(['a', leaseLost, 'b', done], ({ id }) => id)
  t.equal((await result).outcome, 'done')
  t.same(released, [])
  t.same(
    claims.map(({ done }) => done?.task_id),
    [undefined, 'a', undefined, 'b'],
  )
})

t.test('work waits while others are at work or a task is deferred, less and less often', async (t) => {
  Math.random = () => 1 - Number.EPSILON
  const deferred = nothing({ completed: 1, pending: 1, deferred: 1 })
  const { advance, claims, result } = working(
    [othersWork, othersWork, deferred, deferred, deferred, deferred, deferred, deferred, 'a', done],
    () => 'result',
  )
  await advance(60)
  t.same(
    claims.map(({ at }, i) => Math.round((at - (claims[i - 1]?.at ?? 0)) * 1000)),
    [0, 500, 750, 1250, 2250, 4250, 8250, 8250, 8250, 0],
  )
  t.equal((await result).outcome, 'done')
})

t.test('work is stuck when the open tasks were claimed too often', async (t) => {
  // One is ready, one waits for it, and the lease of a third has expired.
  const left = nothing({ total: 4, completed: 1, pending: 2, in_progress: 1, ready: 2, blocked: 1 })
  const { advance, claims, result } = working([left], () => {}, { max_attempts: 3 })
  await advance(1)
  t.same(await result, { outcome: 'stuck', progress: left.progress })
  t.same(
    claims.map(({ max_attempts }) => max_attempts),
    [3, 3],
    'it asks again: a ready task can be locked for a moment',
  )
})

t.test('work is not stuck while something changes', async (t) => {
  const left = (second: number) =>
    nothing({ pending: 2, ready: 1, blocked: 1, last_activity_at: `2030-01-01T00:00:0${second}.000Z` })
  const moving = nothing({
    pending: 1,
    in_progress: 1,
    blocked: 1,
    last_activity_at: left(2).progress!.last_activity_at,
  })
  const { advance, result, claims } = working([left(1), left(2), moving, left(2), 'a', done], () => {})
  await advance(5)
  t.equal((await result).outcome, 'done')
  t.equal(claims.length, 6)
})

t.test(
  'a signal ends the work: the running tasks are released when their functions have ended',
  async (t) => {
    const controller = new AbortController()
    const { tasks, run } = held()
    const errors: unknown[] = []
    const { advance, result, released, claims } = working(['a', 'b', done], run, {
      concurrency: 2,
      signal: controller.signal,
      onError: (error) => errors.push(error),
    })
    await advance(1)
    const reason = new Error('the learner left')
    controller.abort(reason)
    t.same(
      tasks.map(({ signal }) => signal.aborted),
      [true, true],
    )
    await advance(1)
    t.same(released, [])
    tasks[0]!.fail(new Error('aborted'))
    tasks[1]!.end('half a result')
    const error = await failure(result, AbortError)
    t.equal(error.cause, reason)
    t.match(error.message, 'The work was aborted: the learner left')
    t.same(released, [
      { id: 'a', token: 'token of a' },
      { id: 'b', token: 'token of b' },
    ])
    t.same([claims.length, errors], [2, []])
    t.equal(getEventListeners(controller.signal, 'abort').length, 0)
  },
)

t.test(
  'a signal that aborts during a claim releases what was claimed, before the function sees it',
  async (t) => {
    const controller = new AbortController()
    const { tasks, run } = held()
    let answer!: (claim: Claim) => void
    const { result, released } = working(
      [
        new Promise((resolve) => {
          answer = resolve
        }),
      ],
      run,
      { signal: controller.signal },
    )
    await settle()
    controller.abort()
    answer({
      task: { id: 'a', attempts: 1 } as Task,
      lease: { token: 'token', expires_at: '2030-01-01T00:15:00.000Z' },
      progress: null,
    })
    await failure(result, AbortError)
    t.same(released, [{ id: 'a', token: 'token' }])
    t.equal(tasks.length, 0)
  },
)

t.test('a signal ends the waiting at once', async (t) => {
  const controller = new AbortController()
  const signals: AbortSignal[] = []
  const { result, sleeping } = working(['a', othersWork], (_, { signal }) => void signals.push(signal), {
    signal: controller.signal,
  })
  await settle()
  controller.abort()
  await failure(result, AbortError)
  t.equal(sleeping.size, 0)
  t.equal(signals[0]!.aborted, false, 'the task was completed before')
})

t.test('with an aborted signal nothing is claimed', async (t) => {
  const { result, claims } = working(['a'], () => {}, { signal: AbortSignal.abort() })
  await failure(result, AbortError)
  t.equal(claims.length, 0)
})

t.test('an outage is waited for with the same key, and the function runs once', async (t) => {
  let runs = 0
  const { advance, result, claims } = working(['a', unreachable, unreachable, unreachable, done], () => {
    runs++
    return 'result'
  })
  await advance(1)
  t.equal((await result).outcome, 'done')
  t.equal(runs, 1)
  t.equal(claims.length, 5)
  t.equal(new Set(claims.slice(1).map(({ key, done }) => `${key} ${JSON.stringify(done)}`)).size, 1)
})

t.test('an outage that lasts longer than a lease ends the work', async (t) => {
  Math.random = () => 1 - Number.EPSILON
  const { advance, result, claims } = working(['a', unreachable], () => 'result', { lease_seconds: 60 })
  await advance(120)
  t.equal(await failure(result, ConnectionError), unreachable)
  const last = claims.at(-1)!.at
  t.ok(last > 50 && last < 60, `${last}`)
})

t.test('an outage that says how long it lasts is waited for so long', async (t) => {
  const headers = new Headers({ 'retry-after': '30' })
  const limited = new RateLimitError({ status: 429, headers }, '{"error_code":"rate_limited"}')
  const { advance, result, claims } = working(['a', limited, done], () => 'result')
  await advance(40)
  t.equal((await result).outcome, 'done')
  t.same(
    claims.map(({ at }) => at),
    [0, 0, 30],
  )
})

t.test('a service that was never reached ends the work at once', async (t) => {
  const { result, claims } = working([unreachable], () => {})
  t.equal(await failure(result, ConnectionError), unreachable)
  t.equal(claims.length, 1)
})

t.test('with concurrency, each task at the same time has a worker name of its own', async (t) => {
  const { tasks, run } = held()
  const { result, claims } = working(['a', 'b', 'c', done], run, { concurrency: 3 })
  await settle()
  t.same(
    tasks.map(({ id }) => id),
    ['a', 'b', 'c'],
  )
  t.same(
    claims.map(({ worker, resume }) => [worker, resume]),
    [
      ['agent-1', true],
      ['agent-1/2', true],
      ['agent-1/3', true],
    ],
  )
  for (const { end } of tasks) end()
  t.equal((await result).outcome, 'done')
  t.same(
    claims.slice(3, 6).map(({ worker, done }) => [worker, done?.task_id]),
    [
      ['agent-1', 'a'],
      ['agent-1/2', 'b'],
      ['agent-1/3', 'c'],
    ],
  )
})

t.test('when a task is completed, those that wait in the same process ask at once', async (t) => {
  const { tasks, run } = held()
  const { result, claims, seconds } = working(['a', othersWork, 'b', 'c', done], run, { concurrency: 2 })
  await settle()
  tasks[0]!.end()
  await settle()
  t.same(
    claims.map(({ worker }) => worker),
    ['agent-1', 'agent-1/2', 'agent-1', 'agent-1/2'],
  )
  t.equal(seconds(), 0)
  for (const { end } of tasks.slice(1)) end()
  await result
})

t.test('an error of one claim stops all, and is thrown when their tasks are released', async (t) => {
  const forbidden = problem(401, 'unauthorized')
  const { tasks, run } = held()
  const { result, released } = working(['a', 'b', forbidden], run, { concurrency: 2 })
  await settle()
  tasks[0]!.end()
  await settle()
  t.equal(tasks[1]!.signal.reason, forbidden)
  tasks[1]!.end()
  t.equal(await failure(result, UnauthorizedError), forbidden)
  t.same(released, [{ id: 'b', token: 'token of b' }])
})

t.test('an onError that throws stops the work, after the task is released', async (t) => {
  const error = new Error('no more')
  const { result, released, claims } = working(['a', 'b'], () => Promise.reject(error), {
    onError: (thrown) => {
      throw thrown
    },
  })
  t.equal(await failure(result, Error), error)
  t.match(released, [{ id: 'a' }])
  t.equal(claims.length, 1)
})

t.test('a concurrency below 1 is rejected', async (t) => {
  for (const concurrency of [0, -1, Number.NaN]) {
    const { result, claims } = working(['a'], () => {}, { concurrency })
    await failure(result, InputError)
    t.equal(claims.length, 0)
  }
})
