/** The client: the operations of the service, for all sessions or for one. */
import { createOperations, type Operations } from './generated/operations.js'
import type { SessionState } from './generated/schema.js'
import { type ClientOptions, createSend, type RequestOptions } from './transport.js'
import { type WorkFunction, type WorkOptions, type WorkResult, work } from './work.js'

/** The operations for one session: its `session_id` is sent with every call that takes one. */
export type Session = Operations<'session_id'> & {
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

export interface Client extends Operations {
  /** Returns the same operations for one session. Its id is sent with every call that takes a `session_id`. */
  session(session_id: string): Session
}

/**
 * Creates a client of the task service.
 *
 * @example
 * const aklp = createClient({ baseUrl: 'http://localhost:8001' })
 * const session = aklp.session(crypto.randomUUID())
 * await session.batches.create({ reason: 'Kubernetes basics', tasks: [{ title: 'Create an nginx Pod' }] })
 */
export function createClient(options: ClientOptions): Client {
  const send = createSend(options)
  return {
    ...createOperations(send, {}),
    session(session_id) {
      // Without an id, a call would apply to all sessions.
      if (!session_id) throw new TypeError('session() needs a session id: a UUID that the agent creates once')
      const operations = createOperations<'session_id'>(send, { session_id })
      return {
        ...operations,
        state: (options) => operations.sessions.get(session_id, {}, options),
        work: (options, run) => work(operations.tasks, options, run),
      }
    },
  }
}
