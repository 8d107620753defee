/** Works through the tasks of a session: claims what is ready, keeps the lease while it runs, completes it. */
import {
  AbortError,
  AklpError,
  InputError,
  LeaseLostError,
  TimeoutError,
  UnauthorizedError,
  ValidationError,
} from './errors.js'
import type { Operations } from './generated/operations.js'
import type { Claim, ClaimRequest, Progress, Task } from './generated/schema.js'
import { backoff, isRetryable, randomKey } from './transport.js'
import type { WatchOptions } from './watch.js'

/** Options of `session.work`. */
export interface WorkOptions {
  /**
   * The name of the worker, 1 to 128 characters: unique among the agents that work on the session, and the same after a
   * restart, so that the worker gets back the task that it held. With `concurrency`, the second task is claimed by
   * `${worker}/2`, the third by `${worker}/3`, and so on.
   */
  worker: string
  /** How many tasks are worked on at the same time; 1 by default. */
  concurrency?: number | undefined
  /**
   * How many seconds pass before another worker can take over the task of a worker that has crashed, from 10 to 86 400;
   * 900 by default. The lease is renewed at a third of this time, so a task may take longer.
   */
  lease_seconds?: number | undefined
  /** Leaves out tasks that were claimed this often, from 1 to 100; no limit by default. */
  max_attempts?: number | undefined
  /** Stops the work: aborts the signals of the running tasks and releases each as soon as its function has ended. */
  signal?: AbortSignal | undefined
  /**
   * Called when a task was not completed: with what its function threw, the error of the service for its result, or why the
   * lease is lost. If it throws, the work stops and rejects with that.
   */
  onError?: ((error: unknown, task: Task) => void) | undefined
}

/**
 * Works on one task and returns its `result`, up to 4000 characters, or nothing. If it throws, the task is released and
 * can be claimed again after 10 seconds, 20 after the second attempt, and so on up to 15 minutes; the message of the
 * error becomes a note in its history.
 *
 * @param context `signal` aborts when the lease is lost or the work is stopped: end then, the result is not used. `note` leaves
 *   a text of up to 1000 characters in the history of the task, for the next worker. It rejects if the service keeps no events.
 */
export type WorkFunction = (
  task: Task,
  context: { signal: AbortSignal; note: (text: string) => Promise<void> },
  // biome-ignore lint/suspicious/noConfusingVoidType: the function may return nothing
) => string | null | void | Promise<string | null | void>

/** How the work has ended. */
export interface WorkResult {
  /** `done`: all tasks are completed. `stuck`: the rest waits for tasks that were claimed `max_attempts` times. */
  outcome: 'done' | 'stuck'
  progress: Progress
}

/** The clock of the work; its tests have one of their own. */
export interface Time {
  /** Milliseconds since any moment. */
  now(): number
  /** Resolves after so many milliseconds, or as soon as the signal aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>
}

/** How long a task whose function threw is not ready after its first attempt, and at most, in milliseconds. */
const FIRST_PAUSE = 10_000
const LONGEST_PAUSE = 900_000

/** The shortest time between two claims when no task is ready, in milliseconds. */
const POLL = 250
/** The same while the service says what happens. Nothing says that a lease has expired or a time has come. */
const SLOW_POLL = 8_000
/** What can make a task ready. */
const TYPES = [
  'batch.created',
  'batch.extended',
  'task.created',
  'task.updated',
  'task.released',
  'task.deleted',
  'task.restored',
] as const

/** A task in progress. */
interface Running {
  task: Task
  token: string
  /** The time of the service minus that of our clock. */
  ahead: number
}

export async function work(
  tasks: Operations['tasks'],
  watch: (options: WatchOptions, onOpen: () => void) => AsyncIterable<unknown>,
  { worker, concurrency = 1, lease_seconds = 900, max_attempts, signal, onError }: WorkOptions,
  run: WorkFunction,
  { now, sleep }: Time = systemTime,
): Promise<WorkResult> {
  if (!(concurrency >= 1)) throw new InputError(`concurrency must be 1 or more, not ${concurrency}`)
  const lease = lease_seconds * 1000
  const running = new Set<AbortController>()
  const stopped = new AbortController()
  const over = new AbortController()
  let idle = new AbortController()
  /** Whether events wake idle workers; undefined before one was idle. */
  let isWatched: boolean | undefined
  let wasReached = false
  let result: WorkResult

  const stop = (reason: unknown) => {
    stopped.abort(reason)
    idle.abort()
    for (const controller of running) controller.abort(reason)
  }

  const wakeIdle = () => {
    idle.abort()
    idle = new AbortController()
  }

  /** Wakes idle workers when something happens in the session. If it cannot, they ask more often. */
  const watchSession = async () => {
    isWatched = false
    const onOpen = () => {
      // What happened before the stream began.
      if (!isWatched) wakeIdle()
      isWatched = true
    }
    try {
      for await (const _event of watch({ types: TYPES, signal: over.signal }, onOpen)) wakeIdle()
    } catch {
      isWatched = false
    }
  }

  /** Claims with one idempotency key, until an outage has lasted as long as a lease. */
  const claimNext = async (body: ClaimRequest): Promise<Claim> => {
    const idempotencyKey = randomKey()
    const start = now()
    for (let attempt = 1; ; attempt++) {
      try {
        const claim = await tasks.claimNext(body, { idempotencyKey })
        wasReached = true
        return claim
      } catch (error) {
        // A service that was never reached is not out for a moment: its URL is wrong, or it does not run.
        const delay = backoff(attempt, error)
        const isOutage = wasReached && isTemporary(error) && now() + delay - start < lease
        if (!isOutage || stopped.signal.aborted) throw error
        await sleep(delay, stopped.signal)
      }
    }
  }

  /** Renews the lease until the task has ended; aborts the task when the lease is lost or may be taken over. */
  const keepLease = async (
    { task, token }: Running,
    asked: number,
    lost: AbortController,
    ended: AbortSignal,
  ) => {
    // A failed renewal is repeated every ninth, and given up so early that it ends before the lease does.
    const ninth = lease / 9
    let expires = asked + lease
    let next = asked + 3 * ninth
    while (true) {
      await sleep(next - now(), ended)
      if (ended.aborted) return
      const start = now()
      try {
        await tasks.renewLease(task.id, { token, lease_seconds }, { timeout: ninth, signal: ended })
        expires = start + lease
        next = start + 3 * ninth
      } catch (error) {
        if (ended.aborted) return
        if (!isTemporary(error) || now() + ninth >= expires) return lost.abort(error)
        next = now() + ninth
      }
    }
  }

  const giveBack = async ({ task, token, ahead }: Running, error: unknown) => {
    const isStopped = stopped.signal.aborted
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (task.attempts - 1))
    if (!(error instanceof LeaseLostError)) {
      const not_before = new Date(now() + ahead + pause)
      const note = noteOf(error)
      const release = (noted: { note?: string }) =>
        tasks.release(task.id, isStopped ? { token } : { token, not_before, ...noted })
      // A service that keeps no events rejects notes. If it fails again, the lease expires by itself.
      await release(note ? { note } : {})
        .catch((error) => (error instanceof ValidationError ? release({}) : undefined))
        .catch(() => {})
    }
    if (!isStopped) onError?.(error, task)
  }

  /** Runs the function. Returns what completes the task; undefined if it was given back. */
  const runTask = async (current: Running, asked: number): Promise<ClaimRequest['done']> => {
    const { task, token } = current
    const controller = new AbortController()
    const ended = new AbortController()
    const { signal } = controller
    running.add(controller)
    keepLease(current, asked, controller, ended.signal)
    try {
      const note = async (text: string) => {
        await tasks.update(task.id, { note: text }, { leaseToken: token })
      }
      const result = await run(task, { signal, note })
      signal.throwIfAborted()
      ended.abort()
      return { task_id: task.id, token, ...(result !== undefined && { result: result as string | null }) }
    } catch (error) {
      ended.abort()
      await giveBack(current, signal.aborted ? signal.reason : error)
      return undefined
    } finally {
      running.delete(controller)
    }
  }

  /** Works on one task after the other. */
  const workAs = async (name: string) => {
    let current: Running | undefined
    let done: ClaimRequest['done']
    let resume = true
    let polls = 0
    let seen: string | null | undefined
    while (!stopped.signal.aborted) {
      const asked = now()
      let claim: Claim
      try {
        claim = await claimNext({ worker: name, lease_seconds, max_attempts, resume, done })
      } catch (error) {
        const isRefused =
          error instanceof AklpError && !(error instanceof UnauthorizedError) && !isTemporary(error)
        if (!done || !isRefused) throw error
        done = undefined
        await giveBack(current!, error)
        continue
      }
      resume = false
      if (done) {
        // What waited for this task may be ready.
        wakeIdle()
      }
      done = undefined
      if (claim.task) {
        const { token, expires_at } = claim.lease!
        current = { task: claim.task, token, ahead: Date.parse(expires_at) - lease - asked }
        polls = 0
        if (stopped.signal.aborted) await giveBack(current, undefined)
        else done = await runTask(current, asked)
        continue
      }
      const progress = claim.progress!
      const { total, completed, pending, in_progress, ready, blocked, last_activity_at } = progress
      const isMoving = pending + in_progress > ready + blocked
      // A ready task that was not claimed is left out by max_attempts, unless someone had it locked at that moment.
      if (completed === total || (!isMoving && last_activity_at === seen)) {
        result = { outcome: completed === total ? 'done' : 'stuck', progress }
        return
      }
      seen = isMoving ? undefined : last_activity_at
      if (isWatched === undefined) watchSession()
      if (!stopped.signal.aborted) await sleep(isWatched ? SLOW_POLL : POLL + backoff(++polls), idle.signal)
    }
  }

  const onAbort = () => {
    const cause = signal!.reason
    stop(new AbortError(`The work was aborted: ${cause?.message ?? cause}`, { cause }))
  }
  if (signal?.aborted) onAbort()
  signal?.addEventListener('abort', onAbort)
  // A worker name for each: a claim with `resume` would take the task of another one of the same name.
  const names = Array.from({ length: concurrency }, (_, i) => (i === 0 ? worker : `${worker}/${i + 1}`))
  await Promise.all(names.map((name) => workAs(name).catch(stop)))
  signal?.removeEventListener('abort', onAbort)
  over.abort()
  stopped.signal.throwIfAborted()
  return result!
}

/** The message of an error as a note, without what a text must not contain. */
const noteOf = (error: unknown) =>
  [...String((error as Error | undefined)?.message ?? error).replace(/[\0\ud800-\udfff]/gu, '')]
    .slice(0, 1000)
    .join('')
    .trim()

/** Whether the service may answer later. */
const isTemporary = (error: unknown) => error instanceof TimeoutError || isRetryable(error, true)

const systemTime: Time = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimeout(wake, milliseconds)
      signal.addEventListener('abort', wake)
      if (signal.aborted) wake()
    }),
}
