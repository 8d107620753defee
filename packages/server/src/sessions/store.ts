/** Where a session stands, in one statement that reads its tasks once. */
import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { StoreDb } from '../db/database.js'
import type { Json } from '../db/json.js'
import { isOwn, named, timestamp, type Visible, visibleTo } from '../db/sql.js'
import { qb, statement } from '../db/statement.js'
import { batches, events, tasks } from '../db/tables.js'
import { MOST_ROWS } from '../http/admission.js'
import type { Caller } from '../http/caller.js'
import { taskFields } from '../tasks/columns.js'
import { progressOf } from '../tasks/progress.js'
import { claimOrder, hasOpenBlocker, isReady } from '../tasks/ready.js'
import { TASK_FIELDS } from '../tasks/schemas.js'
import { MAX_IN_PROGRESS, MAX_NOTES, MAX_RECENT, type SessionQuery, type SessionState } from './schemas.js'

const isBlocked = sql`is_blocked`

/** The tasks of the session under a condition, as JSON. */
const listed = (names: readonly string[], condition: SQL, order: SQL, limit: number) => {
  const fields = Object.entries(taskFields(isBlocked)).filter(([name]) => names.includes(name))
  return sql`(
    select coalesce(json_agg(task), '[]') from (
      select ${named(Object.fromEntries(fields))} from session_tasks as tasks
      where ${condition} order by ${order} limit ${sql.raw(String(limit))}
    ) as task)`
}

/** Whether any number of tasks may be read, and the fields of tasks that are wanted, separated by commas; all if there are none. */
type Shape = `${'few' | 'any'} ${string}`

const select = statement<{ session_id: string } & Visible, { json: Json<SessionState> | null }, Shape>(
  ($, shape) => {
    const [number, fields] = shape.split(' ') as ['few' | 'any', string]
    const names = fields === '' ? TASK_FIELDS : fields.split(',')
    const ofSession = and(eq(tasks.session_id, $.session_id), isOwn(tasks.session_id, $.own_sessions))
    const latest = qb
      .select()
      .from(batches)
      .where(and(eq(batches.session_id, $.session_id), isOwn(batches.session_id, $.own_sessions)))
      .orderBy(sql`${batches.created_at} desc`, sql`${batches.id} desc`)
      .limit(1)
      .as('batches')
    const session = sql`
    with session_tasks as (
      select *, ${hasOpenBlocker()} as is_blocked from ${tasks} where ${ofSession}
    )
    select ${$.session_id}::uuid as session_id,
      (select ${progressOf(isBlocked)} from session_tasks as tasks) as progress,
      ${listed(names, isReady(isBlocked), sql.join(claimOrder, sql`, `), 1)} -> 0 as next,
      ${listed(names, sql`${tasks.status} = 'in_progress'`, sql`${tasks.updated_at} desc, ${tasks.id} desc`, MAX_IN_PROGRESS)} as in_progress,
      ${listed(names, sql`${tasks.status} = 'completed'`, sql`${tasks.completed_at} desc, ${tasks.id} desc`, MAX_RECENT)} as recent,
      (select coalesce(json_agg(noted), '[]') from (
        select ${events.task_id}, ${timestamp(events.at).sql} as at,
          json_build_object('caller', ${events.caller}, 'worker', ${events.worker}) as actor, ${events.note}
        from ${events} where ${and(eq(events.session_id, $.session_id), isOwn(events.session_id, $.own_sessions), sql`${events.note} is not null`)}
        order by ${events.xid} desc, ${events.id} desc limit ${sql.raw(String(MAX_NOTES))}) as noted) as notes,
      (select row_to_json(batch) from (
        select ${batches.id} as id, ${batches.reason} as reason, ${timestamp(batches.created_at).sql} as created_at,
          (select ${progressOf(isBlocked)} from session_tasks as tasks where ${tasks.batch_id} = ${batches.id}) as progress
        from ${latest}) as batch) as latest_batch`
    const json = sql`(select row_to_json(session)::text from (${session}) as session)`
    const some = qb
      .select({ id: tasks.id })
      .from(tasks)
      .where(ofSession)
      .limit(MOST_ROWS + 1)
      .as('some')
    // A subquery in a case is run only if it is needed.
    const jsonIfFew = sql`case when (select count(*) from ${some}) <= ${sql.raw(String(MOST_ROWS))} then ${json} end`
    return qb
      .select({ json: sql<Json<SessionState> | null>`${number === 'few' ? jsonIfFew : json}`.as('json') })
      .from(sql`(values (1)) as one`)
  },
  (_, shape) => shape.endsWith(' '),
)

export type SessionStore = ReturnType<typeof createSessionStore>

/** Every function sees the sessions of the caller; any other looks unused. */
export function createSessionStore(db: StoreDb) {
  const stateOf = async (
    number: 'few' | 'any',
    caller: Caller,
    session_id: string,
    { fields }: SessionQuery = {},
  ) => {
    // In one order, so that the same fields are the same statement.
    const names = fields && TASK_FIELDS.filter((name) => name === 'id' || fields.includes(name))
    const [session] = await select(db, { session_id, ...visibleTo(caller) }, `${number} ${names ?? ''}`)
    return session!.json
  }
  return {
    /** The state of a session. */
    async get(caller: Caller, session_id: string, query?: SessionQuery): Promise<Json<SessionState>> {
      return (await stateOf('any', caller, session_id, query))!
    },

    /** The same, but undefined if it has more than {@link MOST_ROWS} tasks. */
    async getSmall(
      caller: Caller,
      session_id: string,
      query?: SessionQuery,
    ): Promise<Json<SessionState> | undefined> {
      return (await stateOf('few', caller, session_id, query)) ?? undefined
    },
  }
}
