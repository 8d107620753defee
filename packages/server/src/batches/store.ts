/** Every statement on batches, each call one statement; their tasks are those of the task store. */
import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { StoreDb } from '../db/database.js'
import { newId } from '../db/ids.js'
import type { Json } from '../db/json.js'
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
import { batches, tasks } from '../db/tables.js'
import type { Caller } from '../http/caller.js'
import { alwaysFirst, type Creation, type Idempotency, type Once } from '../idempotency/record.js'
import { newTask, plannedTasks, taskColumns } from '../tasks/store.js'
import type { Batch, BatchCreate, BatchListQuery } from './schemas.js'

export type BatchStore = ReturnType<typeof createBatchStore>

/** Every function sees the batches of the caller's sessions and no others. */
export function createBatchStore(db: StoreDb, idempotency: Idempotency) {
  const plan = db
    .select(taskColumns)
    .from(tasks)
    .where(eq(tasks.batch_id, batches.id))
    .orderBy(tasks.position, tasks.id)
    .as('plan')
  const batchColumns = {
    id: column(batches.id),
    session_id: column(batches.session_id),
    reason: column(batches.reason),
    created_at: timestamp(batches.created_at),
    tasks: sql`(select ${jsonRows(plan)} from ${plan})`.as('tasks'),
  }

  const insert = preparedByShape(db, (isKeyed: boolean) => {
    const planned = plannedTasks(db)
    // Batch and tasks are created in the same statement, and so at the same moment.
    const plannedBatch = db.$with('planned_batch', {}).as(sql`
      select ${sql.placeholder('id')}::uuid as id, ${sql.placeholder('session_id')}::uuid as session_id,
             ${sql.placeholder('reason')}::text as reason, now()::timestamptz(3) as created_at`)
    const plan = db.select(taskColumns).from(sql`planned`).orderBy(sql`position`).as('plan')
    const batch = db
      .select({ ...batchColumns, tasks: sql`(select ${jsonRows(plan)} from ${plan})`.as('tasks') })
      .from(sql`planned_batch`)
      .as('batch')
    const answer = db
      .$with('answer')
      .as(
        db
          .select({ json: json<Batch>(batch), version: sql<string>`batch.created_at`.as('version') })
          .from(batch),
      )
    const { subqueries, isFirst } = isKeyed ? idempotency.claim(answer) : alwaysFirst
    const created = db
      .$with('created')
      .as(
        db
          .insert(batches)
          .select(sql`select * from planned_batch where ${isFirst}`)
          .returning({ id: batches.id }),
      )
    const createdTasks = db
      .$with('created_tasks')
      .as(db.insert(tasks).select(sql`select * from planned where ${isFirst}`).returning({ id: tasks.id }))
    return db
      .with(planned, plannedBatch, answer, ...subqueries, created, createdTasks)
      .select({ json: answer.json, version: answer.version })
      .from(answer)
      .where(isFirst)
  })

  const select = preparedByShape(db, (isRestricted: boolean) => {
    const batch = db
      .select(batchColumns)
      .from(batches)
      .where(and(eq(batches.id, sql.placeholder('id')), isOwn(batches.session_id, isRestricted)))
      .as('batch')
    return db.select({ json: json<Batch>(batch) }).from(batch)
  })

  /** Batches, newest first. */
  const newestFirst = (filter: SQL | undefined) =>
    db
      .select(batchColumns)
      .from(batches)
      .where(filter)
      .orderBy(...ordering(batches.created_at, batches.id, 'desc'))

  const selectLatest = preparedByShape(db, (shape: ListShape) => {
    const latest = newestFirst(filterOf(shape)).limit(1).as('latest')
    return db.select({ json: json<Batch>(latest) }).from(latest)
  })

  const selectPage = preparedByShape(db, (shape: ListShape) => {
    const filter = filterOf(shape)
    const page = newestFirst(filter)
      .limit(sql.placeholder('limit'))
      .offset(sql.placeholder('offset'))
      .as('page')
    const total = db.select({ total: sql`count(*)::int` }).from(batches).where(filter)
    return db
      .select({
        total: sql<number>`(${total})`.as('total'),
        items: sql<Json<Batch[]>>`${jsonRows(page)}::text`.as('items'),
      })
      .from(page)
  })

  return {
    /** Creates the batch with all its tasks, or nothing; with `once`, unless that was done before. */
    async create(
      { session_id = null, reason = null, tasks: plan }: BatchCreate,
      once?: Once,
    ): Promise<Creation<Batch>> {
      const id = newId()
      const rows = plan.map((task, position) => ({ ...newTask(task, position), session_id, batch_id: id }))
      const values = { id, session_id, reason, rows: JSON.stringify(rows) }
      if (once !== undefined) {
        return idempotency.once(async () => (await insert(true, { ...values, ...once }))[0], once)
      }
      const [created] = await insert(false, values)
      return { outcome: 'created', ...created! }
    },

    /** The batch, or undefined when there is none with this id. */
    async get(caller: Caller, id: string): Promise<Json<Batch> | undefined> {
      const [batch] = await select(restricted(caller), { id, ...sessionsOf(caller) })
      return batch?.json
    },

    /** A page of batches, newest first, and how many there are in all. */
    async list(
      caller: Caller,
      { session_id, page, limit }: BatchListQuery,
    ): Promise<{ items: Json<Batch[]>; total: number }> {
      const [found] = await selectPage(shapeOf(caller, session_id), {
        session_id,
        ...sessionsOf(caller),
        limit,
        offset: (page - 1) * limit,
      })
      return found!
    },

    /** The newest batch, or undefined when there is none. */
    async latest(caller: Caller, session_id: string | undefined): Promise<Json<Batch> | undefined> {
      const [batch] = await selectLatest(shapeOf(caller, session_id), { session_id, ...sessionsOf(caller) })
      return batch?.json
    },
  }
}

interface ListShape {
  isRestricted: boolean
  /** Whether one session is asked for. */
  ofSession: boolean
}

const shapeOf = (caller: Caller, session_id: string | undefined): ListShape => ({
  isRestricted: restricted(caller),
  ofSession: session_id !== undefined,
})

const filterOf = ({ isRestricted, ofSession }: ListShape) =>
  and(
    ofSession ? eq(batches.session_id, sql.placeholder('session_id')) : undefined,
    isOwn(batches.session_id, isRestricted),
  )
