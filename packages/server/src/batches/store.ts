/**
 * The statements on batches, each call one statement. Their tasks are those of the task store, and like that one a store
 * is cheap to make, also in a transaction.
 */
import { and, eq, type Placeholder, type SQL, type Subquery, sql } from 'drizzle-orm'
import type { StoreDb } from '../db/database.js'
import { newId } from '../db/ids.js'
import { type Json, rowAsJson, rowsAsJson, toJson, type Versioned } from '../db/json.js'
import { columnsOf, isOwn, ordering, plain, timestamp, type Visible, visibleTo } from '../db/sql.js'
import { qb, statement } from '../db/statement.js'
import { batches, tasks } from '../db/tables.js'
import { MOST_ROWS } from '../http/admission.js'
import type { Caller } from '../http/caller.js'
import {
  type Creation,
  claim,
  type Idempotency,
  type Once,
  type OnceValues,
  unclaimed,
} from '../idempotency/record.js'
import { taskColumns } from '../tasks/columns.js'
import { insertPlanned, newTask, plannedTasks } from '../tasks/store.js'
import type { Batch, BatchCreate, BatchListQuery } from './schemas.js'

/** The columns of a batch, which are its fields in responses without the tasks. */
export const batchColumns = {
  id: plain(batches.id),
  session_id: plain(batches.session_id),
  reason: plain(batches.reason),
  created_at: timestamp(batches.created_at),
} satisfies {
  [Name in keyof (typeof batches.$inferSelect & Omit<Batch, 'tasks'>)]: SQL.Aliased<Batch[Name]>
}

/** A batch in responses, with tasks that a subquery finds. */
const withTasks = (plan: Subquery) => ({
  ...batchColumns,
  tasks: sql`(select ${rowsAsJson(plan)} from ${plan})`.as('tasks'),
})

const storedBatch = withTasks(
  qb
    .select(taskColumns)
    .from(tasks)
    .where(eq(tasks.batch_id, batches.id))
    .orderBy(tasks.position, tasks.id)
    .as('plan'),
)

interface NewBatch {
  id: string
  session_id: string | null
  reason: string | null
  /** The tasks, as a JSON array. */
  rows: string
}

const insertion = ($: { [Name in keyof NewBatch]: Placeholder }, claimed: typeof unclaimed) => {
  const planned = plannedTasks($.rows)
  // Batch and tasks are created in the same statement, and so at the same time.
  const plannedBatch = qb.$with('planned_batch', {}).as(sql`
    select ${$.id}::uuid as id, ${$.session_id}::uuid as session_id, ${$.reason}::text as reason,
           now()::timestamptz(3) as created_at`)
  const plan = qb.select(taskColumns).from(sql`planned`).orderBy(sql`position`).as('plan')
  const batch = qb.select(withTasks(plan)).from(sql`planned_batch`).as('batch')
  const response = qb
    .$with('response')
    .as(
      qb
        .select({ json: rowAsJson<Batch>(batch), version: sql<string>`batch.created_at`.as('version') })
        .from(batch),
    )
  const { subqueries, isFirst } = claimed(response)
  const created = qb.$with('created').as(
    qb
      .insert(batches)
      .select(sql`select ${columnsOf(batches)} from planned_batch where ${isFirst}`)
      .returning({ id: batches.id }),
  )
  const createdTasks = qb.$with('created_tasks').as(insertPlanned(isFirst))
  return qb
    .with(planned, plannedBatch, response, ...subqueries, created, createdTasks)
    .select({ json: response.json, version: response.version })
    .from(response)
    .where(isFirst)
}

const insert = statement<NewBatch, Versioned<Batch>>(($) => insertion($, unclaimed))

const insertOnce = statement<NewBatch & OnceValues, Versioned<Batch>>(($) =>
  insertion($, (response) => claim(response, $)),
)

const select = statement<{ id: string } & Visible, { json: Json<Batch> }>(($) => {
  const batch = qb
    .select(storedBatch)
    .from(batches)
    .where(and(eq(batches.id, $.id), isOwn(batches.session_id, $.own_sessions)))
    .as('batch')
  return qb.select({ json: rowAsJson<Batch>(batch) }).from(batch)
})

interface Filters extends Visible {
  session_id?: string | undefined
}

const filterOf = ($: { session_id?: Placeholder; own_sessions?: Placeholder }) =>
  and($.session_id && eq(batches.session_id, $.session_id), isOwn(batches.session_id, $.own_sessions))

/** Batches, newest first. */
const newestFirst = (filter: SQL | undefined) =>
  qb
    .select(storedBatch)
    .from(batches)
    .where(filter)
    .orderBy(...ordering(batches.created_at, batches.id, 'desc'))

const selectLatest = statement<Filters, { json: Json<Batch> }>(($) => {
  const latest = newestFirst(filterOf($)).limit(1).as('latest')
  return qb.select({ json: rowAsJson<Batch>(latest) }).from(latest)
})

/** The JSON of a page of batches has at most this many bytes; 8 MiB with the other fields of the page. */
export const MAX_PAGE_BYTES = 8 * 2 ** 20 - 1024

export interface BatchPage {
  /** Null if they have more than {@link MAX_PAGE_BYTES}. */
  items: Json<Batch[]> | null
  /** The bytes of the largest batch of the page. */
  largest: number
  total: number
}

const selectPage = statement<Filters & { limit: number; offset: number }, BatchPage>(($) => {
  const filter = filterOf($)
  const page = newestFirst(filter).limit($.limit).offset($.offset).as('page')
  const rows = qb.$with('rows').as(qb.select({ json: rowAsJson<Batch>(page) }).from(page))
  const size = qb
    .select({
      bytes: sql`sum(octet_length(${rows.json}))`.as('bytes'),
      largest: sql`max(octet_length(${rows.json}))`.as('largest'),
    })
    .from(rows)
    .as('size')
  const total = qb.select({ total: sql`count(*)::int` }).from(batches).where(filter)
  // A subquery in a case is run only if it is needed, unlike an aggregate.
  const items = sql<Json<Batch[]> | null>`
    case when ${size.bytes} > ${MAX_PAGE_BYTES} then null
         else (select '[' || coalesce(string_agg(json, ','), '') || ']' from ${rows}) end`
  const found = qb
    .with(rows)
    .select({
      total: sql<number>`(${total})`.as('total'),
      largest: sql<number>`coalesce(${size.largest}, 0)`.as('largest'),
      items: items.as('items'),
    })
    .from(size)
    .as('found')
  // Begins with `select`, by which the embedded database knows that it only reads.
  return qb.select({ total: found.total, largest: found.largest, items: found.items }).from(found)
})

/** The most bytes of text that a page of batches has in the database for an ordinary request. */
const MOST_BYTES = 2 ** 20

/**
 * The same page; no items if it takes more than {@link MOST_ROWS} or {@link MOST_BYTES}. What passes fits the limit of a
 * page: in JSON, a byte of text has six bytes at most, and the other fields of a row less than 500.
 */
const selectFew = statement<
  Filters & { limit: number; offset: number },
  { items: Json<Batch[]> | null; total: number }
>(($) => {
  const filter = filterOf($)
  const page = newestFirst(filter).limit($.limit).offset($.offset).as('page')
  const all = qb
    .select({ id: batches.id })
    .from(batches)
    .where(filter)
    .limit(MOST_ROWS + 1)
    .as('all')
  const chosen = qb.$with('chosen').as(
    qb
      .select({ id: batches.id, reason: batches.reason })
      .from(batches)
      .where(filter)
      .orderBy(...ordering(batches.created_at, batches.id, 'desc'))
      .limit($.limit)
      .offset($.offset),
  )
  const some = qb
    .select({
      bytes: sql`octet_length(${tasks.title}) + coalesce(octet_length(${tasks.description}), 0)`.as('bytes'),
    })
    .from(chosen)
    .innerJoin(tasks, eq(tasks.batch_id, chosen.id))
    .limit(MOST_ROWS + 1)
    .as('some')
  const size = qb
    .with(chosen)
    .select({
      total: sql<number>`(select count(*)::int from ${all})`.as('total'),
      read: sql`count(*)`.as('read'),
      bytes: sql`coalesce(sum(bytes), 0) + (select coalesce(sum(octet_length(reason)), 0) from ${chosen})`.as(
        'bytes',
      ),
    })
    .from(some)
    .as('size')
  const [rows, bytes] = [sql.raw(String(MOST_ROWS)), sql.raw(String(MOST_BYTES))]
  const items = sql<Json<Batch[]> | null>`
    case when ${size.total} <= ${rows} and ${size.read} <= ${rows} and ${size.bytes} <= ${bytes}
         then (select ${rowsAsJson(page)}::text from ${page}) end`
  return qb.select({ total: size.total, items: items.as('items') }).from(size)
})

export type BatchStore = ReturnType<typeof createBatchStore>

/**
 * Every function sees the batches of the caller's sessions and no others.
 *
 * @param db A database, or a transaction.
 */
export function createBatchStore(db: StoreDb, idempotency: Idempotency) {
  return {
    /** Creates the batch with all its tasks, or nothing; with `once`, unless an earlier request has done so. */
    async create(
      { session_id = null, reason = null, tasks: plan }: BatchCreate,
      once?: Once,
    ): Promise<Creation<Batch>> {
      const id = newId()
      const rows = plan.map((task, position) => ({ ...newTask(task, position), session_id, batch_id: id }))
      const batch = { id, session_id, reason, rows: toJson(rows) }
      if (once !== undefined) {
        return idempotency.once(async (values) => (await insertOnce(db, { ...batch, ...values }))[0], once)
      }
      const [created] = await insert(db, batch)
      return { outcome: 'created', ...created! }
    },

    /** The batch, or undefined if there is none with this id. */
    async get(caller: Caller, id: string): Promise<Json<Batch> | undefined> {
      const [batch] = await select(db, { id, ...visibleTo(caller) })
      return batch?.json
    },

    /** A page of batches, newest first, and how many there are in all. */
    async list(caller: Caller, { session_id, page, limit }: BatchListQuery): Promise<BatchPage> {
      const [found] = await selectPage(db, {
        session_id,
        ...visibleTo(caller),
        limit,
        offset: (page - 1) * limit,
      })
      return found!
    },

    /** The same as {@link list}, but undefined if more than {@link MOST_ROWS} rows or 1 MiB would be read. */
    async listFew(
      caller: Caller,
      { session_id, page, limit }: BatchListQuery,
    ): Promise<{ items: Json<Batch[]>; total: number } | undefined> {
      const [found] = await selectFew(db, {
        session_id,
        ...visibleTo(caller),
        limit,
        offset: (page - 1) * limit,
      })
      const { items, total } = found!
      return items === null ? undefined : { items, total }
    },

    /** The newest batch, or undefined if there is none. */
    async latest(caller: Caller, session_id: string | undefined): Promise<Json<Batch> | undefined> {
      const [batch] = await selectLatest(db, { session_id, ...visibleTo(caller) })
      return batch?.json
    },
  }
}
