/** Reads events: pages of them, and what is new for everybody who waits. */
import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { StoreDb } from '../db/database.js'
import { type Json, objectAsText } from '../db/json.js'
import { isOwn, timestamp, type Visible, visibleTo } from '../db/sql.js'
import { qb, statement } from '../db/statement.js'
import { events } from '../db/tables.js'
import type { Caller } from '../http/caller.js'
import type { Event, EventListQuery } from './schemas.js'

/**
 * A place in the order of events, as the API shows it: the transaction and the number of an event in hexadecimal digits, so that
 * it sorts as text.
 */
export type Place = string

const place = (xid: SQL, id: SQL) =>
  sql<Place>`lpad(to_hex(${xid}::text::bigint), 12, '0') || lpad(to_hex(${id}), 12, '0')`

/** The values of a place for statements. */
const partsOf = (after: Place | undefined) => ({
  after_xid: after && String(BigInt(`0x${after.slice(0, 12)}`)),
  after_id: after && String(BigInt(`0x${after.slice(12)}`)),
})

/** Each change of these types has a value before and one afterwards. */
const isUpdate = sql`type in ('task.updated', 'task.claimed', 'task.released', 'task.noted')`

const changes = sql`(
  select '[' || coalesce(string_agg(${objectAsText([
    ['field', { value: sql`key`, notation: 'escaped', nullable: false }],
    [
      'from',
      {
        value: sql`case when ${isUpdate} then value -> 0 when type = 'task.deleted' then value end`,
        notation: 'plain',
        nullable: true,
      },
    ],
    [
      'to',
      {
        value: sql`case when ${isUpdate} then value -> 1 when type <> 'task.deleted' then value end`,
        notation: 'plain',
        nullable: true,
      },
    ],
  ])}, ','), '') || ']'
  from json_each(changes) where key <> 'position')`

const actor = objectAsText([
  ['caller', { value: sql`caller`, notation: 'escaped', nullable: true }],
  ['worker', { value: sql`worker`, notation: 'escaped', nullable: true }],
])

/** An event as JSON in one line, from a row of the table. */
const json = sql<Json<Event>>`${objectAsText([
  ['id', { value: place(sql`xid`, sql`id`), notation: 'quoted', nullable: false }],
  ['type', { value: sql`type`, notation: 'quoted', nullable: false }],
  ['at', { value: timestamp(events.at).sql, notation: 'quoted', nullable: false }],
  ['session_id', { value: sql`session_id`, notation: 'quoted', nullable: true }],
  ['batch_id', { value: sql`batch_id`, notation: 'quoted', nullable: true }],
  ['task_id', { value: sql`task_id`, notation: 'quoted', nullable: true }],
  ['actor', { value: actor, notation: 'plain', nullable: false }],
  ['note', { value: sql`note`, notation: 'escaped', nullable: true }],
  ['changes', { value: changes, notation: 'plain', nullable: false }],
])}`

/** What readers can ask for. */
export type Filters = Pick<EventListQuery, 'session_id' | 'batch_id' | 'task_id' | 'types'>

interface PageValues extends Visible {
  session_id?: string | undefined
  batch_id?: string | undefined
  task_id?: string | undefined
  /** An array of PostgreSQL. */
  types?: string | undefined
  after_xid?: string | undefined
  after_id?: string | undefined
  limit: number
  /** Most bytes of changes in the page, which then has fewer events than it may have. */
  bytes: number
}

/** An event, and what it is chosen by. */
export interface Found extends Pick<Event, 'type' | 'session_id' | 'batch_id' | 'task_id'> {
  id: Place
  json: Json<Event>
}

interface PageRow extends Found {
  /** Where the events end that can be read now. */
  horizon: Place
  /** Whether events after the place were deleted, or it is of another database. */
  expired: boolean
  /** Null if there is no event. */
  json: Json<Event>
}

/** Most bytes of changes in a page for one caller. */
const MAX_BYTES = 4 * 2 ** 20

/**
 * A transaction that began earlier can still write events before those of one that is finished, so only events before all open
 * transactions are read: nothing is ever added before them. At least one row.
 */
const selectPage = statement<PageValues, PageRow, 'asc' | 'desc'>(($, order) => {
  const horizon = sql`pg_snapshot_xmin(pg_current_snapshot())`
  const compare = sql.raw(order === 'asc' ? '>' : '<')
  const after = sql`(${$.after_xid}::xid8, ${$.after_id}::bigint)`
  const direction = sql.raw(order)
  const chosen = qb
    .select()
    .from(events)
    .where(
      and(
        sql`${events.type} is not null and ${events.xid} < ${horizon}`,
        $.after_xid && sql`(${events.xid}, ${events.id}) ${compare} ${after}`,
        $.session_id && eq(events.session_id, $.session_id),
        $.batch_id && eq(events.batch_id, $.batch_id),
        $.task_id && eq(events.task_id, $.task_id),
        $.types && sql`${events.type} = any(${$.types}::event_type[])`,
        isOwn(events.session_id, $.own_sessions),
      ),
    )
    .orderBy(sql`${events.xid} ${direction}`, sql`${events.id} ${direction}`)
    .limit(sql`${$.limit}::int` as never)
    .as('chosen')
  const sized = sql`(
    select *, sum(octet_length(changes::text)) over (order by xid ${direction}, id ${direction} rows unbounded preceding) as bytes,
           row_number() over (order by xid ${direction}, id ${direction}) as nth
    from ${chosen})`
  const expired =
    $.after_xid && order === 'asc'
      ? sql`coalesce((
          select type is null and (xid, id) > ${after} from ${events} order by xid, id limit 1), false)
        or ${$.after_xid}::xid8 > pg_snapshot_xmax(pg_current_snapshot())`
      : sql`false`
  return qb
    .select({
      id: sql<Place>`${place(sql`xid`, sql`id`)}`.as('id'),
      type: sql<Event['type']>`type`.as('type'),
      session_id: sql<string>`session_id`.as('session_id'),
      batch_id: sql<string>`batch_id`.as('batch_id'),
      task_id: sql<string>`task_id`.as('task_id'),
      json: sql<Json<Event>>`case when id is not null then ${json} end`.as('json'),
      horizon: sql<Place>`${place(sql`horizon`, sql`0`)}`.as('horizon'),
      expired: sql<boolean>`expired`.as('expired'),
    })
    .from(
      sql`(select ${horizon} as horizon, ${expired} as expired) as one
          left join (select * from ${sized} as sized where bytes <= ${$.bytes}::int or nth = 1) as events on true`,
    )
    .orderBy(sql`xid ${direction}`, sql`id ${direction}`)
})

/**
 * Events after the place were deleted, because they are too old, or the database does not know the place: it was restored, or has
 * lost the last transactions in a failover.
 */
export class EventsExpired extends Error {}

export interface Page {
  items: Found[]
  /** Where to read on; null if there is nothing before. */
  next: Place | null
}

export type EventFeed = ReturnType<typeof createEventFeed>

export function createEventFeed(db: StoreDb) {
  return {
    /** A page of the events of the caller's sessions, after a place if there is one. Throws {@link EventsExpired}. */
    async read(
      caller: Pick<Caller, 'sessions'>,
      { types, session_id, batch_id, task_id, after, limit, order }: Omit<EventListQuery, 'wait'>,
      bytes = MAX_BYTES,
    ): Promise<Page> {
      const values = {
        session_id,
        batch_id,
        task_id,
        types: types && `{${types}}`,
        ...partsOf(after),
        limit,
        bytes,
        ...visibleTo(caller),
      }
      const rows = await selectPage(db, values, order)
      const { horizon, expired } = rows[0]!
      if (expired) throw new EventsExpired()
      const items = rows.filter(({ json }) => json !== null)
      const last = items.at(-1)?.id
      // With no event, all that can be read up to now is behind the reader, whatever it filters.
      return { items, next: last ?? (order === 'desc' ? null : latest(after, horizon)) }
    },

    /** Where the events end that can be read now. */
    async end(): Promise<Place> {
      const [row] = await selectPage(db, { limit: 0, bytes: 0 }, 'desc')
      return row!.horizon
    },
  }
}

const latest = (after: Place | undefined, horizon: Place) =>
  after !== undefined && after > horizon ? after : horizon
