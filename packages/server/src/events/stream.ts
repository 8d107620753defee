/**
 * Events as they happen, in one response that does not end (server-sent events,
 * https://html.spec.whatwg.org/multipage/server-sent-events.html).
 */
import type { ServerResponse } from 'node:http'
import { onOver } from '../http/pipelining.js'
import type { Found, Page, Place } from './feed.js'
import type { Follower, Reader } from './follower.js'

export interface EventStreamOptions extends Pick<Reader, 'caller' | 'filters'> {
  follower: Follower
  /** Reads a small page of what the reader has missed. */
  read: (after: Place) => Promise<Page>
  /** Counts the bytes that the client has not read. */
  countUnread: (response: ServerResponse, bytes: number) => void
  /** When the credentials of the caller expire, in milliseconds since 1970. */
  until?: number | undefined
  /** Milliseconds between two comments, which tell client and proxies that the connection is alive. */
  heartbeat: number
  /** How many milliseconds a client may leave unread what was sent; 10 000 by default. */
  patience?: number
}

/** The longest that a timer of Node takes. */
const LONGEST = 2 ** 31 - 1
/** How many milliseconds a client waits before it connects again. */
const RETRY = 1000

export class EventStream {
  readonly #response: ServerResponse
  readonly #options: EventStreamOptions
  /** Up to where the client has all events that it asked for. */
  #place: Place
  /** Whether events are delivered to it. */
  #isFollowing = false
  #isOver = false
  /** Ends the wait for whatever the stream waits for. */
  #wake = () => {}
  #impatience: NodeJS.Timeout | undefined

  constructor(response: ServerResponse, place: Place, options: EventStreamOptions) {
    this.#response = response
    this.#place = place
    this.#options = options
  }

  /**
   * Sends events until the client leaves, the credentials expire or the service stops. Does not throw.
   *
   * @param missed The first page of what the client has missed, if it was read already.
   */
  async run(missed?: Page): Promise<void> {
    const { until, heartbeat } = this.#options
    const end = () => {
      this.#isOver = true
      this.#wake()
    }
    onOver(this.#response, end)
    this.#response.on('drain', () => this.#drained())
    const expiry = until === undefined ? undefined : setTimeout(end, Math.min(until - Date.now(), LONGEST))
    const beat = setInterval(() => this.#beat(), heartbeat)
    this.#write(`: events follow\nretry: ${RETRY}\nid: ${this.#place}\n\n`)
    try {
      if (missed !== undefined) await this.#sendPage(missed)
      let isBehind = missed !== undefined && missed.items.length > 0
      while (!this.#isOver) {
        if (isBehind) isBehind = !(await this.#catchUp())
        else {
          await this.#follow(end)
          isBehind = true
        }
      }
    } catch {
      // The client comes back, and reads the reason if it lasts.
    } finally {
      clearTimeout(expiry)
      clearTimeout(this.#impatience)
      clearInterval(beat)
      this.#options.countUnread(this.#response, 0)
      this.#response.end()
    }
  }

  /** Sends a page of what the client has missed. Returns whether there was nothing. */
  async #catchUp(): Promise<boolean> {
    const page = await this.#options.read(this.#place)
    await this.#sendPage(page)
    return page.items.length === 0
  }

  async #sendPage({ items, next }: Page) {
    if (this.#isOver) return
    this.#send(items)
    this.#place = next!
    await this.#untilRead()
  }

  /** Sends what happens, until the client does not keep up, or it is over. */
  async #follow(end: () => void) {
    const { follower, caller, filters } = this.#options
    const receive = (events: Found[]) => {
      if (!this.#isFollowing) return
      // It reads the rest from the database when it can take it: nothing piles up here.
      if (this.#response.writableNeedDrain) {
        this.#isFollowing = false
        return this.#wake()
      }
      this.#send(events)
      this.#place = events.at(-1)!.id
    }
    const stop = follower.follow(this.#place, { caller, filters, receive, end })
    if (stop === undefined) return
    this.#isFollowing = true
    while (this.#isFollowing && !this.#isOver) await this.#wait()
    this.#isFollowing = false
    stop()
    await this.#untilRead()
  }

  async #untilRead() {
    while (this.#response.writableNeedDrain && !this.#isOver) await this.#wait()
  }

  #wait() {
    return new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }

  #send(events: Found[]) {
    if (events.length === 0) return
    this.#write(events.map(({ id, type, json }) => `id: ${id}\nevent: ${type}\ndata: ${json}\n\n`).join(''))
  }

  #beat() {
    if (this.#response.writableNeedDrain) return
    // A client whose events are rare continues here, not where the last one was.
    const { delivered } = this.#options.follower
    if (this.#isFollowing && delivered !== undefined && delivered > this.#place) this.#place = delivered
    this.#write(`:\nid: ${this.#place}\n\n`)
  }

  #write(text: string) {
    const response = this.#response
    const hasRoom = response.write(text)
    this.#options.countUnread(response, response.writableLength)
    if (!hasRoom) this.#impatience ??= setTimeout(() => response.destroy(), this.#options.patience ?? 10_000)
  }

  #drained() {
    clearTimeout(this.#impatience)
    this.#impatience = undefined
    this.#options.countUnread(this.#response, 0)
    this.#wake()
  }
}
