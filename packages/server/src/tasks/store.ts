/**
 * The statements on tasks. Each call is one statement, unless it changes what blocks a task: no other caller can change the
 * task between a read and a write, and no transaction stays open. A store is cheap to make, also in a transaction: the statements are shared.
 */

import { and, eq, getTableColumns, type Placeholder, type SQL, sql } from 'drizzle-orm'
import type { StoreDb } from '../db/database.js'
import { newId } from '../db/ids.js'
import { fieldsAsJson, type Json, rowAsJson, toJson, type Versioned } from '../db/json.js'
import { columnsOf, isOwn, named, timestamp, type Visible, visibleTo } from '../db/sql.js'
import { qb, statement } from '../db/statement.js'
import { tasks } from '../db/tables.js'
import { type Recorded, type Recorder, recorded } from '../events/record.js'
import type { Caller } from '../http/caller.js'
import type { Position } from '../http/cursor.js'
import type { Found } from '../http/paging.js'
import { toTimestamp } from '../http/timestamp.js'
import { type Creation, claim, type Idempotency, type Once, type OnceValues } from '../idempotency/record.js'
import { type Changeable, changeable, changeableTimestamps, isChangeable, taskFields } from './columns.js'
import { assertDependencies, lockDependencies } from './dependencies.js'
import { listAll, listFew } from './list.js'
import type {
  Task,
  TaskChanges,
  TaskCreate,
  TaskListQuery,
  TaskPatch,
  TaskPlan,
  TaskUpdate,
} from './schemas.js'

/** The version of a task is its `updated_at`, which rises with every change. */
const version = (updated_at: SQL.Aliased<string>) => sql<string>`${updated_at}`.as('version')

/** The time of the statement, as precise as the tables keep it. */
const now = sql`now()::timestamptz(3)`

/**
 * The completed_at rule: becoming completed sets it, staying completed keeps it, leaving completed clears it. A task
 * that is not completed has none to keep, which a check of the table guarantees.
 */
const completedAt = (status: SQL, kept: SQL, now: SQL) =>
  sql`case when ${status} = 'completed' then coalesce(${kept}, ${now}) end`

/** The columns that a new task does not take from its row of {@link newTask}. */
const initial: Partial<Record<string, SQL>> = {
  attempts: sql`0`,
  claimed_by: sql`null::text`,
  lease_token: sql`null::uuid`,
  lease_expires_at: sql`null::timestamptz`,
  completed_at: completedAt(sql`status`, sql`null`, now),
  created_at: now,
  updated_at: now,
}

/** The columns that its row may lack, but the table may not. */
const defaults: Partial<Record<string, SQL>> = {
  blocked_by: sql`coalesce(blocked_by, '{}')`,
  metadata: sql`coalesce(metadata, '{}')`,
}

/** Selects the tasks in the parameter `rows`, a JSON array of {@link newTask}, with all columns. */
const plannedRows = (rows: Placeholder, by: Placeholder): SQL => {
  const all = Object.values(getTableColumns(tasks))
  // Only these, because reading a column from JSON takes time.
  const given = all
    .filter(({ name }) => initial[name] === undefined)
    .map((column) => sql`${sql.identifier(column.name)} ${sql.raw(column.getSQLType())}`)
  const columns = all.map(({ name }) => {
    const value = initial[name] ?? defaults[name]
    return value ? sql`${value} as ${sql.identifier(name)}` : sql.identifier(name)
  })
  return sql`
    select ${sql.join(columns, sql`, `)} from jsonb_to_recordset(${rows}::jsonb) as row (${sql.join(given, sql`, `)})
    where ${recorded(by)}`
}

/** The same tasks as a subquery `planned`. */
export const plannedTasks = (rows: Placeholder, by: Placeholder) =>
  qb.$with('planned', {}).as(plannedRows(rows, by))

/** Inserts the planned tasks, under a condition. */
export const insertPlanned = (condition: SQL) =>
  qb
    .insert(tasks)
    .select(sql`select ${columnsOf(tasks)} from planned where ${condition}`)
    .returning({ id: tasks.id })

/** A row to insert. Ids rise with every call, so that tasks created together sort by id in the order given. */
export const newTask = (task: TaskCreate | TaskPlan, position = 0) => ({
  ...inUtc(task),
  id: newId(),
  position,
})

/** The database would read a timestamp without an offset in its own time zone. */
function inUtc<T extends TaskChanges | TaskPlan>(task: T): T {
  const given = task as Partial<Record<string, string | null>>
  const utc: typeof given = {}
  for (const name of changeableTimestamps) if (given[name]) utc[name] = toTimestamp(given[name])!
  return { ...task, ...utc }
}

const insert = statement<{ rows: string } & Recorded, Versioned<Task>>(($) =>
  qb
    .insert(tasks)
    .select(plannedRows($.rows, $.by))
    .returning({
      json: fieldsAsJson<Task>(named(taskFields())),
      version: sql<string>`${timestamp(tasks.updated_at).sql}`.as('version'),
    }),
)

const insertOnce = statement<{ rows: string } & Recorded & OnceValues, Versioned<Task>>(($) => {
  const planned = plannedTasks($.rows, $.by)
  const task = qb.select(taskFields()).from(sql`planned as tasks`).as('task')
  const response = qb
    .$with('response')
    .as(qb.select({ json: rowAsJson<Task>(task), version: version(task.updated_at) }).from(task))
  const { subqueries, isFirst } = claim(response, $)
  const created = qb.$with('created').as(insertPlanned(isFirst))
  return qb
    .with(planned, response, ...subqueries, created)
    .select({ json: response.json, version: response.version })
    .from(response)
    .where(isFirst)
})

const select = statement<{ id: string } & Visible, Versioned<Task>>(($) => {
  const task = qb
    .select(taskFields())
    .from(tasks)
    .where(and(eq(tasks.id, $.id), isOwn(tasks.session_id, $.own_sessions)))
    .as('task')
  return qb.select({ json: rowAsJson<Task>(task), version: version(task.updated_at) }).from(task)
})

/** How the row of a task is changed. */
interface Change {
  /** The value of a column afterwards, as far as the caller chooses it. */
  chosen: (name: keyof typeof tasks.$inferSelect) => SQL
  /** Whether the caller sets the status, and whether anything. */
  setsStatus: SQL
  setsAny: SQL
}

/** What a change sets. Any change of the status ends the lease, unless the worker that holds it makes the change. */
function assignments({ chosen, setsStatus, setsAny }: Change, keepsLease: boolean) {
  // It rises by a millisecond at least, also if two changes fall into the same one.
  const later = sql`greatest(now(), ${chosen('updated_at')} + interval '1 millisecond')`
  return {
    ...Object.fromEntries(changeable.map((name) => [name, chosen(name)])),
    // A trigger clears the other columns of the lease.
    ...(!keepsLease && { lease_token: sql`case when not ${setsStatus} then ${chosen('lease_token')} end` }),
    completed_at: completedAt(chosen('status'), chosen('completed_at'), later),
    updated_at: sql`case when ${setsAny} then ${later} else ${chosen('updated_at')} end`,
  }
}

interface Changed extends Versioned<Task> {
  id: string
  becameCompleted: boolean
}

interface ById extends Visible, Recorded {
  id: string
  /** A JSON array of versions: in any other, the task is left alone. */
  versions?: string | undefined
  /** The token of its lease: without that lease, the task is left alone. */
  lease_token?: string | undefined
}

const byIdAndConditions = ($: { [Name in keyof ById]: Placeholder | undefined }) =>
  and(
    eq(tasks.id, $.id!),
    isOwn(tasks.session_id, $.own_sessions),
    $.versions && sql`${$.versions}::jsonb ? ${timestamp(tasks.updated_at).sql}`,
    $.lease_token && eq(tasks.lease_token, $.lease_token),
    recorded($.by!),
  )

/** Whether a task in `updated` has an open blocker, when all of them are changed. */
const isBlockedAfterwards = sql`
  updated.blocked_by <> '{}' and exists (
    select from ${tasks} as blocker where blocker.id = any(updated.blocked_by) and
      case when blocker.id in (select id from updated) then blocker.id in (select id from updated where status <> 'completed')
           else blocker.status <> 'completed' end)`

type Assigned = Record<Changeable, string | null>

/** The values of an update: the names of the columns that it sets, as an array of PostgreSQL, and their values. */
interface Assignment extends ById, Assigned {
  given: string
}

const update = statement<Assignment, Changed>(($) => {
  // The names are part of the statement, not parameters.
  const isGiven = (name: Changeable) => sql`${sql.raw(`'${name}'`)} = any(${$.given}::text[])`
  const change: Change = {
    chosen: (name) => {
      if (!isChangeable(name)) return sql`${tasks[name]}`
      const value =
        name === 'metadata'
          ? sql`json_merge_patches(${tasks.metadata}, ${$.metadata}::jsonb)`
          : sql`${$[name]}`
      return sql`case when ${isGiven(name)} then ${value} else ${tasks[name]} end`
    },
    setsStatus: isGiven('status'),
    setsAny: sql`${$.given}::text[] <> '{}'`,
  }
  return qb
    .update(tasks)
    .set(assignments(change, $.lease_token !== undefined))
    .where(byIdAndConditions($))
    .returning({
      id: sql<string>`${tasks.id}`.as('id'),
      json: fieldsAsJson<Task>(named(taskFields())),
      version: sql<string>`${timestamp(tasks.updated_at).sql}`.as('version'),
      // It would be earlier if it had been completed before.
      becameCompleted: sql<boolean>`
        ${$.given}::text[] <> '{}' and ${tasks.completed_at} is not distinct from ${tasks.updated_at}`.as(
        'becameCompleted',
      ),
    })
})

/**
 * Rows are locked in the order of their ids, whatever the order of the call: two calls that name the same tasks wait for
 * each other, and never in a circle.
 *
 * `new` is the row with its patch laid over it: a field that the patch lacks keeps its value, a null clears it. It is
 * computed from the row as it is once locked, so that a change by another caller meanwhile is kept.
 */
const updateMany = statement<{ patches: string } & Visible & Recorded, Changed>(($) => {
  const given = qb
    .$with('given', { patches: sql`patches`.as('patches') })
    .as(sql`select ${$.patches}::jsonb as patches where ${recorded($.by)}`)
  const patch = sql`((select patches from given) -> ${tasks.id}::text)`
  const merged = sql`jsonb_build_object('metadata', json_merge_patches(${tasks.metadata}, ${patch} -> 'metadata'))`
  const target = qb.$with('target').as(
    qb
      .select({
        id: tasks.id,
        new: sql`jsonb_populate_record(${tasks},
          case when ${patch} ? 'metadata' then ${patch} || ${merged} else ${patch} end)`.as('new'),
        sets_any: sql`${patch} <> '{}'`.as('sets_any'),
        sets_status: sql`${patch} ? 'status'`.as('sets_status'),
      })
      .from(tasks)
      .where(
        and(
          // The planner expects few ids of an array: it looks them up in the index where a join would make it read a whole
          // table of ten thousand rows.
          sql`${tasks.id} = any(array(select jsonb_object_keys(patches)::uuid from given))`,
          isOwn(tasks.session_id, $.own_sessions),
        ),
      )
      .orderBy(tasks.id)
      .for('no key update'),
  )
  const chosen = (name: string) => sql`(target.new).${sql.identifier(name)}`
  const change: Change = { chosen, setsStatus: sql`target.sets_status`, setsAny: sql`target.sets_any` }
  const updated = qb.$with('updated').as(
    qb
      .update(tasks)
      .set(assignments(change, false))
      .from(target)
      .where(eq(tasks.id, target.id))
      .returning({
        ...taskFields(sql`false`),
        // It had no completed_at to keep.
        became_completed:
          sql<boolean>`${chosen('status')} = 'completed' and ${chosen('completed_at')} is null`.as(
            'became_completed',
          ),
      }),
  )
  const fields = Object.keys(taskFields()).map((name) =>
    name === 'is_ready'
      ? sql`is_ready and not (${isBlockedAfterwards}) as is_ready`
      : sql`${sql.identifier(name)}`,
  )
  return qb
    .with(given, target, updated)
    .select({
      id: updated.id,
      json: fieldsAsJson<Task>(sql.join(fields, sql`, `)),
      version: version(updated.updated_at),
      becameCompleted: sql<boolean>`${updated.became_completed}`.as('becameCompleted'),
    })
    .from(updated)
})

const remove = statement<ById, { id: string }>(($) =>
  qb.delete(tasks).where(byIdAndConditions($)).returning({ id: tasks.id }),
)

const removeMany = statement<{ ids: string } & Visible & Recorded, { id: string }>(($) => {
  const toDelete = qb.$with('to_delete').as(
    qb
      .select({ id: tasks.id })
      .from(tasks)
      .where(
        and(
          sql`${tasks.id} = any(array(select jsonb_array_elements_text(${$.ids}::jsonb)::uuid))`,
          isOwn(tasks.session_id, $.own_sessions),
          recorded($.by),
        ),
      )
      .orderBy(tasks.id)
      .for('update'),
  )
  return qb
    .with(toDelete)
    .delete(tasks)
    .where(sql`${tasks.id} = any(array(select id from ${toDelete}))`)
    .returning({ id: tasks.id })
})

export type TaskStore = ReturnType<typeof createTaskStore>

/** What must be true of a task for a change to take effect. */
export interface Conditions {
  /** Its versions, one of them. */
  versions?: string[] | undefined
  /** The token of its lease. */
  leaseToken?: string | undefined
}

const conditionValues = ({ versions, leaseToken }: Conditions) => ({
  versions: versions && toJson(versions),
  lease_token: leaseToken,
})

/**
 * Every function sees the tasks of the caller's sessions and no others. If a rule between tasks is broken, it throws what
 * tasks/rules.ts explains.
 *
 * @param db A database, or a transaction.
 */
export function createTaskStore(db: StoreDb, idempotency: Idempotency, record: Recorder) {
  /** Runs a change of `ids`, in a transaction if it names blockers. */
  const changing = async <T>(
    caller: Caller,
    changes: Map<string, Pick<TaskChanges, 'blocked_by'>>,
    run: (db: StoreDb) => Promise<T>,
  ): Promise<T> => {
    const dependents = [...changes].flatMap(([id, { blocked_by }]) => (blocked_by?.length ? [id] : []))
    if (dependents.length === 0) return run(db)
    return db.inTransaction(async (transaction) => {
      await lockDependencies(transaction, caller, dependents)
      const changed = await run(transaction)
      await assertDependencies(transaction, dependents, { mayClose: true })
      return changed
    })
  }

  return {
    /** Creates the task; with `once`, unless an earlier request has done so. */
    async create(caller: Caller, task: TaskCreate, once?: Once): Promise<Creation<Task>> {
      const row = newTask(task)
      const values = { rows: toJson([row]), ...record(caller) }
      const create = async (run: (db: StoreDb) => Promise<Versioned<Task>[]>) => {
        if (!task.blocked_by?.length) return (await run(db))[0]
        return db.inTransaction(async (transaction) => {
          const [created] = await run(transaction)
          if (created) await assertDependencies(transaction, [row.id])
          return created
        })
      }
      if (once !== undefined)
        return idempotency.once((once) => create((db) => insertOnce(db, { ...values, ...once })), once)
      const created = await create((db) => insert(db, values))
      return { outcome: 'created', ...created! }
    },

    /** The task, or undefined if there is none with this id. */
    async get(caller: Caller, id: string): Promise<Versioned<Task> | undefined> {
      const [task] = await select(db, { id, ...visibleTo(caller) })
      return task
    },

    /** A page of the tasks that pass all given filters, after a position if there is one. */
    async list(caller: Caller, query: TaskListQuery, after?: Position): Promise<Found<Task>> {
      return (await listAll(db, caller, query, after))!
    },

    /** The same as {@link list}, but undefined if more than {@link MOST_ROWS} tasks would be read. */
    async listFew(caller: Caller, query: TaskListQuery, after?: Position): Promise<Found<Task> | undefined> {
      return listFew(db, caller, query, after)
    },

    /**
     * The changed task, or undefined if there is none with this id that meets the conditions. Call {@link get} to find out
     * which: a version never returns once it has changed, and a lease that was lost does not either.
     */
    async update(
      caller: Caller,
      id: string,
      { note, ...changes }: TaskUpdate,
      conditions: Conditions = {},
    ): Promise<Changed | undefined> {
      const values = {
        id,
        ...assignment(changes),
        ...conditionValues(conditions),
        ...visibleTo(caller),
        ...record(caller, {
          token: conditions.leaseToken?.toLowerCase(),
          notes: note === undefined ? undefined : { [id.toLowerCase()]: note },
        }),
      }
      const [task] = await changing(caller, new Map([[id, changes]]), (db) => update(db, values))
      return task
    },

    /**
     * Changes tasks, all or none. Returns those that exist, by id, in the order of their first mention, and how many of
     * them became completed by that.
     */
    async updateMany(
      caller: Caller,
      changes: TaskPatch[],
    ): Promise<{ updated: Map<string, Json<Task>>; becameCompleted: number }> {
      const merged = mergePatches(changes)
      const values = {
        patches: toJson(Object.fromEntries(merged)),
        ...visibleTo(caller),
        ...record(caller, { notes: notesOf(changes) }),
      }
      const rows = await changing(caller, merged, (db) => updateMany(db, values))
      const byId = new Map(rows.map(({ id, json }) => [id, json]))
      return {
        updated: new Map([...merged.keys()].flatMap((id) => (byId.has(id) ? [[id, byId.get(id)!]] : []))),
        becameCompleted: rows.filter(({ becameCompleted }) => becameCompleted).length,
      }
    },

    /** Whether there was such a task that met the conditions. */
    async delete(caller: Caller, id: string, conditions: Conditions = {}): Promise<boolean> {
      const deleted = await remove(db, {
        id,
        ...conditionValues(conditions),
        ...visibleTo(caller),
        ...record(caller, { token: conditions.leaseToken?.toLowerCase() }),
      })
      return deleted.length > 0
    },

    /** Deletes tasks, all or none, and returns the ids of those that existed. */
    async deleteMany(caller: Caller, ids: string[]): Promise<string[]> {
      const deleted = await removeMany(db, { ids: toJson(ids), ...visibleTo(caller), ...record(caller) })
      return deleted.map(({ id }) => id)
    },
  }
}

/** Changes as the statements take them: with a list of patches for the metadata, which are merged one after the other. */
type Patch = Omit<TaskChanges, 'metadata'> & { metadata?: object[]; completed_at?: null }

const toPatch = ({ metadata, ...changes }: TaskChanges): Patch => ({
  ...inUtc(changes),
  ...(metadata && { metadata: [metadata] }),
})

/** Changes as the values of {@link update}. */
function assignment(changes: TaskChanges): Assigned & { given: string } {
  const { blocked_by, metadata, ...others } = inUtc(changes)
  const given: Partial<Assigned> = others
  if (blocked_by) given.blocked_by = `{${blocked_by}}`
  if (metadata) given.metadata = toJson([metadata])
  return { ...unassigned, ...given, given: `{${Object.keys(given)}}` }
}

const unassigned = Object.fromEntries(changeable.map((name) => [name, null])) as Assigned

/** The notes of patches by id, the last one of each. */
function notesOf(patches: TaskPatch[]): Record<string, string> | undefined {
  const noted = patches.flatMap(({ id, note }) => (note === undefined ? [] : [[id.toLowerCase(), note]]))
  return noted.length > 0 ? Object.fromEntries(noted) : undefined
}

/** One patch for each id, as if those for the same id were applied one after the other. Ids in lower case. */
function mergePatches(patches: TaskPatch[]) {
  const merged = new Map<string, Patch>()
  for (const { id: given, note: _note, ...changes } of patches) {
    const id = given.toLowerCase()
    const earlier = merged.get(id)
    // A task that was left open in between has no completed_at to keep: completing it again is a new completion.
    const reopened = earlier?.status !== undefined && earlier.status !== 'completed'
    const patch = toPatch(changes)
    const metadata = [...(earlier?.metadata ?? []), ...(patch.metadata ?? [])]
    merged.set(id, {
      ...earlier,
      ...(reopened && { completed_at: null }),
      ...patch,
      ...(metadata.length > 0 && { metadata }),
    })
  }
  return merged
}
