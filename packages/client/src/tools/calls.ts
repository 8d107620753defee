/** What the tools do: each is one or a few calls of the service, and harmless if it is repeated. */
import { AklpError, type ErrorCode, LeaseLostError, NotFoundError, TaskClaimedError } from '../errors.js'
import type { Operations } from '../generated/operations.js'
import type {
  Batch,
  ClaimRequest,
  ListTasksQuery,
  Progress,
  Task,
  TaskPlan,
  TaskUpdate,
} from '../generated/schema.js'
import { changed, cut, lean, ToolError, toWorkOn, whyNone } from './answers.js'

/** Where and as whom a tool runs. */
export interface Context {
  client: Operations
  /** The session; undefined if neither the program nor the model has given one. */
  session_id: string | undefined
  /** Under which name tasks are claimed. */
  worker: string
  /** For how long tasks are claimed, in seconds. */
  lease_seconds: number
  /** The leases that the program holds for the model, by task; undefined if the model has them. */
  leases: Map<string, string> | undefined
  signal: AbortSignal | undefined
}

const SESSION_REQUIRED =
  'session_id is required, since no session is configured: use the UUID of your session'

/** Every call of the session, or an error that has a new id: models cannot make up random ones. */
function sessionOf({ session_id }: Context): string {
  if (session_id) return session_id
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) =>
    byte.toString(16).padStart(2, '0'),
  )
  const made = hex.join('').replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5')
  throw new ToolError(`${SESSION_REQUIRED}, or ${made} for a new one. Send the same one with every call.`)
}

/** The task, if it belongs to the session: a model must not leave it by a task's id. */
async function ownTask(context: Context, task_id: string): Promise<Task> {
  const task = await context.client.tasks.get(task_id, context)
  if (context.session_id && task.session_id !== context.session_id.toLowerCase())
    throw new ToolError(
      'The task belongs to another session. Call list_tasks to find the ids of the tasks of this one.',
    )
  return task
}

const hasCode = (error: unknown, code: ErrorCode): error is AklpError =>
  error instanceof AklpError && error.error_code === code

export async function resume(context: Context): Promise<object> {
  const { client, worker } = context
  const state = await client.sessions.get(
    sessionOf(context),
    { fields: ['key', 'title', 'status', 'result', 'claimed_by', 'lease_expires_at'] },
    context,
  )
  const { session_id, progress, next, in_progress, recent, notes, latest_batch } = state
  const held = in_progress.find(({ claimed_by }) => claimed_by === worker)
  return lean({
    session_id,
    worker,
    progress: lean(progress),
    next: next && lean({ id: next.id, key: next.key, title: next.title }),
    in_progress: in_progress.map(({ id, key, title, claimed_by, lease_expires_at }) =>
      lean({ id, key, title, claimed_by, lease_expires_at }),
    ),
    recent: recent.map(({ id, key, title, result }) => lean({ id, key, title, result: cut(result) })),
    notes: notes.map(({ task_id, at, actor, note }) =>
      lean({ task_id, at, by: actor.worker ?? actor.caller, note: cut(note) }),
    ),
    latest_batch: latest_batch && {
      ...lean({ id: latest_batch.id, reason: cut(latest_batch.reason), created_at: latest_batch.created_at }),
      progress: lean(latest_batch.progress),
    },
    next_step: held
      ? `You hold "${held.title}": call next_task to get it back with a new token.`
      : next
        ? 'Call next_task to start the next task.'
        : whyNone(progress),
  })
}

type Planned = Pick<TaskPlan, 'title' | 'key' | 'description' | 'priority' | 'blocked_by' | 'not_before'>

export async function createPlan(
  context: Context,
  { tasks, reason }: { tasks: Planned[]; reason?: string | null },
): Promise<object> {
  const session_id = sessionOf(context)
  const { client } = context
  const body = { session_id, tasks, ...(reason && { reason }) }
  // If the plan of an earlier call was deleted since, its id leads to another key.
  for (let former = ''; ; ) {
    let isReplayed = false
    const batch = await client.batches.create(body, {
      ...context,
      idempotencyKey: keyOf('create_plan', body, former),
      onReplayed: () => {
        isReplayed = true
      },
    })
    if (!isReplayed) return planAnswer(batch, batch.tasks)
    try {
      return planAnswer(await client.batches.get(batch.id, context), batch.tasks, 'The plan is already there')
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error
      former = batch.id
    }
  }
}

export async function extendPlan(
  context: Context,
  { tasks, batch_id: given }: { tasks: Planned[]; batch_id?: string },
): Promise<object> {
  const session_id = sessionOf(context)
  const { client } = context
  const batch_id = given ? await ownBatch(context, given) : await latestBatch(context)
  let isReplayed = false
  const batch = await client.batches.extend(batch_id, tasks, {
    ...context,
    // Without the plan, if it was not given: when there is a later one, a retry must not add to that as well.
    idempotencyKey: keyOf('extend_plan', { session_id, tasks, ...(given && { batch_id }) }),
    onReplayed: () => {
      isReplayed = true
    },
  })
  const added = batch.tasks.slice(-tasks.length)
  if (!isReplayed) return planAnswer(batch, added)
  return planAnswer(await client.batches.get(batch_id, context), added, 'The tasks are already there')
}

/** The plan, if it has tasks of the session. */
async function ownBatch(context: Context, batch_id: string): Promise<string> {
  const session_id = sessionOf(context)
  const found = await context.client.tasks.list(
    { session_id, batch_id, limit: 1, fields: ['title'] },
    context,
  )
  if (found.total > 0) return batch_id.toLowerCase()
  throw new ToolError(NOT_IN_SESSION)
}

const NOT_IN_SESSION =
  'No plan has this batch_id in this session. Leave it out, or call resume to see the id of the latest one.'

async function latestBatch(context: Context): Promise<string> {
  const { latest_batch } = await context.client.sessions.get(
    sessionOf(context),
    { fields: ['title'] },
    context,
  )
  if (latest_batch) return latest_batch.id
  throw new ToolError('There is no plan in this session yet. Call create_plan with these tasks.')
}

/** The tasks that a call created, as they are now in the batch. */
function planAnswer(batch: Batch, created: readonly Task[], isThere?: string) {
  const ids = new Set(created.map(({ id }) => id))
  return lean({
    ...(isThere && { already_there: `${isThere}, from the same call before. Nothing was created now.` }),
    batch_id: batch.id,
    tasks: batch.tasks
      .filter(({ id }) => ids.has(id))
      .map(({ key, id, is_ready }) => lean({ key, id, is_ready })),
    progress: lean(batch.progress),
    next_step: batch.progress.ready > 0 ? 'Call next_task to start.' : whyNone(batch.progress),
  })
}

export async function nextTask(
  context: Context,
  { task_id, batch_id, lease_seconds }: { task_id?: string; batch_id?: string; lease_seconds?: number },
): Promise<object> {
  const { client, worker } = context
  const lease = { worker, lease_seconds: lease_seconds ?? context.lease_seconds }
  if (task_id === undefined) {
    const claim = await client.tasks.claimNext(
      { ...lease, session_id: sessionOf(context), ...(batch_id && { batch_id }), resume: true },
      context,
    )
    if (batch_id && claim.progress?.total === 0) throw new ToolError(NOT_IN_SESSION)
    return claimAnswer(context, claim)
  }
  if (context.session_id) await ownTask(context, task_id)
  try {
    return claimAnswer(context, await client.tasks.claim(task_id, lease, context))
  } catch (error) {
    const current = error instanceof TaskClaimedError ? error.current : undefined
    if (current?.claimed_by !== worker) throw error
    return claimAnswer(context, await claimAgain(context, current!, lease))
  }
}

/** Claims a task that is ours: the answer of an earlier call was lost, and its token with it. */
async function claimAgain(
  { client, signal }: Context,
  { id, session_id, batch_id, updated_at }: Task,
  lease: { worker: string; lease_seconds: number },
): Promise<Claimed> {
  const scope = session_id ? { session_id } : batch_id ? { batch_id } : undefined
  if (scope) {
    const held = await client.tasks.list(
      { ...scope, claimed_by: lease.worker, limit: 1, fields: ['title'] },
      { signal },
    )
    // A claim with `resume` returns the task that changed last: another one would lose its token.
    if (held.items[0]?.id === id)
      return client.tasks.claimNext({ ...lease, ...scope, resume: true }, { signal })
  }
  await client.tasks.update(id, { status: 'pending' }, { signal, ifUnchangedSince: updated_at })
  return client.tasks.claim(id, lease, { signal })
}

interface Claimed {
  task: Task | null
  lease: { token: string; expires_at: string } | null
  progress?: Progress | null
}

function claimAnswer({ leases }: Context, { task, lease, progress }: Claimed): object {
  if (!task || !lease)
    return lean({ progress: progress && lean(progress), next_step: progress && whyNone(progress) })
  leases?.set(task.id, lease.token)
  const builds = task.blocked_by.length > 0 ? ' get_task returns the results that it builds on.' : ''
  return lean({
    task: toWorkOn(task),
    token: leases ? null : lease.token,
    expires_at: lease.expires_at,
    next_step: `Do this task, then call finish_task with its result.${builds}`,
  })
}

/** The token of a task, if there is one: from the model, or kept by the program. */
const tokenOf = ({ leases }: Context, task_id: string, given: string | undefined) =>
  leases ? leases.get(task_id.toLowerCase()) : given

const NOT_HELD = 'You do not hold this task. Stop work on it and call next_task.'

export async function finishTask(
  context: Context,
  input: { task_id: string; token?: string; result: string; note?: string; next?: boolean },
): Promise<object> {
  const { client, worker, lease_seconds, leases } = context
  const { task_id, result, note, next = true } = input
  const token = tokenOf(context, task_id, input.token)
  const finished = { finished: task_id }
  /** The answer if an earlier call has finished the task with this result. */
  const before = async (task: Task | undefined) => {
    if (task?.status !== 'completed' || task.result !== result) return undefined
    leases?.delete(task_id.toLowerCase())
    return next ? { ...finished, next: claimAnswer(context, await claimAfter(context, task)) } : finished
  }
  if (!token) {
    const answer = await before(await ownTask(context, task_id))
    if (answer) return answer
    throw new ToolError(NOT_HELD)
  }
  const done: ClaimRequest['done'] = { task_id, token, result, ...(note && { note }) }
  try {
    if (!next) {
      await client.tasks.update(
        task_id,
        { status: 'completed', result, ...(note && { note }) },
        { ...context, leaseToken: token },
      )
      leases?.delete(task_id.toLowerCase())
      return finished
    }
    let isReplayed = false
    const body = { worker, lease_seconds, done, resume: true }
    const claim = await client.tasks.claimNext(body, {
      ...context,
      idempotencyKey: keyOf('finish_task', body),
      onReplayed: () => {
        isReplayed = true
      },
    })
    leases?.delete(task_id.toLowerCase())
    return {
      ...finished,
      next: claimAnswer(context, isReplayed ? await stillHeld(context, task_id, claim) : claim),
    }
  } catch (error) {
    const answer = error instanceof LeaseLostError ? await before(error.current) : undefined
    if (answer) return answer
    throw error
  }
}

/** The claim of an earlier call, if its task is still ours; else a new one. */
async function stillHeld(context: Context, done_id: string, claim: Claimed): Promise<Claimed> {
  const task = claim.task && (await context.client.tasks.get(claim.task.id, context).catch(ignoreMissing))
  if (task?.status === 'in_progress' && task.claimed_by === context.worker) return claim
  const done = await context.client.tasks.get(done_id, context).catch(ignoreMissing)
  return done ? claimAfter(context, done) : claim
}

const ignoreMissing = (error: unknown) => {
  if (error instanceof NotFoundError) return undefined
  throw error
}

/** The next task after a completed one. A task without a session and a plan has none. */
async function claimAfter(
  { client, worker, lease_seconds, signal }: Context,
  { session_id, batch_id }: Task,
): Promise<Claimed> {
  const scope = session_id ? { session_id } : batch_id ? { batch_id } : undefined
  if (!scope) return { task: null, lease: null }
  return client.tasks.claimNext({ worker, lease_seconds, ...scope, resume: true }, { signal })
}

export async function updateTask(
  context: Context,
  { task_id, token: given, note, ...changes }: { task_id: string; token?: string } & TaskUpdate,
): Promise<object> {
  const { client, leases } = context
  const token = tokenOf(context, task_id, given)
  const isEmpty = Object.keys(changes).length === 0
  if (isEmpty && !note && !token)
    throw new ToolError('Nothing was changed: give at least one field to change.')
  if (!token && context.session_id) await ownTask(context, task_id)
  let task: Task | undefined
  try {
    const isNoted = note !== undefined && (await hasLastNote(context, task_id, note))
    if (!isEmpty || (note && !isNoted))
      task = await client.tasks.update(
        task_id,
        { ...changes, ...(note && !isNoted && { note }) },
        { ...context, ...(token && { leaseToken: token }) },
      )
  } catch (error) {
    const current = error instanceof LeaseLostError ? error.current : undefined
    // The change that ended the lease was made by an earlier call.
    if (!current || !endsLease(changes) || !has(current, changes)) throw error
    task = current
  }
  if (!token || endsLease(changes)) {
    if (endsLease(changes)) leases?.delete(task_id.toLowerCase())
    return { task: changed(task ?? (await client.tasks.get(task_id, context))) }
  }
  const { lease_expires_at } = task ?? (await client.tasks.get(task_id, context))
  const left = lease_expires_at ? (Date.parse(lease_expires_at) - Date.now()) / 1000 : 0
  // Not shorter than it was asked for.
  const lease_seconds = Math.min(86_400, Math.max(context.lease_seconds, Math.ceil(left)))
  const renewed = await client.tasks.renewLease(task_id, { token, lease_seconds }, context)
  return { task: changed(renewed.task), expires_at: renewed.lease.expires_at }
}

const endsLease = ({ status }: TaskUpdate) => status === 'completed' || status === 'pending'

/** Whether the texts of a task are those that a change sets. */
const has = (task: Task, { title, description, status, priority, result }: TaskUpdate) =>
  Object.entries({ title, description, status, priority, result }).every(
    ([name, value]) => value === undefined || task[name as keyof Task] === value,
  )

/** Whether the last note of a task is this one: the call that wrote it is repeated. */
async function hasLastNote(context: Context, task_id: string, note: string): Promise<boolean> {
  const [last] = await notesOf(context, task_id)
  return last?.note === note
}

/** The last notes of a task, latest first; none if events are not kept. */
async function notesOf(context: Context, task_id: string) {
  try {
    const { items } = await context.client.events.list({ task_id, order: 'desc', limit: 50 }, context)
    return items.filter(({ note }) => note !== null)
  } catch (error) {
    if (hasCode(error, 'events_off')) return []
    throw error
  }
}

export async function releaseTask(
  context: Context,
  { task_id, token: given, ...rest }: { task_id: string; token?: string; note?: string; not_before?: string },
): Promise<object> {
  const token = tokenOf(context, task_id, given)
  if (!token) throw new ToolError(NOT_HELD)
  const answer = (task: Task) => {
    context.leases?.delete(task_id.toLowerCase())
    return { task: changed(task), next_step: 'Call next_task to get another task.' }
  }
  try {
    return answer(await context.client.tasks.release(task_id, { token, ...rest }, context))
  } catch (error) {
    const current = error instanceof LeaseLostError ? error.current : undefined
    // An earlier call has done it.
    if (current?.status !== 'pending') throw error
    return answer(current)
  }
}

/** Most notes that get_task returns. */
const MOST_NOTES = 5

export async function getTask(context: Context, { task_id }: { task_id: string }): Promise<object> {
  const task = await ownTask(context, task_id)
  const [blockers, notes] = await Promise.all([
    tasksOf(context, task.blocked_by, ['key', 'title', 'status', 'result']),
    notesOf(context, task_id),
  ])
  return {
    task: lean({ ...task, blocked_by: null }),
    ...lean({
      blocked_by: blockers.map(({ id, key, title, status, result }) =>
        lean({ id, key, title, status, result: cut(result) }),
      ),
      notes: notes
        .slice(0, MOST_NOTES)
        .map(({ at, actor, note }) => lean({ at, by: actor.worker ?? actor.caller, note })),
    }),
  }
}

const PER_PAGE = 100

/** Some tasks by id, in that order; deleted ones are left out. */
async function tasksOf<F extends keyof Task>(
  { client, signal }: Context,
  ids: readonly string[],
  fields: F[],
) {
  const found = new Map<string, Pick<Task, F | 'id'>>()
  for (let at = 0; at < ids.length; at += PER_PAGE) {
    const page = await client.tasks.list(
      { ids: ids.slice(at, at + PER_PAGE), limit: PER_PAGE, fields },
      { signal },
    )
    for (const task of page.items as Pick<Task, F | 'id'>[]) found.set(task.id, task)
  }
  return ids.flatMap((id) => found.get(id) ?? [])
}

export async function listTasks(
  context: Context,
  query: Pick<ListTasksQuery, 'status' | 'ready' | 'q' | 'limit' | 'cursor'>,
): Promise<object> {
  const page = await context.client.tasks.list(
    {
      limit: 20,
      ...query,
      session_id: sessionOf(context),
      sort_by: 'created_at',
      order: 'asc',
      fields: ['key', 'title', 'status', 'blocked_by'],
    },
    context,
  )
  const { items, total, next_cursor } = page
  const waiting = items.filter(({ status }) => status !== 'completed')
  const known = new Map(items.map(({ id, key, status }) => [id, { id, key, status }]))
  const others = new Set(waiting.flatMap(({ blocked_by }) => blocked_by).filter((id) => !known.has(id)))
  for (const { id, key, status } of await tasksOf(context, [...others], ['key', 'status']))
    known.set(id, { id, key, status })
  const openBlockers = ({ blocked_by }: Pick<Task, 'blocked_by'>) =>
    blocked_by.flatMap((id) => {
      const blocker = known.get(id)
      return blocker && blocker.status !== 'completed' ? [blocker.key ?? id] : []
    })
  return lean({
    columns: 'id, key, title, status, open_blockers',
    tasks: items.map((task) => {
      const open = task.status === 'completed' ? [] : openBlockers(task)
      const row = [task.id, task.key ?? '', task.title, task.status]
      return open.length > 0 ? [...row, open] : row
    }),
    total,
    next_cursor,
  })
}

/** A key for what a call creates: the same for the same input, so that the call is made once. */
function keyOf(tool: string, input: object, more = ''): string {
  return `${tool}:${hash(`${more}${canonical(input)}`)}`
}

/** JSON with the names of objects in order: a model that repeats itself may write them in another one. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner) =>
    inner && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

/** FNV-1a with 128 bits. Pages without TLS have no crypto.subtle; two inputs with one hash are an error of the service. */
function hash(text: string): string {
  let result = 0x6c62272e07bb014262b821756295c58dn
  for (const byte of new TextEncoder().encode(text))
    result = BigInt.asUintN(128, (result ^ BigInt(byte)) * 0x1000000000000000000013bn)
  return result.toString(16)
}
