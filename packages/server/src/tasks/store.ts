/**
 * Every statement on tasks. Each call is one statement: there is no moment between a read and a write in which
 * another agent could change the task, and no transaction to hold open. Statements are prepared once for each shape, and
 * answer JSON.
 */

import { and, eq, type SQL, sql, type WithSubquery } from 'drizzle-orm'
import type { StoreDb } from '../db/database.js'
import { newId } from '../db/ids.js'
import type { Json, Versioned } from '../db/json.js'
import {
  column,
  isOwn,
  json,
  jsonRows,
  ordering,
  preparedByShape,
  restricted,
  sessionsOf,
  timestamp,
} from '../db/sql.js'
import { tasks } from '../db/tables.js'
import type { Caller } from '../http/caller.js'
import { toTimestamp } from '../http/timestamp.js'
import { alwaysFirst, type Creation, type Idempotency, type Once } from '../idempotency/record.js'
import type { Task, TaskCreate, TaskListQuery, TaskPatch, TaskUpdate } from './schemas.js'

/** A task as the API answers it. */
export const taskColumns = {
  id: column(tasks.id),
  session_id: column(tasks.session_id),
  batch_id: column(tasks.batch_id),
  title: column(tasks.title),
  description: column(tasks.description),
  status: column(tasks.status),
  priority: column(tasks.priority),
  due_date: timestamp(tasks.due_date),
  completed_at: timestamp(tasks.completed_at),
  created_at: timestamp(tasks.created_at),
  updated_at: timestamp(tasks.updated_at),
}

/** The version of a task is its `updated_at`, which rises with every change. */
const version = (updated_at: SQL.Aliased<string>) => sql<string>`${updated_at}`.as('version')

/** The moment of the statement, as precise as the tables keep it. */
const now = sql`now()::timestamptz(3)`

/**
 * The completed_at rule: becoming completed sets it, staying completed keeps it, leaving completed clears it. A task
 * that is not completed has none to keep, which a check of the table guarantees.
 */
const completedAt = (status: SQL, kept: SQL, now: SQL) =>
  sql`case when ${status} = 'completed' then coalesce(${kept}, ${now}) end`

/**
 * The tasks that the parameter `rows` holds, a JSON array of {@link newTask}, as they are going to be: the columns stand
 * in the table's order.
 */
export const plannedTasks = (db: StoreDb) =>
  db.$with('planned', {}).as(sql`
    select id, session_id, batch_id, position, title, description, status, priority, due_date,
           ${completedAt(sql`status`, sql`null`, now)} as completed_at, ${now} as created_at, ${now} as updated_at
    from jsonb_populate_recordset(null::${tasks}, ${sql.placeholder('rows')}::jsonb)`)

/** A row to insert. Ids rise with every call, so that tasks made together sort by id in the order given. */
export const newTask = (task: TaskCreate, position = 0) => ({ ...inUtc(task), id: newId(), position })

/** The database would read a time without an offset in a time zone of its own. */
const inUtc = <T extends { due_date?: string | null }>(task: T): T =>
  task.due_date ? { ...task, due_date: toTimestamp(task.due_date) } : task

export type TaskStore = ReturnType<typeof createTaskStore>

/** Every function sees the tasks of the caller's sessions and no others. */
export function createTaskStore(db: StoreDb, idempotency: Idempotency) {
  const insert = preparedByShape(db, (isKeyed: boolean) => {
    const planned = plannedTasks(db)
    const task = db.select(taskColumns).from(sql`planned`).as('task')
    const answer = db
      .$with('answer')
      .as(db.select({ json: json<Task>(task), version: version(task.updated_at) }).from(task))
    const { subqueries, isFirst } = isKeyed ? idempotency.claim(answer) : alwaysFirst
    const created = db
      .$with('created')
      .as(db.insert(tasks).select(sql`select * from planned where ${isFirst}`).returning({ id: tasks.id }))
    return db
      .with(planned, answer, ...subqueries, created)
      .select({ json: answer.json, version: answer.version })
      .from(answer)
      .where(isFirst)
  })

  const select = preparedByShape(db, (isRestricted: boolean) => {
    const task = db
      .select(taskColumns)
      .from(tasks)
      .where(and(eq(tasks.id, sql.placeholder('id')), isOwn(tasks.session_id, isRestricted)))
      .as('task')
    return db.select({ json: json<Task>(task), version: version(task.updated_at) }).from(task)
  })

  const selectPage = preparedByShape(db, ({ isRestricted, filters, sort_by, order }: ListShape) => {
    const filter = and(
      ...filters.map((name) => eq(tasks[name], sql.placeholder(name))),
      isOwn(tasks.session_id, isRestricted),
    )
    const total = db.select({ total: sql`count(*)::int` }).from(tasks).where(filter)
    const page = db
      .select(taskColumns)
      .from(tasks)
      .where(filter)
      .orderBy(...ordering(tasks[sort_by], tasks.id, order))
      .limit(sql.placeholder('limit'))
      .offset(sql.placeholder('offset'))
      .as('page')
    return db
      .select({
        total: sql<number>`(${total})`.as('total'),
        items: sql<Json<Task[]>>`${jsonRows(page)}::text`.as('items'),
      })
      .from(page)
  })

  /**
   * Locks the chosen rows and changes each by its patch. Rows are locked in the order of their ids, whatever the
   * order of the call: two calls that name the same tasks wait for each other, and never in a circle.
   *
   * `new` is the row with the patch laid over it: a field that the patch lacks keeps its value, a null clears it. It is
   * computed from the row as it is once locked, so that a change made meanwhile by another agent is kept.
   */
  const updateOf = (chosen: SQL, patch: SQL, ...given: WithSubquery[]) => {
    const target = db.$with('target').as(
      db
        .select({
          id: tasks.id,
          new: sql`jsonb_populate_record(${tasks}, ${patch})`.as('new'),
          changed: sql`${patch} <> '{}'`.as('changed'),
        })
        .from(tasks)
        .where(chosen)
        .orderBy(tasks.id)
        .for('update'),
    )
    const field = (name: keyof typeof taskColumns) => sql`(target.new).${sql.identifier(name)}`
    // It rises by a millisecond at least, also when two changes fall into the same one.
    const later = sql`greatest(now(), ${field('updated_at')} + interval '1 millisecond')`
    const updated = db.$with('updated').as(
      db
        .update(tasks)
        .set({
          title: field('title'),
          description: field('description'),
          status: field('status'),
          priority: field('priority'),
          due_date: field('due_date'),
          completed_at: completedAt(field('status'), field('completed_at'), later),
          updated_at: sql`case when target.changed then ${later} else ${field('updated_at')} end`,
        })
        .from(target)
        .where(eq(tasks.id, target.id))
        .returning(taskColumns),
    )
    return db
      .with(...given, target, updated)
      .select({
        id: updated.id,
        json: json<Task>(updated),
        version: version(updated.updated_at),
        // A later change moves updated_at on and leaves completed_at behind.
        isAsCompleted: sql<boolean>`${updated.completed_at} is not distinct from ${updated.updated_at}`.as(
          'isAsCompleted',
        ),
      })
      .from(updated)
  }

  const update = preparedByShape(db, ({ isRestricted, isConditional }: ChangeShape) =>
    updateOf(theTask(isRestricted, isConditional), sql`${sql.placeholder('patch')}::jsonb`),
  )

  // The ids stand in an array, of which the planner expects few: it looks them up in the index also where a join would
  // make it read a whole table of some ten thousand rows.
  const patches = db
    .$with('given', { patches: sql`patches`.as('patches') })
    .as(sql`select ${sql.placeholder('patches')}::jsonb as patches`)
  const updateMany = preparedByShape(db, (isRestricted: boolean) =>
    updateOf(
      and(
        sql`${tasks.id} = any(array(select jsonb_object_keys(patches)::uuid from given))`,
        isOwn(tasks.session_id, isRestricted),
      )!,
      sql`(select patches from given) -> ${tasks.id}::text`,
      patches,
    ),
  )

  const remove = preparedByShape(db, ({ isRestricted, isConditional }: ChangeShape) =>
    db.delete(tasks).where(theTask(isRestricted, isConditional)).returning({ id: tasks.id }),
  )

  const removeMany = preparedByShape(db, (isRestricted: boolean) => {
    const doomed = db.$with('doomed').as(
      db
        .select({ id: tasks.id })
        .from(tasks)
        .where(
          and(
            sql`${tasks.id} = any(array(select jsonb_array_elements_text(${sql.placeholder('ids')}::jsonb)::uuid))`,
            isOwn(tasks.session_id, isRestricted),
          ),
        )
        .orderBy(tasks.id)
        .for('update'),
    )
    return db
      .with(doomed)
      .delete(tasks)
      .where(sql`${tasks.id} = any(array(select id from doomed))`)
      .returning({ id: tasks.id })
  })

  return {
    /** Creates the task; with `once`, unless that was done before. */
    async create(task: TaskCreate, once?: Once): Promise<Creation<Task>> {
      const rows = JSON.stringify([newTask(task)])
      if (once !== undefined)
        return idempotency.once(async () => (await insert(true, { rows, ...once }))[0], once)
      const [created] = await insert(false, { rows })
      return { outcome: 'created', ...created! }
    },

    /** The task, or undefined when there is none with this id. */
    async get(caller: Caller, id: string): Promise<Versioned<Task> | undefined> {
      const [task] = await select(restricted(caller), { id, ...sessionsOf(caller) })
      return task
    },

    /** A page of the tasks that pass all given filters, and how many there are in all. */
    async list(
      caller: Caller,
      { page, limit, sort_by, order, ...given }: TaskListQuery,
    ): Promise<{ items: Json<Task[]>; total: number }> {
      const filters = filterable.filter((name) => given[name] !== undefined)
      const [found] = await selectPage(
        { isRestricted: restricted(caller), filters, sort_by, order },
        {
          ...given,
          ...sessionsOf(caller),
          limit,
          offset: (page - 1) * limit,
        },
      )
      return found!
    },

    /**
     * The changed task, or undefined when there is none with this id, or none of the versions given: to which of both
     * it was, {@link get} has the answer, since a version that is gone does not come back.
     */
    async update(
      caller: Caller,
      id: string,
      changes: TaskUpdate,
      versions?: string[],
    ): Promise<(Versioned<Task> & { becameCompleted: boolean }) | undefined> {
      const [task] = await update(shapeOf(caller, versions), {
        id,
        patch: JSON.stringify(inUtc(changes)),
        versions: JSON.stringify(versions),
        ...sessionsOf(caller),
      })
      return task && { ...task, becameCompleted: completes(changes, task) }
    },

    /**
     * Changes tasks, all or none, and answers those that exist, by id, in the order of their first mention; and how many
     * of them became completed by that.
     */
    async updateMany(
      caller: Caller,
      changes: TaskPatch[],
    ): Promise<{ updated: Map<string, Json<Task>>; becameCompleted: number }> {
      const merged = mergePatches(changes)
      const rows = await updateMany(restricted(caller), {
        patches: JSON.stringify(Object.fromEntries(merged)),
        ...sessionsOf(caller),
      })
      const byId = new Map(rows.map(({ id, json }) => [id, json]))
      return {
        updated: new Map([...merged.keys()].flatMap((id) => (byId.has(id) ? [[id, byId.get(id)!]] : []))),
        becameCompleted: rows.filter((row) => completes(merged.get(row.id)!, row)).length,
      }
    },

    /** Whether there was such a task, in one of the versions if any are given. */
    async delete(caller: Caller, id: string, versions?: string[]): Promise<boolean> {
      const deleted = await remove(shapeOf(caller, versions), {
        id,
        versions: JSON.stringify(versions),
        ...sessionsOf(caller),
      })
      return deleted.length > 0
    },

    /** Deletes tasks, all or none, and answers the ids of those that existed. */
    async deleteMany(caller: Caller, ids: string[]): Promise<string[]> {
      const deleted = await removeMany(restricted(caller), {
        ids: JSON.stringify(ids),
        ...sessionsOf(caller),
      })
      return deleted.map(({ id }) => id)
    },
  }
}

/** Whether a task became completed by the changes: one that was so before keeps its completed_at, as `{}` keeps both. */
const completes = ({ status }: TaskUpdate, { isAsCompleted }: { isAsCompleted: boolean }) =>
  status === 'completed' && isAsCompleted

/** The task `id`, of the caller, in one of the `versions`. */
const theTask = (isRestricted: boolean, isConditional: boolean) =>
  and(
    eq(tasks.id, sql.placeholder('id')),
    isOwn(tasks.session_id, isRestricted),
    isConditional
      ? sql`${sql.placeholder('versions')}::jsonb ? ${timestamp(tasks.updated_at).sql}`
      : undefined,
  )!

interface ChangeShape {
  isRestricted: boolean
  /** Whether only some versions of the task are to be changed. */
  isConditional: boolean
}

const shapeOf = (caller: Caller, versions: string[] | undefined): ChangeShape => ({
  isRestricted: restricted(caller),
  isConditional: versions !== undefined,
})

const filterable = ['status', 'session_id', 'batch_id'] as const

interface ListShape extends Pick<TaskListQuery, 'sort_by' | 'order'> {
  isRestricted: boolean
  filters: (typeof filterable)[number][]
}

/** One patch for each id, as if those for the same id were applied one after the other. Ids in lower case. */
function mergePatches(patches: TaskPatch[]) {
  const merged = new Map<string, TaskUpdate & { completed_at?: null }>()
  for (const { id: given, ...changes } of patches) {
    const id = given.toLowerCase()
    const earlier = merged.get(id)
    // A task that was left open in between has no completed_at to keep: completing it again is a new completion.
    const reopened = earlier?.status !== undefined && earlier.status !== 'completed'
    merged.set(id, { ...earlier, ...(reopened && { completed_at: null }), ...inUtc(changes) })
  }
  return merged
}
