/** The client: the operations of the service, for everyone or for one session. */
import { createOperations, type Operations } from './generated/operations.js'
import { type ClientOptions, createSend } from './transport.js'

/** The operations of one session: its `session_id` goes along with every call that takes one. */
export type Session = {
  [Resource in keyof Operations]: {
    [Method in keyof Operations[Resource]]: OfSession<Operations[Resource][Method]>
  }
}

type OfSession<Method> = Method extends (...input: infer Input) => infer Answer
  ? (...input: { [I in keyof Input]: WithoutSession<Input[I]> }) => Answer
  : never

type WithoutSession<Value> = 'session_id' extends keyof NonNullable<Value>
  ? Omit<NonNullable<Value>, 'session_id'>
  : Value

export interface Client extends Operations {
  /** The same operations for one session, whose id is said once and goes along with every call. */
  session(session_id: string): Session
}

/**
 * Makes a client of the task service.
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
      // Without an id, every call would be one for all sessions.
      if (!session_id) throw new TypeError('A session needs an id: a UUID that the agent makes once')
      return createOperations(send, { session_id })
    },
  }
}
