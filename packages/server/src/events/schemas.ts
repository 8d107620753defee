/** The schemas of events. The OpenAPI document is generated from them, so descriptions are documentation. */
import { type Static, Type } from '@sinclair/typebox'
import { eventType } from '../db/tables.js'
import {
  Defaulted,
  ListOf,
  Nullable,
  OneOf,
  ref,
  Strict,
  Timestamp,
  Uuid,
  UuidFilter,
} from '../http/schemas.js'
import type { Synonyms } from '../http/suggest.js'

const EVENT_TYPES = eventType.enumValues

/** Most seconds that a request waits for an event. */
export const MAX_WAIT = 30

export const Actor = Strict(
  {
    caller: Nullable(
      Type.String({
        description: 'The name of the caller: of the key or token; null for an import.',
        examples: ['teacher'],
      }),
    ),
    worker: Nullable(
      Type.String({
        description: 'The worker that made the change under its lease, or null.',
        examples: ['agent-1'],
      }),
    ),
  },
  { description: 'Who made the change.' },
)

const EventChange = Strict({
  field: Type.String({ description: 'The field of the task or batch.', examples: ['status'] }),
  from: Type.Unknown({ description: 'Its value before; null if it is new.', examples: ['pending'] }),
  to: Type.Unknown({ description: 'Its value afterwards; null if it is deleted.', examples: ['completed'] }),
})

const id = Type.String({
  description: 'Sorts as text in the order of the events. Its parts have no meaning.',
  examples: ['000000000a3f000000000012'],
})

export const Event = Type.Object(
  {
    id,
    type: OneOf(EVENT_TYPES, {
      examples: ['task.updated'],
      description:
        'What happened. Tasks that are created with a batch are part of its event, and a renewed lease has none. `task.noted` is a note alone.',
    }),
    at: Timestamp('When it happened.', '2025-12-06T10:00:00.000Z'),
    session_id: Nullable(Uuid('The session, or null.', '550e8400-e29b-41d4-a716-446655440001')),
    batch_id: Nullable(Uuid('The batch, or null.', '019b0f3e-7c00-7000-8000-0000000000b1')),
    task_id: Nullable(Uuid('The task; null in an event of a batch.', '019b0f3e-7c00-7000-8000-000000000001')),
    actor: Actor,
    note: Nullable(
      Type.String({ description: 'Why, or what the next one should know.', examples: ['Image fixed'] }),
    ),
    changes: Type.Array(EventChange, {
      description:
        'What changed. `updated_at` is in it only if it is not `at`. Of a task or batch that is created, deleted or restored: the fields that do not have their default. `tasks` of `batch.extended` are the ids of the new tasks.',
    }),
  },
  { $id: 'Event', description: 'Something that happened to a task or a batch.' },
)
export type Event = Static<typeof Event>

export const EventPage = Type.Object(
  {
    items: Type.Array(ref(Event), { description: 'The events, in the order that was asked for.' }),
    next: Nullable(
      Type.String({
        description:
          'Send it as `after` to read on. A client that does so receives every event once and in order. Null with `order=desc` if there is no older event.',
        examples: ['000000000a3f000000000012'],
      }),
    ),
  },
  { $id: 'EventPage', description: 'One page of events.' },
)
export type EventPage = Static<typeof EventPage>

const filters = {
  session_id: Type.Optional(UuidFilter('Only events of this session.')),
  batch_id: Type.Optional(UuidFilter('Only events of this batch and its tasks.')),
  task_id: Type.Optional(UuidFilter('Only events of this task.')),
  types: Type.Optional(
    ListOf(EVENT_TYPES, { description: 'Only events of these types, separated by commas.' }),
  ),
}

/** What names a place. */
const AFTER = 'the `next` of a page or the `id` of an event.'

export const EventStreamQuery = Strict({
  ...filters,
  after: Type.Optional(
    Type.String({ format: 'event', description: `Begins with what happened after this: ${AFTER}` }),
  ),
})
export type EventStreamQuery = Static<typeof EventStreamQuery>

export const EventStreamHeaders = Type.Object({
  'Last-Event-ID': Type.Optional(
    Type.String({
      format: 'event',
      description:
        'The last `id` that the client received, in place of `after`. Browsers send it themselves.',
    }),
  ),
})

export const EventListQuery = Strict({
  ...filters,
  after: Type.Optional(
    Type.String({
      format: 'event',
      description: `Only events after this one, or before it with \`order=desc\`: ${AFTER}`,
    }),
  ),
  limit: Defaulted(
    Type.Integer({ minimum: 1, maximum: 500, default: 100, description: 'Most events of the page.' }),
  ),
  order: Defaulted(
    OneOf(['asc', 'desc'], { default: 'asc', description: 'Oldest first (`asc`) or newest first (`desc`).' }),
  ),
  wait: Defaulted(
    Type.Integer({
      minimum: 0,
      maximum: MAX_WAIT,
      default: 0,
      description: `How many seconds to wait if there is no event yet, up to ${MAX_WAIT}. The response is sent as soon as there is one. With \`order=desc\`, no request waits: nothing is added before other events.`,
    }),
  ),
})
export type EventListQuery = Static<typeof EventListQuery>

/** Other words for the parameters of events. */
export const eventSynonyms: Synonyms = {
  type: ['types'],
  since: ['after'],
  cursor: ['after'],
  timeout: ['wait'],
}

/** The schemas that are named components of the OpenAPI document. */
export const eventComponents = [Event, EventPage]
