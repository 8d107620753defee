/** Reads events: pages of them, and what is new for everybody who waits. */
import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { StoreDb } from '../db/database.js'
import type { Json } from '../db/json.js'
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
  select coalesce(json_agg(json_build_object(
    'field', key,
    'from', case when ${isUpdate} then value -> 0 when type = 'task.deleted' then value end,
    'to', case when ${isUpdate} then value -> 1 when type <> 'task.deleted' then value end)), '[]')
  from json_each(changes) where key <> 'position')`

/** An event as JSON, from a row of the table. */
const json = sql<Json<Event>>`json_build_object(
  'id', ${place(sql`xid`, sql`id`)}, 'type', type, 'at', ${timestamp(events.at).sql}, 'session_id', session_id, 'batch_id', batch_id,
  'task_id', task_id, 'actor', json_build_object('caller', caller, 'worker', worker), 'note', note, 'changes', ${changes})::text`

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
}

/** An event, and what it is chosen by. */
export interface Found extends Pick<Event, 'type' | 'session_id' | 'batch_id' | 'task_id'> {
  id: Place
  json: Json<Event>
}

interface PageRow extends Found {
  /** Where the events end that can be read now. */
  horizon: Place
  /** Whether events after the place were deleted. */
  expired: boolean
  /** Null if there is no event. */
  json: Json<Event>
}

/** Most bytes of changes in a page, which then has fewer events than it may have. */
const MAX_BYTES = sql.raw(String(4 * 2 ** 20))

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
          select type is null and (xid, id) > ${after} from ${events} order by xid, id limit 1), false)`
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
          left join (select * from ${sized} as sized where bytes <= ${MAX_BYTES} or nth = 1) as events on true`,
    )
    .orderBy(sql`xid ${direction}`, sql`id ${direction}`)
})

/** Events after the place were deleted, because they are too old. */
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
    ): Promise<Page> {
      const values = {
        session_id,
        batch_id,
        task_id,
        types: types && `{${types}}`,
        ...partsOf(after),
        limit,
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
  }
}

/** Who waits for events. */
export interface Reader {
  caller: Pick<Caller, 'sessions'>
  filters: Filters
  /** Takes events that it may see and asked for, in order, one at least. */
  receive: (events: Found[]) => void
  /** No more events are delivered. */
  end: () => void
}

/** Milliseconds between two looks at the database. */
const INTERVAL = 200
/** The same after one that failed. */
const PAUSE = 1000
/** Most events of a look. */
const AT_ONCE = 500

/**
 * Delivers new events to all readers of this process: one look at the database serves all of them, and there is none without a
 * reader. It polls, since a notification would need a connection of its own, which a pooler in transaction mode has not.
 */
export class Follower {
  readonly #feed: EventFeed
  readonly #readers = new Set<Reader>()
  /** Up to where events were delivered; undefined without a reader. */
  #place: Place | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(feed: EventFeed) {
    this.#feed = feed
  }

  /**
   * Delivers all events after a place up to which the reader has read. Returns a function that ends it, or undefined if later
   * events were delivered to others already: then the reader reads on, and asks again.
   */
  follow(after: Place, reader: Reader): (() => void) | undefined {
    if (this.#closed) {
      queueMicrotask(reader.end)
      return () => {}
    }
    if (this.#place === undefined) {
      this.#place = after
      this.#lookIn(INTERVAL)
    } else if (after < this.#place) return undefined
    const later: Reader = {
      ...reader,
      receive: (events) => {
        const wanted = events.filter((event) => event.id > after && isFor(reader, event))
        if (wanted.length > 0) reader.receive(wanted)
      },
    }
    this.#readers.add(later)
    return () => {
      if (!this.#readers.delete(later) || this.#readers.size > 0) return
      clearTimeout(this.#timer)
      this.#place = undefined
    }
  }

  /** Ends all readers, also those to come. */
  close() {
    this.#closed = true
    this.#end()
  }

  /** Ends all readers: they read again where they were. */
  #end() {
    const readers = [...this.#readers]
    this.#readers.clear()
    clearTimeout(this.#timer)
    this.#place = undefined
    for (const { end } of readers) end()
  }

  #lookIn(milliseconds: number) {
    this.#timer = setTimeout(() => this.#look(), milliseconds).unref()
  }

  async #look() {
    const timer = this.#timer
    const query = { after: this.#place, limit: AT_ONCE, order: 'asc' } as const
    const found = await this.#feed.read({}, query).catch((error: unknown) => error)
    // Meanwhile, all readers have left.
    if (timer !== this.#timer || this.#place === undefined) return
    if (found instanceof EventsExpired) return this.#end()
    if (found instanceof Error) return this.#lookIn(PAUSE)
    const { items, next } = found as Page
    this.#place = next!
    if (items.length > 0) for (const { receive } of [...this.#readers]) receive(items)
    if (this.#place !== undefined) this.#lookIn(items.length === AT_ONCE ? 0 : INTERVAL)
  }
}

/** Whether a reader sees the event and asked for it. */
function isFor({ caller, filters }: Reader, event: Found) {
  const { sessions } = caller
  if (sessions !== undefined && !(event.session_id !== null && sessions.includes(event.session_id)))
    return false
  const isSame = (name: 'session_id' | 'batch_id' | 'task_id') =>
    filters[name] === undefined || filters[name].toLowerCase() === event[name]
  if (!isSame('session_id') || !isSame('batch_id') || !isSame('task_id')) return false
  return filters.types === undefined || filters.types.includes(event.type)
}

const latest = (after: Place | undefined, horizon: Place) =>
  after !== undefined && after > horizon ? after : horizon
