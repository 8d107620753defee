/**
 * Every statement on tasks. Each call is one statement: there is no moment between a read and a write in which
 * another agent could change the task, and no transaction to hold open. Statements are prepared once.
 */
import { and, count, eq, type SQL, sql, type WithSubquery } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import type { Db } from '../db/database.js'
import { jsonRows, ordering, preparedByShape, timestamp } from '../db/sql.js'
import { tasks } from '../db/tables.js'
import { toTimestamp } from '../schemas.js'
import type { Task, TaskCreate, TaskListQuery, TaskPatch, TaskUpdate } from './schemas.js'

/** A task as the API answers it. */
export const taskColumns = {
  id: tasks.id,
  session_id: tasks.session_id,
  batch_id: tasks.batch_id,
  title: tasks.title,
  description: tasks.description,
  status: tasks.status,
  priority: tasks.priority,
  due_date: timestamp(tasks.due_date),
  completed_at: timestamp(tasks.completed_at),
  created_at: timestamp(tasks.created_at),
  updated_at: timestamp(tasks.updated_at),
}

/**
 * The completed_at rule: becoming completed sets it, staying completed keeps it, leaving completed clears it. A task
 * that is not completed has none to keep, which a check of the table guarantees.
 */
const completedAt = (status: SQL, kept: SQL, now: SQL) =>
  sql`case when ${status} = 'completed' then coalesce(${kept}, ${now}) end`

/** Inserts what the parameter `rows` holds, a JSON array of {@link newTask}; the columns stand in the table's order. */
export const insertion = sql`
  select id, session_id, batch_id, position, title, description, status, priority, due_date,
         ${completedAt(sql`status`, sql`null`, sql`now()`)}, now(), now()
  from jsonb_populate_recordset(null::${tasks}, ${sql.placeholder('rows')}::jsonb)`

/** A row to insert. Ids rise with every call, so that tasks made together sort by id in the order given. */
export const newTask = (task: TaskCreate, position = 0) => ({ ...inUtc(task), id: uuidv7(), position })

/** The database would read a time without an offset in a time zone of its own. */
const inUtc = <T extends { due_date?: string | null }>(task: T): T =>
  task.due_date ? { ...task, due_date: toTimestamp(task.due_date) } : task

export type TaskStore = ReturnType<typeof createTaskStore>

export function createTaskStore(db: Db) {
  const insert = db.insert(tasks).select(insertion).returning(taskColumns).prepare('insert_tasks')

  const select = db
    .select(taskColumns)
    .from(tasks)
    .where(eq(tasks.id, sql.placeholder('id')))
    .prepare('select_task')

  const selectPage = preparedByShape(({ filters, sort_by, order }: ListShape) => {
    const filter = and(...filters.map((name) => eq(tasks[name], sql.placeholder(name))))
    const total = db.select({ total: count() }).from(tasks).where(filter)
    const page = db
      .select(taskColumns)
      .from(tasks)
      .where(filter)
      .orderBy(...ordering(tasks[sort_by], tasks.id, order))
      .limit(sql.placeholder('limit'))
      .offset(sql.placeholder('offset'))
      .as('page')
    return db
      .select({ total: sql`(${total})`.mapWith(Number), items: jsonRows<Task>(page) })
      .from(page)
      .prepare('select_task_page')
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
    const now = sql`greatest(now(), ${field('updated_at')} + interval '1 millisecond')`
    return db
      .with(...given, target)
      .update(tasks)
      .set({
        title: field('title'),
        description: field('description'),
        status: field('status'),
        priority: field('priority'),
        due_date: field('due_date'),
        completed_at: completedAt(field('status'), field('completed_at'), now),
        updated_at: sql`case when target.changed then ${now} else ${field('updated_at')} end`,
      })
      .from(target)
      .where(eq(tasks.id, target.id))
      .returning(taskColumns)
  }
  const updateOne = updateOf(
    eq(tasks.id, sql.placeholder('id')),
    sql`${sql.placeholder('patch')}::jsonb`,
  ).prepare('update_task')

  // The ids stand in an array, of which the planner expects few: it looks them up in the index also where a join would
  // make it read a whole table of some ten thousand rows.
  const patches = db
    .$with('given', { patches: sql`patches`.as('patches') })
    .as(sql`select ${sql.placeholder('patches')}::jsonb as patches`)
  const updateMany = updateOf(
    sql`${tasks.id} = any(array(select jsonb_object_keys(patches)::uuid from given))`,
    sql`(select patches from given) -> ${tasks.id}::text`,
    patches,
  ).prepare('update_tasks')

  const deleteOne = db
    .delete(tasks)
    .where(eq(tasks.id, sql.placeholder('id')))
    .returning({ id: tasks.id })
    .prepare('delete_task')

  const doomed = db.$with('doomed').as(
    db
      .select({ id: tasks.id })
      .from(tasks)
      .where(
        sql`${tasks.id} = any(array(select jsonb_array_elements_text(${sql.placeholder('ids')}::jsonb)::uuid))`,
      )
      .orderBy(tasks.id)
      .for('update'),
  )
  const deleteMany = db
    .with(doomed)
    .delete(tasks)
    .where(sql`${tasks.id} = any(array(select id from doomed))`)
    .returning({ id: tasks.id })
    .prepare('delete_tasks')

  return {
    async create(task: TaskCreate): Promise<Task> {
      const [created] = await insert.execute({ rows: JSON.stringify([newTask(task)]) })
      return created!
    },

    /** The task, or undefined when there is none with this id. */
    async get(id: string): Promise<Task | undefined> {
      const [task] = await select.execute({ id })
      return task
    },

    /** A page of the tasks that pass all given filters, and how many there are in all. */
    async list({
      page,
      limit,
      sort_by,
      order,
      ...given
    }: TaskListQuery): Promise<{ items: Task[]; total: number }> {
      const filters = filterable.filter((name) => given[name] !== undefined)
      const [found] = await selectPage({ filters, sort_by, order }).execute({
        ...given,
        limit,
        offset: (page - 1) * limit,
      })
      return found!
    },

    /** The changed task, or undefined when there is none with this id. */
    async update(id: string, changes: TaskUpdate): Promise<Task | undefined> {
      const [task] = await updateOne.execute({ id, patch: JSON.stringify(inUtc(changes)) })
      return task
    },

    /** Changes tasks, all or none, and answers those that exist in the order of their first mention. */
    async updateMany(changes: TaskPatch[]): Promise<Task[]> {
      const merged = mergePatches(changes)
      const updated = await updateMany.execute({ patches: JSON.stringify(Object.fromEntries(merged)) })
      const byId = new Map(updated.map((task) => [task.id, task]))
      return [...merged.keys()].flatMap((id) => byId.get(id) ?? [])
    },

    /** Whether there was such a task. */
    async delete(id: string): Promise<boolean> {
      const deleted = await deleteOne.execute({ id })
      return deleted.length > 0
    },

    /** Deletes tasks, all or none, and answers the ids of those that existed. */
    async deleteMany(ids: string[]): Promise<string[]> {
      const deleted = await deleteMany.execute({ ids: JSON.stringify(ids) })
      return deleted.map(({ id }) => id)
    },
  }
}

const filterable = ['status', 'session_id', 'batch_id'] as const

interface ListShape extends Pick<TaskListQuery, 'sort_by' | 'order'> {
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
