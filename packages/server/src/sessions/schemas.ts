/** The schemas of sessions. The OpenAPI document is generated from them, so descriptions are documentation. */
import { type Static, Type } from '@sinclair/typebox'
import { Actor } from '../events/schemas.js'
import { fieldsParameter, SomeFieldsOf } from '../http/paging.js'
import { Nullable, ref, refOrNull, Strict, Timestamp, Uuid } from '../http/schemas.js'
import { example, Progress, TASK_FIELDS, Task } from '../tasks/schemas.js'

/** Most tasks in progress that a session lists. */
export const MAX_IN_PROGRESS = 10
/** Most completed tasks that it lists. */
export const MAX_RECENT = 5

/** Most notes that it lists. */
export const MAX_NOTES = 5

export const SessionParams = Type.Object({
  session_id: Uuid('The session of the agent.', example.session_id),
})

const LatestBatch = Type.Object({
  id: Uuid('The id of the batch, a UUIDv7.', example.batch_id),
  reason: Nullable(Type.String({ description: 'Why the batch was planned, or null.' })),
  created_at: Timestamp('When it was created.', '2025-12-06T10:00:00.000Z'),
  progress: ref(Progress),
})

const Note = Type.Object({
  task_id: Uuid('The task, which may be deleted.', example.task_id),
  at: Timestamp('When it was written.', '2025-12-06T10:00:00.000Z'),
  actor: Actor,
  note: Type.String({ description: 'The note.', examples: ['The image name was wrong.'] }),
})

export const SessionState = Type.Object(
  {
    session_id: SessionParams.properties.session_id,
    progress: ref(Progress),
    next: Type.Unsafe<Task | null>({
      ...refOrNull(Task),
      description: 'The task that a claim would return; null if none is ready.',
    }),
    in_progress: Type.Array(ref(Task), {
      description: `The tasks in progress, the latest change first; ${MAX_IN_PROGRESS} at most.`,
    }),
    recent: Type.Array(ref(Task), {
      description: `The tasks that were completed last, with their results; ${MAX_RECENT} at most.`,
    }),
    notes: Type.Array(Note, {
      description: `What was noted with changes of tasks, the latest first; ${MAX_NOTES} at most.`,
    }),
    latest_batch: Type.Unsafe<Static<typeof LatestBatch> | null>({
      anyOf: [LatestBatch, Type.Null()],
      description: 'The latest batch without its tasks; null if there is none.',
    }),
  },
  {
    $id: 'SessionState',
    description: 'Where things stand in a session. All zeros and nulls if nobody has used it.',
  },
)
export type SessionState = Static<typeof SessionState>

const { next, in_progress, recent } = SessionState.properties
export const SessionFieldsState = Type.Object(
  {
    ...SessionState.properties,
    next: Type.Unsafe<object | null>({ ...next, anyOf: [SomeFieldsOf(Task), Type.Null()] }),
    in_progress: Type.Array(SomeFieldsOf(Task), { description: in_progress.description! }),
    recent: Type.Array(SomeFieldsOf(Task), { description: recent.description! }),
  },
  {
    $id: 'SessionFieldsState',
    description: 'A SessionState when `fields` is sent: tasks have only the fields that it names.',
  },
)

export const SessionQuery = Strict({ fields: fieldsParameter(TASK_FIELDS, ['title', 'status', 'result']) })
export type SessionQuery = Static<typeof SessionQuery>

/** The schemas that are named components of the OpenAPI document. */
export const sessionComponents = [SessionState, SessionFieldsState]
