/** The types of the client, checked by tsc and never run: an unused `@ts-expect-error` is an error. */
import {
  AklpError,
  type Batch,
  type Claim,
  type Client,
  createClient,
  type ErrorCode,
  type Health,
  type Operations,
  type Session,
  type SessionState,
  type Task,
  TaskBlockedError,
  type TaskBulkUpdateResult,
  type TaskCreate,
  type TaskPage,
  type TaskPatch,
  type WorkResult,
} from '../src/index.js'
import { type TaskTool, taskToolList, taskTools } from '../src/tools/index.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function same<A, B>(equal: Equal<A, B>): void

declare const aklp: Client
declare const session: Session
declare const task: Task
const session_id = '550e8400-e29b-41d4-a716-446655440001'

export async function responses() {
  const created = await aklp.tasks.create({ title: 'a' })
  same<typeof created, Task>(true)
  const page = await aklp.tasks.list()
  same<typeof page, TaskPage>(true)
  const latest = await aklp.batches.latest({ session_id })
  same<typeof latest, Batch | null>(true)
  const bulk = await aklp.tasks.bulkUpdate([{ id: task.id, status: 'completed' }])
  same<typeof bulk, TaskBulkUpdateResult>(true)
  const health = await aklp.health.get()
  same<typeof health, Health>(true)
  const deleted = await aklp.tasks.delete(task.id)
  same<typeof deleted, void>(true)
  const claim = await aklp.tasks.claimNext({
    session_id,
    worker: 'agent-1',
    done: { task_id: task.id, token: '' },
  })
  same<typeof claim, Claim>(true)
  const state = await aklp.sessions.get(session_id)
  same<typeof state, SessionState>(true)
  for await (const each of aklp.tasks.each({ session_id, status: 'pending' })) same<typeof each, Task>(true)
  for await (const each of aklp.batches.each()) same<typeof each, Batch>(true)

  // Only the fields that are asked for, and the id.
  const lean = await aklp.tasks.list({ fields: ['title', 'status'] })
  same<(typeof lean)['items'], Pick<Task, 'id' | 'title' | 'status'>[]>(true)
  same<(typeof lean)['next_cursor'], string | null>(true)
  for await (const each of session.tasks.each({ fields: ['title'] })) {
    same<typeof each, Pick<Task, 'id' | 'title'>>(true)
    // @ts-expect-error not among the fields
    each.description
  }
  const plans = await session.batches.list({ fields: ['progress'] })
  same<(typeof plans)['items'], Pick<Batch, 'id' | 'progress'>[]>(true)
  const short = await aklp.sessions.get(session_id, { fields: ['title'] })
  same<(typeof short)['next'], Pick<Task, 'id' | 'title'> | null>(true)
  same<(typeof short)['recent'], Pick<Task, 'id' | 'title'>[]>(true)
  same<(typeof short)['progress'], SessionState['progress']>(true)
  // @ts-expect-error not a field of a task
  await aklp.tasks.list({ fields: ['name'] })

  // @ts-expect-error it is null before the first batch
  latest.id
  // @ts-expect-error it is null when no task is ready
  claim.lease.token
  // @ts-expect-error not a field of a task
  created.name
  // Times are returned as strings.
  same<Task['due_date'], string | null>(true)
  same<Task['status'], 'pending' | 'in_progress' | 'completed'>(true)
  same<Task['blocked_by'], string[]>(true)
  same<Task['metadata'], { [key: string]: unknown }>(true)
  same<Task['priority'], 'high' | 'medium' | 'low' | null>(true)
}

export async function options() {
  await aklp.tasks.create({ title: 'a' }, { idempotencyKey: 'plan:1' })
  await session.batches.create({ tasks: [] }, { idempotencyKey: 'plan:1', timeout: 1 })
  await aklp.tasks.update(task.id, {}, { ifUnchangedSince: task.updated_at })
  await session.tasks.delete(task.id, { ifUnchangedSince: task.updated_at })
  await session.tasks.claimNext({ worker: 'agent-1' }, { idempotencyKey: 'claim:1' })
  await session.batches.extend(task.batch_id!, [{ title: 'a' }], { idempotencyKey: 'extend:1' })
  await aklp.tasks.update(task.id, {}, { leaseToken: 'token' })
  await session.tasks.delete(task.id, { leaseToken: 'token', ifUnchangedSince: task.updated_at })
  // @ts-expect-error only updates and deletes take leaseToken
  await aklp.tasks.bulkDelete([], { leaseToken: 'token' })
  // @ts-expect-error only creates take an idempotencyKey
  await aklp.tasks.list({}, { idempotencyKey: 'plan:1' })
  // @ts-expect-error only updates and deletes take ifUnchangedSince
  await aklp.tasks.create({ title: 'a' }, { ifUnchangedSince: task.updated_at })
}

export async function inputs() {
  // Times are accepted as Date or string, and null clears a field.
  await aklp.tasks.create({ title: 'a', due_date: new Date() })
  await aklp.tasks.update(task.id, { due_date: '2025-12-31' })
  await aklp.tasks.update(task.id, { due_date: null, description: null, priority: null })
  await aklp.batches.create({ tasks: [{ title: 'a', due_date: new Date() }] })
  await aklp.tasks.bulkUpdate([{ id: task.id, due_date: new Date() }])
  same<TaskCreate['due_date'], string | Date | null | undefined>(true)
  same<TaskPatch['id'], string>(true)

  await aklp.tasks.update(task.id, { metadata: { step: 1, seen: null, nested: { any: ['thing'] } } })
  await aklp.tasks.release(task.id, { token: 'token', not_before: new Date() })
  // @ts-expect-error the worker is missing
  await aklp.tasks.claimNext({ session_id })
  // @ts-expect-error update has this name and no other
  await aklp.tasks.patch(task.id, {})
  // @ts-expect-error the title is missing
  await aklp.tasks.create({ priority: 'high' })
  // @ts-expect-error the input is missing
  await aklp.tasks.create()
  // @ts-expect-error a misspelt field
  await aklp.tasks.create({ title: 'a', priorty: 'high' })
  // @ts-expect-error not an allowed value
  await aklp.tasks.create({ title: 'a', status: 'done' })
  // @ts-expect-error the title is a string
  await aklp.tasks.create({ title: 1 })
  // @ts-expect-error a time is a Date or a string
  await aklp.tasks.create({ title: 'a', due_date: 1 })
  // @ts-expect-error the id is missing
  await aklp.tasks.get()
  // @ts-expect-error the id is not passed in an object
  await aklp.tasks.get({ task_id: task.id })
  // @ts-expect-error the changes are missing
  await aklp.tasks.update(task.id)
  // @ts-expect-error the title cannot be null
  await aklp.tasks.update(task.id, { title: null })
  // @ts-expect-error completed_at cannot be changed
  await aklp.tasks.update(task.id, { completed_at: new Date() })
  // @ts-expect-error the id of the patch is missing
  await aklp.tasks.bulkUpdate([{ status: 'completed' }])
  // @ts-expect-error it takes the array, not an object
  await aklp.tasks.bulkUpdate({ tasks: [] })
  // @ts-expect-error ids are strings
  await aklp.tasks.bulkDelete([1])
  // @ts-expect-error the tasks are missing
  await aklp.batches.create({ reason: 'because' })
  // @ts-expect-error an unknown field of a nested object
  await aklp.batches.create({ tasks: [{ title: 'a', done: true }] })
  // @ts-expect-error a misspelt filter
  await aklp.tasks.list({ sesion_id: session_id })
  // @ts-expect-error not an allowed value
  await aklp.tasks.list({ sort_by: 'title' })
  // @ts-expect-error each walks through the pages itself
  aklp.tasks.each({ page: 2 })
  // @ts-expect-error and sends the cursors
  aklp.tasks.each({ cursor: '' })
  await aklp.tasks.list({ status: ['pending', 'in_progress'], priority: 'high', ready: true, q: 'pod' })
  await aklp.tasks.list({ due_before: new Date(), updated_since: '2025-12-31' })
  // @ts-expect-error not an option
  await aklp.health.get({ timeoutMs: 1 })
  // @ts-expect-error batches cannot be deleted
  await aklp.batches.delete(task.id)
  // @ts-expect-error the baseUrl is missing
  createClient({})
}

export async function sessions() {
  const created = await session.tasks.create({ title: 'a' })
  same<typeof created, Task>(true)
  await session.tasks.list()
  await session.tasks.list({ status: 'pending' }, { timeout: 1000 })
  await session.batches.latest()
  await session.tasks.update(task.id, { status: 'completed' })
  for await (const each of session.tasks.each({ status: 'pending' })) same<typeof each, Task>(true)

  // @ts-expect-error a session sets the session_id itself
  await session.tasks.claimNext({ worker: 'agent-1', session_id })
  // @ts-expect-error a session sets the session_id itself
  await session.tasks.list({ session_id })
  // @ts-expect-error a session sets the session_id itself
  await session.batches.create({ session_id, tasks: [] })
  // @ts-expect-error not an allowed value, as without a session
  await session.tasks.create({ title: 'a', status: 'done' })
  // @ts-expect-error a session has no session method
  session.session('')

  // A session can be used as the operations.
  same<Session extends Operations ? true : false, true>(true)
}

export async function tools() {
  const { next_task } = taskTools(aklp, { session: session_id, worker: 'agent-1', holdLeases: true })
  same<typeof next_task, TaskTool>(true)
  const listed = taskToolList(aklp).map(({ name, id, parameters, schema, execute }) => {
    same<typeof name, typeof id>(true)
    same<typeof parameters, typeof schema>(true)
    return execute({}, { abortSignal: undefined })
  })
  await Promise.all(listed)
  // @ts-expect-error not a tool
  taskTools(aklp).delete_task
  // @ts-expect-error the id of a session, not a session
  taskTools(aklp, { session })
  // @ts-expect-error a session would not know its id
  taskTools(session)
}

export async function working() {
  const result = await session.work({ worker: 'agent-1', concurrency: 2 }, async (task, { signal }) => {
    same<typeof task, Task>(true)
    same<typeof signal, AbortSignal>(true)
    return task.title
  })
  same<typeof result, WorkResult>(true)
  same<WorkResult['outcome'], 'done' | 'stuck'>(true)
  await session.work({ worker: 'agent-1' }, () => {})
  await session.work({ worker: 'agent-1' }, async () => {})
  await session.work({ worker: 'agent-1', signal: undefined }, () => null)
  const state = await session.state()
  same<typeof state, SessionState>(true)

  // @ts-expect-error the worker is missing
  await session.work({}, () => {})
  // @ts-expect-error the function is missing
  await session.work({ worker: 'agent-1' })
  // @ts-expect-error a result is a text
  await session.work({ worker: 'agent-1' }, () => ({ ok: true }))
  // @ts-expect-error only a session can be worked on
  await aklp.work({ worker: 'agent-1' }, () => {})
}

export function errors(error: unknown): string | undefined {
  if (!(error instanceof AklpError)) return undefined
  same<typeof error.error_code, ErrorCode | undefined>(true)
  if (error instanceof TaskBlockedError) return error.openBlockers.map(({ title }) => title).join()
  const { error_code } = error
  if (error_code === 'task_not_found' || error_code === 'validation_error') return error.detail
  // @ts-expect-error not an error code
  if (error_code === 'task_missing') return error.detail
  return undefined
}
