/** The client: the operations of the service, for all sessions or for one. */
import { createOperations, type Operations } from './generated/operations.js'
import { type ClientOptions, createSend } from './transport.js'

/** The operations for one session: its `session_id` is sent with every call that takes one. */
export type Session = {
  [Resource in keyof Operations]: {
    [Method in keyof Operations[Resource]]: OfSession<Operations[Resource][Method]>
  }
}

type OfSession<Method> = Method extends (...input: infer Input) => infer Result
  ? (...input: { [I in keyof Input]: WithoutSession<Input[I]> }) => Result
  : never

type WithoutSession<Value> = 'session_id' extends keyof NonNullable<Value>
  ? Omit<NonNullable<Value>, 'session_id'>
  : Value

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
      return createOperations(send, { session_id })
    },
  }
}
