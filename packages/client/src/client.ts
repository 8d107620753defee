/** The client: the operations of the service, for all sessions or for one. */
import { createOperations, type Operations } from './generated/operations.js'
import type { Event, SessionState } from './generated/schema.js'
import { type ClientOptions, createTransport, type RequestOptions } from './transport.js'
import { type WatchOptions, watch } from './watch.js'
import { type WorkFunction, type WorkOptions, type WorkResult, work } from './work.js'

interface Watch<Options> {
  events: {
    /**
     * Iterates over events as they happen, with `for await`: each once and in order. Connects again by itself when the
     * service restarts or the network fails, and goes on where it was.
     *
     * @throws {AbortError} when `signal` aborts.
     * @throws {AklpError} `events_expired` if events after `after` were deleted already: read the tasks again, and watch from
     *   now on. `events_off` if the service keeps no events.
     * @throws {ConnectionError} when the service was never reached.
     * @example
     * for await (const { type, task_id, changes } of session.events.watch()) console.log(type, task_id, changes)
     */
    watch(options?: Options): AsyncGenerator<Event, void, undefined>
  }
}

/** The operations for one session: its `session_id` is sent with every call that takes one. */
export type Session = Operations<'session_id'> &
  Watch<WatchOptions> & {
    /** Returns where things stand in this session: the one call to make after an agent has lost its context. */
    state(options?: RequestOptions): Promise<SessionState>
    /**
     * Works through the tasks of the session, together with other workers: claims what is ready, keeps the lease while
     * `run` works on it, completes it with what `run` returns and takes the next one in the same call. Waits while nothing
     * is ready but others are at work or a task is deferred.
     *
     * An outage of the service is waited for as long as the lease lasts, unless the service was never reached.
     *
     * @returns The progress, when all tasks are completed or the rest cannot be claimed.
     * @throws {AbortError} when `signal` aborts, after the running tasks were released.
     * @throws {AklpError} when the service refuses a claim, and any error of a call that did not reach it.
     * @example
     * await session.work({ worker: 'agent-1' }, async (task, { signal }) => teach(task.title, signal))
     */
    work(options: WorkOptions, run: WorkFunction): Promise<WorkResult>
  }

export type Client = Operations &
  Watch<WatchOptions & { session_id?: string | undefined }> & {
    /**
     * Returns the same operations for one session. Its id is sent with every call that takes a `session_id`, and with all calls
     * in the header `X-Session-ID`.
     */
    session(session_id: string): Session
  }

/** Names the session also where the URL has only the id of a task: a balancer can send all calls of a session to one place. */
const SESSION_HEADER = 'X-Session-ID'

/**
 * Creates a client of the task service.
 *
 * @example
 * const aklp = createClient({ baseUrl: 'http://localhost:8001' })
 * const session = aklp.session(crypto.randomUUID())
 * await session.batches.create({ reason: 'Kubernetes basics', tasks: [{ title: 'Create an nginx Pod' }] })
 */
export function createClient(options: ClientOptions): Client {
  const connect = <S extends string = never>(scope: { session_id?: string }, headers = options.headers) => {
    const { send, open } = createTransport({ ...options, headers })
    const operations = createOperations<S>(send, scope)
    const follow = (given?: WatchOptions, onOpen?: () => void) => watch(open, scope, given, onOpen)
    const events = { ...operations.events, watch: (given?: WatchOptions) => follow(given) }
    return { operations: { ...operations, events }, follow }
  }
  return {
    ...connect({}).operations,
    session(session_id) {
      // Without an id, a call would apply to all sessions.
      if (!session_id) throw new TypeError('session() needs a session id: a UUID that the agent creates once')
      const headers = { ...options.headers, [SESSION_HEADER]: encodeURIComponent(session_id) }
      const { operations, follow } = connect<'session_id'>({ session_id }, headers)
      return {
        ...operations,
        state: (options) => operations.sessions.get(session_id, {}, options),
        work: (options, run) => work(operations.tasks, follow, options, run),
      }
    },
  }
}
