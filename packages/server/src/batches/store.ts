/** Every statement on batches, each call one statement; their tasks are those of the task store. */
import { count, eq, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import type { Db } from '../db/database.js'
import { jsonRows, ordering, preparedByShape, timestamp } from '../db/sql.js'
import { batches, tasks } from '../db/tables.js'
import type { Task } from '../tasks/schemas.js'
import { insertion, newTask, taskColumns } from '../tasks/store.js'
import type { Batch, BatchCreate, BatchListQuery } from './schemas.js'

export type BatchStore = ReturnType<typeof createBatchStore>

export function createBatchStore(db: Db) {
  const plan = db
    .select(taskColumns)
    .from(tasks)
    .where(eq(tasks.batch_id, batches.id))
    .orderBy(tasks.position, tasks.id)
    .as('plan')
  const batchColumns = {
    id: batches.id,
    session_id: batches.session_id,
    reason: batches.reason,
    created_at: timestamp(batches.created_at),
    tasks: sql<Task[]>`(select ${jsonRows(plan)} from ${plan})`.as('tasks'),
  }

  const newBatch = db.$with('new_batch').as(
    db
      .insert(batches)
      .values({
        id: sql.placeholder('id'),
        session_id: sql.placeholder('session_id'),
        reason: sql.placeholder('reason'),
      })
      .returning({ id: batches.id }),
  )
  const insert = db
    .with(newBatch)
    .insert(tasks)
    .select(insertion)
    .returning(taskColumns)
    .prepare('insert_batch')

  const select = db
    .select(batchColumns)
    .from(batches)
    .where(eq(batches.id, sql.placeholder('id')))
    .prepare('select_batch')

  /** Batches, newest first: all of them or those of a session. */
  const newestFirst = (ofSession: boolean) =>
    db
      .select(batchColumns)
      .from(batches)
      .where(ofSession ? eq(batches.session_id, sql.placeholder('session_id')) : undefined)
      .orderBy(...ordering(batches.created_at, batches.id, 'desc'))

  const selectLatest = preparedByShape((ofSession: boolean) =>
    newestFirst(ofSession).limit(1).prepare('select_latest_batch'),
  )

  const selectPage = preparedByShape((ofSession: boolean) => {
    const page = newestFirst(ofSession)
      .limit(sql.placeholder('limit'))
      .offset(sql.placeholder('offset'))
      .as('page')
    const total = db
      .select({ total: count() })
      .from(batches)
      .where(ofSession ? eq(batches.session_id, sql.placeholder('session_id')) : undefined)
    return db
      .select({ total: sql`(${total})`.mapWith(Number), items: jsonRows<Batch>(page) })
      .from(page)
      .prepare('select_batch_page')
  })

  return {
    /** Creates the batch with all its tasks, or nothing. */
    async create({ session_id = null, reason = null, tasks: plan }: BatchCreate): Promise<Batch> {
      const id = uuidv7()
      const rows = plan.map((task, position) => ({ ...newTask(task, position), session_id, batch_id: id }))
      const created = await insert.execute({ id, session_id, reason, rows: JSON.stringify(rows) })
      // Batch and tasks are created in the same statement, and so at the same moment, for the same session.
      const [first] = created
      return { id, session_id: first!.session_id, reason, created_at: first!.created_at, tasks: created }
    },

    /** The batch, or undefined when there is none with this id. */
    async get(id: string): Promise<Batch | undefined> {
      const [batch] = await select.execute({ id })
      return batch
    },

    /** A page of batches, newest first, and how many there are in all. */
    async list({ session_id, page, limit }: BatchListQuery): Promise<{ items: Batch[]; total: number }> {
      const statement = selectPage(session_id !== undefined)
      const [found] = await statement.execute({ session_id, limit, offset: (page - 1) * limit })
      return found!
    },

    /** The newest batch, or null when there is none. */
    async latest(session_id: string | undefined): Promise<Batch | null> {
      const [batch] = await selectLatest(session_id !== undefined).execute({ session_id })
      return batch ?? null
    },
  }
}
