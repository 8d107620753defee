/**
 * The statements on batches, each call one statement unless it appends or names blockers outside of the batch. Their tasks are
 * those of the task store, and like that one a store is cheap to make, also in a transaction.
 */
import { and, eq, type Placeholder, type SQL, sql, type WithSubquery } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { StoreDb } from '../db/database.js'
import { newId } from '../db/ids.js'
import { arrayAsText, type Json, notationOf, objectAsText, toJson, type Versioned } from '../db/json.js'
import { columnsOf, isOwn, ordering, plain, timestamp, type Visible, visibleTo } from '../db/sql.js'
import { qb, statement } from '../db/statement.js'
import { batches, tasks } from '../db/tables.js'
import { type Recorded, type Recorder, recorded } from '../events/record.js'
import { MOST_ROWS } from '../http/admission.js'
import type { Caller } from '../http/caller.js'
import type { Position } from '../http/cursor.js'
import { type Found, MAX_COUNTED } from '../http/paging.js'
import {
  type Creation,
  claim,
  type Idempotency,
  type Once,
  type OnceValues,
  unclaimed,
} from '../idempotency/record.js'
import { taskAsText } from '../tasks/columns.js'
import { assertDependencies, resolveBlockers } from '../tasks/dependencies.js'
import { progressOf } from '../tasks/progress.js'
import { hasOpenBlocker } from '../tasks/ready.js'
import { MAX_TASKS, TASK_FIELDS, type TaskPlan } from '../tasks/schemas.js'
import { insertPlanned, newTask, plannedTasks } from '../tasks/store.js'
import { BATCH_FIELDS, type Batch, type BatchCreate, type BatchListQuery } from './schemas.js'

/** The columns of a batch, which are its fields in responses without the tasks. */
export const batchColumns = {
  id: plain(batches.id),
  session_id: plain(batches.session_id),
  reason: plain(batches.reason),
  metadata: plain(batches.metadata),
  created_at: timestamp(batches.created_at),
} satisfies {
  [Name in keyof (typeof batches.$inferSelect & Omit<Batch, 'tasks' | 'progress'>)]: SQL.Aliased<Batch[Name]>
}

/**
 * A row named `batches` as JSON, with the progress of its tasks and the tasks.
 *
 * @param plan SQL for its tasks in order, with all their columns and `is_blocked`.
 * @param fields The fields that are wanted: the tasks are read only for theirs.
 */
const batchJson = (plan: SQL, fields: readonly (keyof Batch)[] = BATCH_FIELDS) => {
  const ofPlan: Record<string, SQL> = {
    progress: progressOf(sql`is_blocked`),
    tasks: arrayAsText(taskAsText(TASK_FIELDS, sql`is_blocked`)),
  }
  const aggregates = Object.entries(ofPlan).filter(([name]) => fields.includes(name as keyof Batch))
  const aggregated = sql.join(
    aggregates.map(([name, value]) => sql`${value} as ${sql.identifier(name)}`),
    sql`, `,
  )
  const json = objectAsText(
    fields.map((name) => {
      if (ofPlan[name])
        return [name, { value: sql`${sql.identifier(name)}`, notation: 'plain', nullable: false }]
      const column = batches[name as keyof typeof batchColumns]
      const value = batchColumns[name as keyof typeof batchColumns].sql
      return [name, { value, notation: notationOf(column), nullable: !column.notNull }]
    }),
  )
  const from =
    aggregates.length > 0 &&
    sql` from (
      select ${aggregated} from (${plan}) as tasks
    ) as plan`
  return sql<Json<Batch>>`(select ${json}${from || undefined})`
}

const planOf = sql`
  select *, ${hasOpenBlocker()} as is_blocked from ${tasks}
  where ${tasks.batch_id} = ${batches.id} order by ${tasks.position}, ${tasks.id}`

const storedBatch = batchJson(planOf)

interface NewBatch extends Recorded {
  id: string
  session_id: string | null
  reason: string | null
  metadata: string
  /** The tasks, as a JSON array. */
  rows: string
}

const insertion = ($: { [Name in keyof NewBatch]: Placeholder }, claimed: typeof unclaimed) => {
  const planned = plannedTasks($.rows, $.by)
  // Batch and tasks are created in the same statement, and so at the same time.
  const plannedBatch = qb.$with('planned_batch', {}).as(sql`
    select ${$.id}::uuid as id, ${$.session_id}::uuid as session_id, ${$.reason}::text as reason,
           ${$.metadata}::jsonb as metadata, now()::timestamptz(3) as created_at`)
  // A blocker is in the same plan or stored.
  const isBlocked = sql`blocked_by <> '{}' and (
    exists (select from unnest(blocked_by) as blocker
            where blocker in (select id from planned where status <> 'completed'))
    or has_open_blocker(blocked_by))`
  const json = batchJson(sql`select *, ${isBlocked} as is_blocked from planned order by position`)
  const response = qb
    .$with('response')
    .as(
      qb
        .select({ json: json.as('json'), version: sql<string>`created_at`.as('version') })
        .from(sql`planned_batch as batches`),
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

/** The JSON of batches in a response has at most this many bytes; 8 MiB with the other fields of a page. */
export const MAX_BYTES = 8 * 2 ** 20 - 1024

/** So many tasks fit into {@link MAX_BYTES}: the largest has 50 kB of JSON. */
const FEW_TASKS = sql.raw('160')

/**
 * Whether there are more than {@link FEW_TASKS}; counts no further.
 *
 * @param source SQL that follows `select` and finds tasks.
 */
const areMany = (source: SQL) =>
  sql`(select count(*) from (select ${source} limit ${FEW_TASKS} + 1) as found) > ${FEW_TASKS}`

/** The bytes of the tasks of a row named `batches` as JSON, which is not put together for that. */
const bytesOfTasks = sql`(
  select coalesce(sum(octet_length(row_to_json(${tasks})::text)), 0) from ${tasks}
  where ${tasks.batch_id} = ${batches.id})`

/** A batch as JSON, or null if it has more than {@link MAX_BYTES}. */
const jsonUnlessTooLarge = sql<Json<Batch> | null>`
  case when ${areMany(sql`from ${tasks} where ${tasks.batch_id} = ${batches.id}`)}
        and ${bytesOfTasks} > ${sql.raw(String(MAX_BYTES))}
       then null else ${storedBatch} end`.as('json')

interface OneRow {
  json: Json<Batch> | null
}

const select = statement<{ id: string } & Visible, OneRow>(($) =>
  qb
    .select({ json: jsonUnlessTooLarge })
    .from(batches)
    .where(and(eq(batches.id, $.id), isOwn(batches.session_id, $.own_sessions))),
)

interface Filters extends Visible {
  session_id?: string | undefined
}

const filterOf = ($: { session_id?: Placeholder; own_sessions?: Placeholder }) =>
  and($.session_id && eq(batches.session_id, $.session_id), isOwn(batches.session_id, $.own_sessions))

/** Batches, newest first. */
const newestFirst = (filter: SQL | undefined) =>
  qb
    .select()
    .from(batches)
    .where(filter)
    .orderBy(...ordering(batches.created_at, batches.id, 'desc'))

const selectLatest = statement<Filters, OneRow>(($) => {
  const latest = newestFirst(filterOf($)).limit(1).as('batches')
  return qb.select({ json: jsonUnlessTooLarge }).from(latest)
})

/** A page of batches; too large if it has no items. */
type BatchPage = Omit<Found<Batch>, 'items'> & {
  /** Null if they have more than {@link MAX_BYTES}. */
  items: Json<Batch[]> | null
  /** The bytes of the largest batch of the page, if there are many tasks. */
  largest: number
}

interface PageValues extends Filters {
  /** The position of the last batch before the page. */
  after_key?: string | undefined
  after_id?: string | undefined
  limit: number
  offset: number
}

interface PageRow {
  items: Json<Batch[]> | null
  largest: number
  total: number
  last_id: string | null
  last_key: string | null
}

/** The fields that are wanted, separated by commas; all if it is empty. */
type Fields = string

type PagePlaceholders = { [Name in keyof Required<PageValues>]: Placeholder | undefined }

/** The batches of the page, and one more, to know whether others follow. */
const pageWhere = ($: PagePlaceholders) => {
  const after =
    $.after_id &&
    sql`(${batches.created_at}, ${batches.id}) < (${$.after_key}::timestamptz, ${$.after_id}::uuid)`
  return qb.$with('page').as(
    newestFirst(and(filterOf($), after))
      .limit(sql`${$.limit}::int + 1` as never)
      .offset($.offset as Placeholder),
  )
}

/** The same without that one. */
const shownOf = ($: PagePlaceholders, page: WithSubquery) =>
  sql`(select * from ${page} limit ${$.limit}::int)`

/** How many batches pass the filters: `most` and one more at most. */
const countOf = ($: PagePlaceholders, most: number) => {
  const all = qb
    .select({ id: batches.id })
    .from(batches)
    .where(filterOf($))
    .limit(most + 1)
    .as('all')
  return sql`(select count(*)::int from ${all})`
}

/** The columns of a {@link PageRow} from rows with `total`, under a condition. */
const pageColumns = ($: PagePlaceholders, page: WithSubquery, fields: Fields, isAllowed: SQL) => {
  const wanted = fields === '' ? BATCH_FIELDS : (fields.split(',') as (keyof Batch)[])
  const last = (column: SQL) => sql<string | null>`
    case when (select count(*) from ${page}) > ${$.limit}::int
         then (select ${column} from ${page} as batches offset ${$.limit}::int - 1 limit 1) end`
  return {
    items: sql<Json<Batch[]> | null>`
      case when ${isAllowed} then (
        select ${arrayAsText(batchJson(planOf, wanted))} from ${shownOf($, page)} as batches) end`.as(
      'items',
    ),
    total: sql<number>`total`.as('total'),
    last_id: last(sql`${batches.id}`).as('last_id'),
    last_key: last(timestamp(batches.created_at).sql).as('last_key'),
  }
}

const isCommon = (_: unknown, fields: Fields) => fields === ''

const selectPage = statement<PageValues, PageRow, Fields>(($, fields) => {
  const page = pageWhere($)
  const shown = shownOf($, page)
  const sizes = sql`(
    select ${countOf($, MAX_COUNTED)} as total,
           coalesce(sum(bytes), 0) as bytes, coalesce(max(bytes), 0)::int as largest
    from (select ${bytesOfTasks} as bytes from ${shown} as batches
          where ${areMany(sql`from ${shown} as one join ${tasks} on ${tasks.batch_id} = one.id`)}) as each) as sizes`
  const readsTasks = fields === '' || fields.split(',').includes('tasks')
  const isAllowed = readsTasks ? sql`bytes <= ${sql.raw(String(MAX_BYTES))}` : sql`true`
  const found = qb
    .with(page)
    .select({ ...pageColumns($, page, fields, isAllowed), largest: sql<number>`largest`.as('largest') })
    .from(sizes)
    .as('found')
  // Begins with `select`, by which the embedded database knows that it only reads.
  return qb.select().from(found)
}, isCommon)

/** The most bytes that the tasks of a page of batches have in the database for an ordinary request. */
const MOST_BYTES = 2 ** 20

/**
 * The same page; no items if it takes more than {@link MOST_ROWS} or {@link MOST_BYTES}. What passes fits {@link MAX_BYTES}: in
 * JSON, a byte of text has six bytes at most, and the other fields of a row less than 1000.
 */
const selectFew = statement<PageValues, PageRow, Fields>(($, fields) => {
  const page = pageWhere($)
  const shown = shownOf($, page)
  const few = sql`(
    select ${bytesOf([tasks.title, tasks.description, tasks.result])} + octet_length(${tasks.metadata}::text)
           + 40 * cardinality(${tasks.blocked_by}) as bytes
    from ${shown} as batches join ${tasks} on ${tasks.batch_id} = ${batches.id}
    limit ${sql.raw(String(MOST_ROWS + 1))}) as few`
  const size = sql`(
    select ${countOf($, MOST_ROWS)} as total, count(*) as read, 0 as largest,
           coalesce(sum(bytes), 0) + (
             select coalesce(sum(${bytesOf([batches.reason])} + octet_length(${batches.metadata}::text)), 0)
             from ${shown} as batches) as bytes
    from ${few}) as size`
  const [rows, bytes] = [sql.raw(String(MOST_ROWS)), sql.raw(String(MOST_BYTES))]
  const isAllowed = sql`total <= ${rows} and read <= ${rows} and bytes <= ${bytes}`
  const found = qb
    .with(page)
    .select({ ...pageColumns($, page, fields, isAllowed), largest: sql<number>`largest`.as('largest') })
    .from(size)
    .as('found')
  return qb.select().from(found)
}, isCommon)

const bytesOf = (texts: PgColumn[]) =>
  sql.join(
    texts.map((text) => sql`coalesce(octet_length(${text}), 0)`),
    sql` + `,
  )

/** Locks a batch: two calls that append to it would not know each other's keys. */
const lock = statement<{ id: string } & Visible, { session_id: string | null }>(($) =>
  qb
    .select({ session_id: batches.session_id })
    .from(batches)
    .where(and(eq(batches.id, $.id), isOwn(batches.session_id, $.own_sessions)))
    .for('no key update'),
)

const selectKeys = statement<{ id: string }, { count: number; next: number; keys: string }>(($) =>
  qb
    .select({
      count: sql<number>`count(*)::int`.as('count'),
      next: sql<number>`coalesce(max(${tasks.position}), -1) + 1`.as('next'),
      keys: sql<string>`
        coalesce(json_object_agg(${tasks.key}, ${tasks.id}) filter (where ${tasks.key} is not null), '{}')::text`.as(
        'keys',
      ),
    })
    .from(tasks)
    .where(eq(tasks.batch_id, $.id)),
)

const append = statement<{ rows: string } & Recorded, { id: string }>(($) => {
  const planned = plannedTasks($.rows, $.by)
  const created = qb.$with('created').as(insertPlanned(sql`true`))
  return qb
    .with(planned, created)
    .select({ id: sql<string>`id`.as('id') })
    .from(created)
})

/** Writes the event of batches that other transactions created, and that have new tasks: `by` has these. */
export const recordExtension = statement<{ ids: string } & Recorded, { id: string }>(($) =>
  qb
    .update(batches)
    .set({ reason: sql`${batches.reason}` })
    .where(
      and(
        sql`${batches.id} = any(${$.ids}::uuid[])`,
        sql`${batches}.xmin <> pg_current_xact_id()::xid`,
        recorded($.by),
      ),
    )
    .returning({ id: batches.id }),
)

/** There is no such batch. */
export class UnknownBatch extends Error {}

/** It would have more than {@link MAX_TASKS}. */
export class BatchFull extends Error {
  constructor(readonly room: number) {
    super()
  }
}

/** The JSON of a batch has more than {@link MAX_BYTES}. */
export class BatchTooLarge extends Error {}

export type BatchStore = ReturnType<typeof createBatchStore>

/**
 * Every function sees the batches of the caller's sessions and no others.
 *
 * @param db A database, or a transaction.
 */
export function createBatchStore(db: StoreDb, idempotency: Idempotency, record: Recorder) {
  return {
    /** Creates the batch with all its tasks, or nothing; with `once`, unless an earlier request has done so. */
    async create(
      caller: Caller,
      { session_id = null, reason = null, metadata = {}, tasks: plan }: BatchCreate,
      once?: Once,
    ): Promise<Creation<Batch>> {
      const id = newId()
      const { rows, ids, namesOthers } = planRows(plan, { session_id, batch_id: id })
      const batch = {
        id,
        session_id,
        reason,
        metadata: toJson(metadata),
        rows,
        ...record(caller),
      }
      const create = async (run: (db: StoreDb) => Promise<Versioned<Batch>[]>) => {
        if (!namesOthers) return (await run(db))[0]
        return db.inTransaction(async (transaction) => {
          const [created] = await run(transaction)
          if (created) await assertDependencies(transaction, ids)
          return created
        })
      }
      if (once !== undefined)
        return idempotency.once((values) => create((db) => insertOnce(db, { ...batch, ...values })), once)
      const created = await create((db) => insert(db, batch))
      return { outcome: 'created', ...created! }
    },

    /**
     * Appends tasks to a batch, all or none; with `once`, unless an earlier request has done so. Throws {@link UnknownBatch},
     * {@link BatchFull} and {@link BatchTooLarge}.
     */
    async extend(caller: Caller, batch_id: string, plan: TaskPlan[], once?: Once): Promise<Creation<Batch>> {
      return idempotency.onceInTransaction(async (transaction) => {
        const id = batch_id.toLowerCase()
        const [batch] = await lock(transaction, { id, ...visibleTo(caller) })
        if (batch === undefined) throw new UnknownBatch()
        const [stored] = await selectKeys(transaction, { id })
        const room = MAX_TASKS - stored!.count
        if (plan.length > room) throw new BatchFull(room)
        const existing = new Map(Object.entries<string>(JSON.parse(stored!.keys)))
        const { session_id } = batch
        const { rows, ids } = planRows(plan, { session_id, batch_id: id }, stored!.next, existing)
        await append(transaction, { rows, ...record(caller) })
        await recordExtension(transaction, { ids: `{${id}}`, ...record(caller, { extended: { [id]: ids } }) })
        await assertDependencies(transaction, ids)
        const json = await jsonOf(select(transaction, { id }))
        // A batch has no ETag.
        return { json: json!, version: '' }
      }, once)
    },

    /** The batch, or undefined if there is none with this id. Throws {@link BatchTooLarge}. */
    async get(caller: Caller, id: string): Promise<Json<Batch> | undefined> {
      return jsonOf(select(db, { id, ...visibleTo(caller) }))
    },

    /** A page of batches, newest first, after a position if there is one. */
    async list(caller: Caller, query: BatchListQuery, after?: Position): Promise<BatchPage> {
      const [found] = await selectPage(db, pageValues(caller, query, after), fieldsOf(query))
      return { ...found!, last: lastOf(found!) }
    },

    /** The same as {@link list}, but undefined if more than {@link MOST_ROWS} rows or 1 MiB would be read. */
    async listFew(
      caller: Caller,
      query: BatchListQuery,
      after?: Position,
    ): Promise<Found<Batch> | undefined> {
      const [found] = await selectFew(db, pageValues(caller, query, after), fieldsOf(query))
      const { items, total } = found!
      return items === null ? undefined : { items, total, last: lastOf(found!) }
    },

    /** The newest batch, or undefined if there is none. Throws {@link BatchTooLarge}. */
    async latest(caller: Caller, session_id: string | undefined): Promise<Json<Batch> | undefined> {
      return jsonOf(selectLatest(db, { session_id, ...visibleTo(caller) }))
    },
  }
}

const pageValues = (
  caller: Caller,
  { session_id, page, limit }: BatchListQuery,
  after?: Position,
): PageValues => ({
  session_id,
  ...visibleTo(caller),
  after_key: after?.key ?? undefined,
  after_id: after?.id,
  limit,
  offset: (page - 1) * limit,
})

/** In one order, so that the same fields are the same statement. */
const fieldsOf = ({ fields }: BatchListQuery): Fields =>
  fields === undefined ? '' : `${BATCH_FIELDS.filter((name) => name === 'id' || fields.includes(name))}`

const lastOf = ({ last_id, last_key }: PageRow): Position | undefined =>
  last_id === null ? undefined : { id: last_id, key: last_key }

async function jsonOf(found: Promise<OneRow[]>): Promise<Json<Batch> | undefined> {
  const [batch] = await found
  if (batch?.json === null) throw new BatchTooLarge()
  return batch?.json
}

/** The rows of new tasks, whose blockers are ids, and whether some of these are not in the plan. */
function planRows(
  plan: TaskPlan[],
  batch: { session_id: string | null; batch_id: string },
  position = 0,
  existing?: ReadonlyMap<string, string>,
) {
  const rows = plan.map((task, nth) => ({ ...newTask(task, position + nth), ...batch }))
  const ids = rows.map(({ id }) => id)
  if (plan.every(({ key, blocked_by }) => key == null && !blocked_by?.length))
    return { rows: toJson(rows), ids, namesOthers: false }
  const blockers = resolveBlockers(plan, ids, existing)
  const own = new Set(ids)
  return {
    rows: toJson(rows.map((row, nth) => ({ ...row, blocked_by: blockers[nth] }))),
    ids,
    namesOthers: blockers.some((list) => list.some((id) => !own.has(id))),
  }
}
