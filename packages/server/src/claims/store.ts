/**
 * The statements on claims and leases, each call one statement. A claim locks one row and skips those that others lock: workers
 * do not wait for each other. Expiry needs nothing to run: an expired lease is one that others can take.
 */
import { and, eq, isNotNull, ne, type Placeholder, sql } from 'drizzle-orm'
import type { StoreDb } from '../db/database.js'
import { type Json, jsonObject, toJson } from '../db/json.js'
import { identifiers, isOwn, type Visible, visibleTo } from '../db/sql.js'
import { qb, statement } from '../db/statement.js'
import { batches, tasks } from '../db/tables.js'
import { type Recorded, type Recorder, recorded } from '../events/record.js'
import type { Caller } from '../http/caller.js'
import { toTimestamp } from '../http/timestamp.js'
import type { Creation, Idempotency, Once } from '../idempotency/record.js'
import { taskFields } from '../tasks/columns.js'
import { progressOf } from '../tasks/progress.js'
import { claimOrder, hasOpenBlocker, isDeferred, isFree } from '../tasks/ready.js'
import { blockedTask } from '../tasks/rules.js'
import type { Progress, Task } from '../tasks/schemas.js'
import type {
  Claim,
  ClaimRequest,
  ReleaseRequest,
  RenewRequest,
  TaskClaimRequest,
  TaskLease,
} from './schemas.js'

/** The lease of a claim does not exist any more, or never did. */
export class LeaseLost extends Error {
  constructor(readonly task_id: string) {
    super()
  }
}

/** There is no such batch. */
export class UnknownBatch extends Error {}

const later = sql`greatest(now(), ${tasks.updated_at} + interval '1 millisecond')`

const expiry = (lease_seconds: Placeholder) => sql`now() + make_interval(secs => ${lease_seconds}::int)`

/** What a claim changes. */
const leased = ($: { worker: Placeholder; lease_seconds: Placeholder }) => ({
  status: sql`'in_progress'`,
  claimed_by: sql`${$.worker}`,
  lease_token: sql`gen_random_uuid()`,
  lease_expires_at: expiry($.lease_seconds),
  updated_at: later,
})

/** A task with its lease; the fields of JSON are written by PostgreSQL. */
interface Leased {
  task: Json<Task>
  token: string
  expires_at: string
  /** Whether the task had a lease that has expired. */
  took_over: boolean
}

/** The columns of {@link Leased} from rows that have the fields of a task and `token`; no task without a token. */
const leasedColumns = {
  task: sql<Json<Task>>`
    case when token is not null then (
      select row_to_json(task)::text from (select ${identifiers(Object.keys(taskFields()))}) as task) end`.as(
    'task',
  ),
  token: sql<string>`token`.as('token'),
  expires_at: sql<string>`lease_expires_at`.as('expires_at'),
}

/** A task under a lease is not ready, whatever blocks it. */
const returned = { ...taskFields(sql`false`), token: sql<string>`${tasks.lease_token}`.as('token') }

interface ClaimValues extends Visible, Recorded {
  session_id?: string | undefined
  batch_id?: string | undefined
  worker: string
  lease_seconds: number
  max_attempts?: number | undefined
  done_id?: string | undefined
  done_token?: string | undefined
  /** The result and the metadata of the completed task, as a JSON object. */
  done_patch?: string | undefined
}

interface ClaimResult extends Partial<Leased> {
  /** How many tasks were completed. */
  done: number
}

const claimNext = statement<ClaimValues, ClaimResult, 'resume' | 'next'>(($, shape) => {
  const patch = sql`${$.done_patch}::jsonb`
  const isScope = and(
    $.session_id && eq(tasks.session_id, $.session_id),
    $.batch_id && eq(tasks.batch_id, $.batch_id),
    isOwn(tasks.session_id, $.own_sessions),
  )
  const done = qb.$with('done').as(
    $.done_id && $.done_token
      ? qb
          .update(tasks)
          .set({
            status: sql`'completed'`,
            lease_token: sql`null`,
            result: sql`case when ${patch} ? 'result' then ${patch} ->> 'result' else ${tasks.result} end`,
            metadata: sql`
              case when ${patch} ? 'metadata' then json_merge_patches(${tasks.metadata}, jsonb_build_array(${patch} -> 'metadata'))
                   else ${tasks.metadata} end`,
            completed_at: later,
            updated_at: later,
          })
          .where(
            and(
              eq(tasks.id, $.done_id),
              eq(tasks.lease_token, $.done_token),
              isOwn(tasks.session_id, $.own_sessions),
              recorded($.by),
            ),
          )
          .returning({ id: tasks.id })
      : qb.select({ id: tasks.id }).from(tasks).where(sql`false`),
  )
  const afterDone = $.done_id && and(ne(tasks.id, $.done_id), sql`exists (select from done)`)
  // Not skipped if another request has it locked: that is a retry of the same worker, or the write that ends the lease. Only a
  // task in progress has a token (tasks_lease_only_in_progress). With `status`, PostgreSQL could use a plan from when few tasks were
  // in progress, which reads those of all sessions.
  const held = qb.$with('held').as(
    qb
      .select({ id: tasks.id, took_over: sql`false`.as('took_over'), attempts: sql`0`.as('attempts') })
      .from(tasks)
      .where(and(isScope, isNotNull(tasks.lease_token), eq(tasks.claimed_by, $.worker), afterDone))
      .orderBy(sql`${tasks.updated_at} desc`)
      .limit(1)
      .for('no key update'),
  )
  const isHeld = shape === 'resume' ? sql`exists (select from held)` : sql`false`
  const ready = qb.$with('ready').as(
    qb
      .select({
        id: tasks.id,
        took_over: sql`${tasks.lease_token} is not null`.as('took_over'),
        attempts: sql`1`.as('attempts'),
      })
      .from(tasks)
      .where(
        and(
          isScope,
          isFree,
          sql`not (${isDeferred})`,
          // The completed task counts, although this statement does not see its own changes.
          sql`not (${hasOpenBlocker($.done_id && sql`${$.done_id}::uuid`)})`,
          $.max_attempts && sql`${tasks.attempts} < ${$.max_attempts}`,
          afterDone,
          sql`not ${isHeld}`,
        ),
      )
      .orderBy(...claimOrder)
      .limit(1)
      .for('no key update', { skipLocked: true }),
  )
  const candidates = shape === 'resume' ? [held, ready] : [ready]
  const chosen = sql`(${sql.join(
    candidates.map((candidate) => sql`select id, took_over, attempts from ${candidate}`),
    sql` union all `,
  )}) as chosen`
  const claimed = qb.$with('claimed').as(
    qb
      .update(tasks)
      .set({ ...leased($), attempts: sql`${tasks.attempts} + chosen.attempts` })
      .from(chosen)
      .where(and(sql`${tasks.id} = chosen.id`, recorded($.by)))
      .returning({ ...returned, took_over: sql<boolean>`chosen.took_over`.as('took_over') }),
  )
  return qb
    .with(done, ...candidates, claimed)
    .select({
      done: sql<number>`(select count(*)::int from done)`.as('done'),
      ...leasedColumns,
      took_over: sql<boolean>`took_over`.as('took_over'),
    })
    .from(sql`(values (1)) as one left join claimed on true`)
})

interface ById extends Visible {
  id: string
}
const isId = ($: { id: Placeholder; own_sessions: Placeholder | undefined }) =>
  and(eq(tasks.id, $.id), isOwn(tasks.session_id, $.own_sessions))

const claimOne = statement<ById & Recorded & { worker: string; lease_seconds: number }, Leased>(($) => {
  const chosen = qb.$with('chosen').as(
    qb
      .select({ id: tasks.id, took_over: sql`${tasks.lease_token} is not null`.as('took_over') })
      .from(tasks)
      .where(and(isId($), isFree))
      .for('no key update'),
  )
  const claimed = qb.$with('claimed').as(
    qb
      .update(tasks)
      .set({ ...leased($), attempts: sql`${tasks.attempts} + 1` })
      .from(chosen)
      .where(and(eq(tasks.id, chosen.id), recorded($.by)))
      .returning({ ...returned, took_over: sql<boolean>`chosen.took_over`.as('took_over') }),
  )
  return qb
    .with(chosen, claimed)
    .select({ ...leasedColumns, took_over: sql<boolean>`took_over`.as('took_over') })
    .from(sql`claimed`)
})

const renew = statement<ById & Recorded & { token: string; lease_seconds: number }, Leased>(($) => {
  const renewed = qb.$with('renewed').as(
    qb
      .update(tasks)
      .set({ lease_expires_at: expiry($.lease_seconds) as never })
      .where(and(isId($), eq(tasks.lease_token, $.token), recorded($.by)))
      .returning(returned),
  )
  return qb
    .with(renewed)
    .select({ ...leasedColumns, took_over: sql<boolean>`false`.as('took_over') })
    .from(sql`renewed`)
})

const release = statement<
  ById & Recorded & { token: string; not_before?: string | undefined },
  { json: Json<Task>; version: string }
>(($) => {
  const released = qb.$with('released').as(
    qb
      .update(tasks)
      .set({
        status: sql`'pending'`,
        lease_token: sql`null`,
        ...($.not_before && { not_before: sql`${$.not_before}::timestamptz` }),
        updated_at: later,
      })
      .where(and(isId($), eq(tasks.lease_token, $.token), recorded($.by)))
      .returning(taskFields()),
  )
  return qb
    .with(released)
    .select({
      json: sql<Json<Task>>`row_to_json(released)::text`.as('json'),
      version: sql<string>`updated_at`.as('version'),
    })
    .from(released)
})

const selectProgress = statement<
  { session_id?: string | undefined; batch_id?: string | undefined } & Visible,
  { progress: Json<Progress>; exists: boolean }
>(($) => {
  const scope = and(
    $.session_id && eq(tasks.session_id, $.session_id),
    $.batch_id && eq(tasks.batch_id, $.batch_id),
    isOwn(tasks.session_id, $.own_sessions),
  )
  const exists = $.batch_id
    ? sql`exists (select from ${batches} where ${and(eq(batches.id, $.batch_id), isOwn(batches.session_id, $.own_sessions))})`
    : sql`true`
  return qb
    .select({
      progress: sql<Json<Progress>>`${progressOf(sql`is_blocked`)}::text`.as('progress'),
      exists: sql<boolean>`${exists}`.as('exists'),
    })
    .from(sql`(select *, ${hasOpenBlocker()} as is_blocked from ${tasks} where ${scope}) as tasks`)
})

const selectScope = statement<ById, { session_id: string | null; batch_id: string | null }>(($) =>
  qb.select({ session_id: tasks.session_id, batch_id: tasks.batch_id }).from(tasks).where(isId($)),
)

/** How often a claim tries again when the task that it chose was blocked meanwhile. */
const RETRIES = 5

export type ClaimStore = ReturnType<typeof createClaimStore>

/**
 * Every function sees the tasks of the caller's sessions and no others. If a rule between tasks is broken, it throws what
 * tasks/rules.ts explains.
 *
 * @param db A database.
 */
export function createClaimStore(db: StoreDb, idempotency: Idempotency, record: Recorder) {
  return {
    /**
     * Claims the next task, or returns the progress if none is ready; with `once`, unless an earlier request has done so.
     * Throws {@link LeaseLost} for `done`, and {@link UnknownBatch}.
     */
    async next(
      caller: Caller,
      { done, resume, worker, lease_seconds, max_attempts, ...scope }: ClaimRequest,
      once?: Once,
    ): Promise<Creation<Claim> & { claimed?: number; tookOver?: number; completed?: number }> {
      const seen = visibleTo(caller)
      let { session_id, batch_id } = scope
      if (session_id === undefined && batch_id === undefined) {
        const [found] = await selectScope(db, { id: done!.task_id, ...seen })
        if (found === undefined) throw new LeaseLost(done!.task_id)
        if (found.session_id !== null) session_id = found.session_id
        // A task without both is alone. No batch has its id, so there is no next task.
        else batch_id = found.batch_id ?? done!.task_id
      }
      const counts = { claimed: 0, tookOver: 0, completed: 0 }
      const values = {
        session_id,
        batch_id,
        worker,
        lease_seconds,
        max_attempts,
        done_id: done?.task_id.toLowerCase(),
        done_token: done?.token,
        done_patch: done && toJson({ result: done.result, metadata: done.metadata }),
        ...seen,
        ...record(caller, { token: done?.token.toLowerCase(), notes: noteOf(done?.task_id, done?.note) }),
      }
      const claim = async (db: StoreDb) => {
        const [found] = await claimNext(db, values, resume ? 'resume' : 'next')
        if (done !== undefined && found!.done === 0) throw new LeaseLost(done.task_id)
        counts.completed = found!.done
        if (found!.task) {
          counts.claimed = 1
          counts.tookOver = Number(found!.took_over)
          return { json: claimJson(found as Leased), version: '' }
        }
        const [none] = await selectProgress(db, { session_id, batch_id, ...seen })
        // After `done`, an error would say that nothing happened.
        if (!none!.exists && done === undefined) throw new UnknownBatch()
        const json = jsonObject<Claim>({ task: toJson(null), lease: toJson(null), progress: none!.progress })
        return { json, version: '', isTransient: done === undefined }
      }
      for (let attempt = 0; ; attempt++) {
        try {
          const creation = once
            ? await idempotency.onceInTransaction(claim, once)
            : { outcome: 'created' as const, ...(await claim(db)) }
          return { ...creation, ...counts }
        } catch (error) {
          const blocked = blockedTask(error)
          // A blocker of the next task was reopened at the same moment.
          if (blocked === undefined || blocked.id === values.done_id || attempt === RETRIES) throw error
        }
      }
    },

    /** Claims a task; undefined if there is no such task that is free. */
    async one(
      caller: Caller,
      id: string,
      { worker, lease_seconds }: TaskClaimRequest,
    ): Promise<{ json: Json<TaskLease>; tookOver: boolean } | undefined> {
      const [found] = await claimOne(db, {
        id,
        worker,
        lease_seconds,
        ...visibleTo(caller),
        ...record(caller),
      })
      return found && { json: leaseJson(found), tookOver: found.took_over }
    },

    /** Renews a lease; undefined if there is no such task with this token. */
    async renew(
      caller: Caller,
      id: string,
      { token, lease_seconds }: RenewRequest,
    ): Promise<Json<TaskLease> | undefined> {
      const [found] = await renew(db, {
        id,
        token,
        lease_seconds,
        ...visibleTo(caller),
        ...record(caller),
      })
      return found && leaseJson(found)
    },

    /** Gives a task back; undefined if there is no such task with this token. */
    async release(
      caller: Caller,
      id: string,
      { token, not_before, note }: ReleaseRequest,
    ): Promise<{ json: Json<Task>; version: string } | undefined> {
      const [found] = await release(db, {
        id,
        token,
        not_before: not_before && toTimestamp(not_before)!,
        ...visibleTo(caller),
        ...record(caller, { token: token.toLowerCase(), notes: noteOf(id, note) }),
      })
      return found
    },
  }
}

const noteOf = (id: string | undefined, note: string | undefined) =>
  id === undefined || note === undefined ? undefined : { [id.toLowerCase()]: note }

const leaseOf = ({ token, expires_at }: Leased) => toJson({ token, expires_at })

const leaseJson = (found: Leased) => jsonObject<TaskLease>({ task: found.task, lease: leaseOf(found) })

const claimJson = (found: Leased) =>
  jsonObject<Claim>({ task: found.task, lease: leaseOf(found), progress: toJson(null) })
