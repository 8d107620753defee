/** The statements that list tasks: each one reads a page, counts, and finds where the next page begins. */
import { and, eq, type Placeholder, type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { StoreDb } from '../db/database.js'
import { arrayOf, type JoinedItems, joinedItems } from '../db/json.js'
import { isOwn, isTimestamp, ordering, timestampAsText, type Visible, visibleTo } from '../db/sql.js'
import { qb, type Statement, statement } from '../db/statement.js'
import { tasks } from '../db/tables.js'
import { MOST_ROWS } from '../http/admission.js'
import type { Caller } from '../http/caller.js'
import type { Position } from '../http/cursor.js'
import { type Found, MAX_COUNTED } from '../http/paging.js'
import { toTimestamp } from '../http/timestamp.js'
import { taskAsText } from './columns.js'
import { hasOpenBlocker, isReady } from './ready.js'
import { TASK_FIELDS, type Task, type TaskListQuery } from './schemas.js'

interface Values extends Visible {
  session_id?: string | undefined
  batch_id?: string | undefined
  /** Ids, as an array of PostgreSQL. */
  ids?: string | undefined
  /** One status, which an index finds. */
  status?: string | undefined
  /** Several, as an array of PostgreSQL. */
  statuses?: string | undefined
  priorities?: string | undefined
  claimed_by?: string | undefined
  due_before?: string | undefined
  due_after?: string | undefined
  updated_since?: string | undefined
  /** Patterns of words, as a JSON array. */
  words?: string | undefined
  /** The position of the last item before the page: `after_key` is missing if it has no sort key. */
  after_key?: string | undefined
  after_id?: string | undefined
  limit: number
  offset: number
}

interface Row {
  total: number
  /** The items of the page and the next one, if there is one; null if there is none. */
  items: JoinedItems<Task> | null
  /** The number of these items; null if more than {@link MOST_ROWS} tasks would be read to find them. */
  count: number | null
  /** The last item of the page, if it is full. */
  last_id: string | null
  last_key: string | null
}

type SortBy = TaskListQuery['sort_by']
/** What no value can be: sort, order, readiness, and the fields that are wanted, as JSON. */
type Shape = string
interface Chosen {
  sort_by: SortBy
  order: TaskListQuery['order']
  ready?: boolean | undefined
  fields?: (keyof Task)[] | undefined
}

type Placeholders = { [Name in keyof Required<Values>]: Placeholder | undefined }

/** The tasks that an index finds, as long as there are not too many. */
const indexed = ($: Placeholders) =>
  and(
    $.session_id && eq(tasks.session_id, $.session_id),
    $.batch_id && eq(tasks.batch_id, $.batch_id),
    $.ids && sql`${tasks.id} = any(${$.ids}::uuid[])`,
    isOwn(tasks.session_id, $.own_sessions),
  )

/** The condition on these that the caller asked for. */
const wanted = ($: Placeholders, { ready }: Chosen): SQL | undefined => {
  const text = sql`concat_ws(' ', ${tasks.title}, ${tasks.description}, ${tasks.result})`
  return and(
    $.status && eq(tasks.status, $.status),
    $.statuses && sql`${tasks.status} = any(${$.statuses}::task_status[])`,
    $.priorities && sql`${tasks.priority} = any(${$.priorities}::task_priority[])`,
    $.claimed_by && eq(tasks.claimed_by, $.claimed_by),
    $.due_before && sql`${tasks.due_date} < ${$.due_before}::timestamptz`,
    $.due_after && sql`${tasks.due_date} > ${$.due_after}::timestamptz`,
    $.updated_since && sql`${tasks.updated_at} >= ${$.updated_since}::timestamptz`,
    // Not ilike, which converts the text to lower case for each word: 100 words took four times as long.
    $.words &&
      sql`lower(${text}) like all(array(select lower(jsonb_array_elements_text(${$.words}::jsonb))))`,
    ready === undefined
      ? undefined
      : ready
        ? isReady(hasOpenBlocker())
        : sql`not ${isReady(hasOpenBlocker())}`,
  )
}

/** The tasks after a position: rows without a sort key come last, equal ones by id. */
const isAfter = ($: Placeholders, { sort_by, order }: Chosen): SQL | undefined => {
  if ($.after_id === undefined) return undefined
  const column = tasks[sort_by]
  const [id, after] = [sql`${$.after_id}::uuid`, sql.raw(order === 'asc' ? '>' : '<')]
  if ($.after_key === undefined) return sql`${column} is null and ${tasks.id} ${after} ${id}`
  const key = sql`${$.after_key}::${sql.raw(column.getSQLType())}`
  const follows = sql`(${column}, ${tasks.id}) ${after} (${key}, ${id})`
  return column.notNull ? follows : sql`(${follows} or ${column} is null)`
}

/** A sort key as text. */
const keyAsText = (column: PgColumn, key: SQL): SQL =>
  isTimestamp(column) ? timestampAsText(key) : sql`${key}::text`

/**
 * The aggregates of a page, as {@link Row} has them. Fields are written after the sort: as JSON, times cost more than all else.
 */
const pageOf = ($: Placeholders, chosen: Chosen, isAllowed?: SQL) => {
  const { sort_by, order, fields } = chosen
  const rows = qb
    .select()
    .from(tasks)
    .where(and(indexed($), wanted($, chosen), isAfter($, chosen), isAllowed))
    .orderBy(...ordering(tasks[sort_by], tasks.id, order))
    // One more, to know whether others follow.
    .limit(sql`${$.limit}::int + 1` as never)
    .offset($.offset as Placeholder)
    .as('tasks')
  const last = (column: PgColumn) => sql`(array_agg(${column}))[${$.limit}::int]`
  return sql`(
    select ${joinedItems(taskAsText(fields ?? TASK_FIELDS))} as items, count(*)::int as count,
           ${last(tasks.id)}::text as last_id, ${keyAsText(tasks[sort_by], last(tasks[sort_by]))} as last_key
    from ${rows})`
}

const columns = {
  items: sql<JoinedItems<Task> | null>`items`.as('items'),
  count: sql<number | null>`count`.as('count'),
  last_id: sql<string | null>`last_id`.as('last_id'),
  last_key: sql<string | null>`last_key`.as('last_key'),
}

/** What agents list at every turn. The tasks of a batch come with the batch. */
const isCommon = ($: Placeholders, shape: Shape) => {
  const { fields, ready } = JSON.parse(shape) as Chosen
  const rare = [
    $.batch_id,
    $.ids,
    $.statuses,
    $.priorities,
    $.claimed_by,
    $.due_before,
    $.due_after,
    $.updated_since,
    $.words,
  ]
  return fields === undefined && ready === undefined && rare.every((value) => value === undefined)
}

/**
 * True. PostgreSQL runs a statement with this function in one process (set_config is parallel unsafe, see its chapter “Parallel
 * Safety”): with the two more that it gives a large scan by default, other calls would wait for the cores of a small machine.
 */
const inOneProcess = sql`set_config('aklp.scan', 'on', true) is not null`

const selectPage = statement<Values, Row, Shape>(($, shape) => {
  const chosen = JSON.parse(shape) as Chosen
  const counted = qb
    .select({ id: tasks.id })
    .from(tasks)
    .where(and(indexed($), wanted($, chosen)))
    .limit(MAX_COUNTED + 1)
    .as('counted')
  return qb
    .select({ total: sql<number>`(select count(*)::int from ${counted})`.as('total'), ...columns })
    .from(sql`${pageOf($, chosen)} as page`)
    .where(inOneProcess)
}, isCommon)

/** The same page; no `count` if more than {@link MOST_ROWS} tasks would be read to find it. Then it reads no further. */
const selectFew = statement<Values, Row, Shape>(($, shape) => {
  const chosen = JSON.parse(shape) as Chosen
  const some = qb
    .select({ wanted: sql`${wanted($, chosen) ?? sql`true`}`.as('wanted') })
    .from(tasks)
    .where(indexed($))
    .limit(MOST_ROWS + 1)
    .as('some')
  const counted = qb
    .select({
      read: sql`count(*)`.as('read'),
      total: sql<number>`(count(*) filter (where wanted))::int`.as('total'),
    })
    .from(some)
    .as('counted')
  const isFew = sql`read <= ${sql.raw(String(MOST_ROWS))}`
  const found = sql`${counted}, lateral ${pageOf($, chosen, isFew)} as page`
  return qb
    .select({
      total: sql<number>`total`.as('total'),
      ...columns,
      count: sql<number | null>`case when ${isFew} then count end`.as('count'),
    })
    .from(found)
}, isCommon)

const run =
  (select: Statement<Values, Row, Shape>) =>
  async (
    db: StoreDb,
    caller: Caller,
    query: TaskListQuery,
    after?: Position,
  ): Promise<Found<Task> | undefined> => {
    const { sort_by, order, ready, fields } = query
    const shape = JSON.stringify({
      sort_by,
      order,
      ready,
      // In one order, so that the same fields are the same statement.
      fields: fields && TASK_FIELDS.filter((name) => name === 'id' || fields.includes(name)),
    } satisfies Chosen)
    const [found] = await select(db, valuesOf(caller, query, after), shape)
    const { total, items, count, last_id, last_key } = found!
    if (count === null) return undefined
    const hasMore = count > query.limit
    return {
      items: arrayOf(items, hasMore),
      total,
      last: hasMore ? { key: last_key, id: last_id! } : undefined,
    }
  }

const valuesOf = (
  caller: Caller,
  { status, priority, session_id, batch_id, ids, claimed_by, page, limit, ...query }: TaskListQuery,
  after?: Position,
): Values => ({
  session_id,
  batch_id,
  ids: ids && `{${ids}}`,
  claimed_by,
  ...(status?.length === 1 ? { status: status[0] } : { statuses: status && `{${status}}` }),
  priorities: priority && `{${priority}}`,
  due_before: query.due_before && toTimestamp(query.due_before),
  due_after: query.due_after && toTimestamp(query.due_after),
  updated_since: query.updated_since && toTimestamp(query.updated_since),
  words: query.q === undefined ? undefined : JSON.stringify(patternsOf(query.q)),
  after_id: after?.id,
  after_key: after?.key ?? undefined,
  limit,
  offset: (page - 1) * limit,
  ...visibleTo(caller),
})

/** Patterns for the words of a search: `%` and `_` stand for themselves. */
const patternsOf = (q: string): string[] =>
  q
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => `%${word.replace(/[\\%_]/g, '\\$&')}%`)

/** A page of all tasks that pass the filters. */
export const listAll = run(selectPage)

/** The same; undefined if more than {@link MOST_ROWS} tasks would be read. */
export const listFew = run(selectFew)

/** Whether a text can be the sort key of a task. */
export function isSortKey(sort_by: SortBy, key: string | null): boolean {
  const column = tasks[sort_by]
  if (key === null) return !column.notNull
  return column.enumValues === undefined
    ? toTimestamp(key) !== undefined
    : (column.enumValues as string[]).includes(key)
}
