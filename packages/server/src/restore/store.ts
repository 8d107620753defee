/** The statements that bring back deleted tasks, from the events of their deletion. */
import { and, eq, getTableColumns, is, type Placeholder, SQL, sql } from 'drizzle-orm'
import type { StoreDb } from '../db/database.js'
import { fieldsAsJson, type Json, toJson } from '../db/json.js'
import { columnsOf, isOwn, named, type Visible, visibleTo } from '../db/sql.js'
import { qb, statement } from '../db/statement.js'
import { batches, events, tasks } from '../db/tables.js'
import { type Recorded, type Recorder, recorded } from '../events/record.js'
import type { Caller } from '../http/caller.js'
import { taskFields } from '../tasks/columns.js'
import { MAX_TASKS, type Task } from '../tasks/schemas.js'

/** A batch would have more tasks than it may. */
export class BatchesFull extends Error {
  constructor(readonly ids: readonly string[]) {
    super()
  }
}

interface Values extends Visible {
  /** An array of PostgreSQL. */
  ids: string
}

/** The deletions to undo, as rows of `events` in the order of the ids: the last event of each task that does not exist. */
const deletionsOf = ($: { ids: Placeholder; own_sessions: Placeholder | undefined }) => {
  const isVisible = isOwn(events.session_id, $.own_sessions)
  return sql`(
    select events.*, nth from unnest(${$.ids}::uuid[]) with ordinality as asked (task, nth)
    cross join lateral (
      select * from ${events} where task_id = task order by xid desc, id desc limit 1
    ) as events
    where type = 'task.deleted'${isVisible && sql` and ${isVisible}`}
      and not exists (select from ${tasks} where ${tasks.id} = task))`
}

/** Locks their batches, as appending does: it looks at keys and the number of tasks. */
const lockBatches = statement<Values, { id: string }>(($) =>
  qb
    .select({ id: batches.id })
    .from(batches)
    .where(sql`${batches.id} in (select batch_id from ${deletionsOf($)} as deletions)`)
    .orderBy(batches.id)
    .for('no key update'),
)

/** What an event does not say, because it is the default. */
const defaults = Object.fromEntries(
  Object.values(getTableColumns(tasks)).flatMap(({ name, default: value }) =>
    value === undefined || is(value, SQL) ? [] : [[name, value]],
  ),
)

/** The columns that are not as they were. */
const changed: Partial<Record<string, SQL>> = {
  id: sql`task_id`,
  session_id: sql`session_id`,
  // A batch goes only with all its tasks, when old sessions are deleted.
  batch_id: sql`(select ${batches.id} from ${batches} where ${batches.id} = deletions.batch_id)`,
  key: sql`case when row_number() over (partition by batch_id, (task).key order by nth) = 1 and not exists (
    select from ${tasks} where ${tasks.batch_id} = deletions.batch_id and ${tasks.key} = (task).key) then (task).key end`,
  blocked_by: sql`array(
    select blocker from unnest((task).blocked_by) with ordinality as blockers (blocker, nth)
    where blocker in (select id from locked) or blocker in (select task_id from deletions) order by nth)`,
  claimed_by: sql`null`,
  lease_token: sql`null::uuid`,
  lease_expires_at: sql`null::timestamptz`,
}

const insert = statement<Values & Recorded & { defaults: string }, { id: string }>(($) => {
  const columns = Object.values(getTableColumns(tasks)).map(({ name }) => {
    const identifier = sql.identifier(name)
    return sql`${changed[name] ?? sql`(task).${identifier}`} as ${identifier}`
  })
  const whole = sql`json_populate_record(json_populate_record(null::${tasks}, ${$.defaults}::json), changes)`
  const deletions = qb
    .$with('deletions', {})
    .as(sql`select deleted.*, ${whole} as task from ${deletionsOf($)} as deleted`)
  // None of them can be deleted until the tasks are committed: a delete removes itself from those that exist.
  const locked = qb.$with('locked', {}).as(sql`
    select ${tasks.id} from ${tasks} where ${tasks.id} in (select unnest((task).blocked_by) from deletions)
    order by ${tasks.id} for key share`)
  // By id: another request may restore the same tasks in another order, and each would wait for a task of the other.
  return qb
    .with(deletions, locked)
    .insert(tasks)
    .select(sql`
      select ${columnsOf(tasks)} from (
        select ${sql.join(columns, sql`, `)}, nth from deletions
      ) as restored
      where ${recorded($.by)} and set_config('aklp.check_blockers', 'off', true) is not null
      order by id`)
    .onConflictDoNothing({ target: tasks.id })
    .returning({ id: tasks.id })
})

const selectFull = statement<{ ids: string }, { id: string }>(($) =>
  qb
    .select({ id: sql<string>`${tasks.batch_id}`.as('id') })
    .from(tasks)
    .where(sql`${tasks.batch_id} = any(${$.ids}::uuid[])`)
    .groupBy(tasks.batch_id)
    .having(sql`count(*) > ${sql.raw(String(MAX_TASKS))}`),
)

const select = statement<Values, { id: string; json: Json<Task> }>(($) =>
  qb
    .select({
      id: sql<string>`${tasks.id}`.as('id'),
      json: fieldsAsJson<Task>(named(taskFields())),
    })
    .from(sql`unnest(${$.ids}::uuid[]) with ordinality as asked (task, nth)`)
    .innerJoin(tasks, and(eq(tasks.id, sql`task`), isOwn(tasks.session_id, $.own_sessions)))
    .orderBy(sql`nth`),
)

export type RestoreStore = ReturnType<typeof createRestoreStore>

/** @param db A database, or a transaction. */
export function createRestoreStore(db: StoreDb, record: Recorder) {
  return {
    /**
     * Brings back tasks of the caller's sessions, all or none, and returns those that exist now by id, in the order of `ids`,
     * each in lower case and once. Throws {@link BatchesFull}.
     */
    async restore(caller: Caller, ids: readonly string[]): Promise<Map<string, Json<Task>>> {
      const values = { ids: `{${ids}}`, ...visibleTo(caller) }
      return db.inTransaction(async (transaction) => {
        const locked = await lockBatches(transaction, values)
        const by = record(caller, { restored: true })
        await insert(transaction, { ...values, ...by, defaults: toJson(defaults) })
        if (locked.length > 0) {
          const full = await selectFull(transaction, { ids: `{${locked.map(({ id }) => id)}}` })
          if (full.length > 0) throw new BatchesFull(full.map(({ id }) => id))
        }
        const rows = await select(transaction, values)
        return new Map(rows.map(({ id, json }) => [id, json]))
      })
    },
  }
}
