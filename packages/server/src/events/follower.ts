/** Delivers new events to all readers that follow them. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Caller } from '../http/caller.js'
import { Places } from '../http/places.js'
import { type EventFeed, EventsExpired, type Filters, type Found, type Page, type Place } from './feed.js'

/** A request that follows events. */
export interface Reader {
  caller: Pick<Caller, 'sessions'>
  filters: Filters
  /** Takes events that it may see and asked for, in order, one at least. */
  receive: (events: Found[]) => void
  /** No more events are delivered. */
  end: () => void
}

/** Milliseconds between two looks at the database: in general, after one that found events, and after one that failed. */
const INTERVAL = 200
const SOON = 50
const PAUSE = 1000
/** Most events of a look, and most bytes of their changes. */
const AT_ONCE = 500
const BYTES_AT_ONCE = 256 * 1024
/** Readers that are served in one turn of the event loop. */
const PER_TURN = 100
/** Most readers of this process, about 50 kB each, and those of one caller. */
const MOST_READERS = 2500
const MOST_OF_CALLER = 2000

/**
 * Delivers new events to all readers of this process: one look at the database serves all of them, and there is none without a
 * reader. It polls, since a notification would need a connection of its own, which a pooler in transaction mode has not.
 */
export class Follower {
  readonly #feed: EventFeed
  readonly #readers = new Set<Reader>()
  /** Those who wait or read; {@link follow} does not check it. */
  readonly places = new Places({ most: MOST_READERS, mostOfCaller: MOST_OF_CALLER })
  /** Up to where events were read; undefined without a reader. */
  #place: Place | undefined
  /** Up to where all readers have them. */
  #delivered: Place | undefined
  #beginning: Promise<Place> | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(feed: EventFeed) {
    this.#feed = feed
  }

  /** Up to where all readers have what they asked for; undefined if that is not known. */
  get delivered() {
    return this.#delivered
  }

  /** Where a new reader begins. Those that begin at the same time share one look at the database. */
  begin(look: () => Promise<Place>): Promise<Place> {
    if (this.#delivered !== undefined) return Promise.resolve(this.#delivered)
    this.#beginning ??= look().finally(() => {
      this.#beginning = undefined
    })
    return this.#beginning
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
      this.#delivered = after
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
      if (this.#readers.delete(later) && this.#readers.size === 0) this.#rest()
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
    this.#rest()
    for (const { end } of readers) end()
  }

  #rest() {
    clearTimeout(this.#timer)
    this.#place = undefined
    this.#delivered = undefined
  }

  #lookIn(milliseconds: number) {
    this.#timer = setTimeout(() => this.#look(), milliseconds).unref()
  }

  async #look() {
    const timer = this.#timer
    const query = { after: this.#place, limit: AT_ONCE, order: 'asc' } as const
    const found = await this.#feed.read({}, query, BYTES_AT_ONCE).catch((error: unknown) => error)
    // Meanwhile, all readers have left.
    if (timer !== this.#timer || this.#place === undefined) return
    if (found instanceof EventsExpired) return this.#end()
    if (found instanceof Error) return this.#lookIn(PAUSE)
    const { items, next } = found as Page
    this.#place = next!
    if (items.length > 0) await this.#deliver(items)
    // Meanwhile, all readers may have left, and others come.
    if (timer !== this.#timer || this.#place === undefined) return
    this.#delivered = this.#place
    this.#lookIn(items.length > 0 ? SOON : INTERVAL)
  }

  async #deliver(events: Found[]) {
    let nth = 0
    for (const reader of [...this.#readers]) {
      if (this.#readers.has(reader)) reader.receive(events)
      // Other requests are served in between.
      if (++nth % PER_TURN === 0) await nextTurn()
    }
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
