/**
 * Admission control: a limited number of requests use the database at once, a limited number wait for a short time, and
 * the rest are rejected immediately, which costs little. Without it, an overload fills the memory with requests whose
 * callers have already given up.
 */
import type { ServerResponse } from 'node:http'
import type { FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { onOver } from './pipelining.js'
import { ApiError } from './problem.js'

/**
 * What a request costs the database: `none` if it does not go through admission, `ordinary` if it reads a few hundred rows
 * at most, `scan` if it may read a whole table.
 */
export type Load = 'none' | 'ordinary' | 'scan'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * What the route costs. Required for routes behind {@link admission}; all others are `none`. If it depends on the request,
     * it is a function. The handler of an ordinary one may return {@link needsScan}, and one that waits admits its reads itself.
     */
    load?: Load | ((request: FastifyRequest) => Load)
  }
  interface FastifyRequest {
    /** What the request may cost now, behind {@link admission}. */
    load: Load
  }
}

/** For a handler that would read more than an ordinary request may, to return: it runs again, as a scan. */
export function needsScan(request: FastifyRequest): void {
  request.load = 'scan'
}

/** The most rows that an ordinary request reads, apart from those that it changes. */
export const MOST_ROWS = 1000

/**
 * The load of a list: a scan, unless it is limited to sessions, a batch or ids and its page is among the first rows. Whether these
 * have more than {@link MOST_ROWS} is not known yet. A search is a scan: with 100 words in 1000 long tasks, it takes seconds.
 */
export function loadOfList({ query, caller }: FastifyRequest): Load {
  // Not validated yet when admission looks for the first time.
  const { session_id, batch_id, ids, q, page = 1, limit = 10 } = query as Record<string, string | undefined>
  if (q !== undefined) return 'scan'
  if ((session_id ?? batch_id ?? ids ?? caller.sessions) === undefined) return 'scan'
  return Number(page) * Number(limit) > MOST_ROWS ? 'scan' : 'ordinary'
}

/** Requests that use one connection at once. The driver pipelines statements, and sends several in one write. */
const PER_CONNECTION = 4
/**
 * The share of the connections that scans may use, at least one. Each takes a core of PostgreSQL: on a small machine, two
 * at once would leave none for other requests.
 */
const PART_FOR_SCANS = 1 / 10
/** The maximum number of waiting requests of each kind. */
const MOST_WAITING = 500
/**
 * If the first request in the queue has waited longer than this, in milliseconds, new requests are rejected before their
 * body is read, which costs much less than reading it.
 */
const LONG_WAIT = { ordinary: 250, scan: 4000 }
/** The maximum time in the queue, in milliseconds. A request that waits longer is rejected, so that its client retries. */
const LONGEST_WAIT = { ordinary: 500, scan: 5000 }

/** A response of more characters keeps its place at the database until it is written. */
const LARGE = 16 * 1024
/** The maximum time for that, in milliseconds: a client that reads slowly must not take the places of others. */
const LONGEST_WRITE = 100

/** One error for all rejections: recording a stack trace costs more than the rest of a rejection. */
const overloaded = new ApiError('overloaded')

type Kind = Exclude<Load, 'none'>

/** A waiting request, with the time since when it waits (`performance.now()`) and callbacks that end the wait. */
interface Turn {
  since: number
  begin: () => void
  refuse: (reason: ApiError) => void
}

/** Why work is rejected: the queue was full, it waited too long, or its client disconnected meanwhile. */
type Reason = 'full' | 'late' | 'gone'

/**
 * Starts work in order of arrival, while there is capacity.
 *
 * A scan reads a whole table. Statements queued behind it on the same connection wait until it finishes. So few scans run
 * at once, and while one runs, no connection is shared.
 */
export class Gate {
  readonly #connections: number
  readonly #mostScans: number
  readonly #running = { ordinary: 0, scan: 0 }
  readonly #waiting: Record<Kind, Turn[]> = { ordinary: [], scan: [] }
  /** Which kinds have a timer that rejects work that waits too long: one timer for each kind. */
  readonly #watched = { ordinary: false, scan: false }
  /** Whether waiting work will be started in the next turn of the event loop. */
  #leaving = false
  readonly #refused = { full: 0, late: 0, gone: 0 }

  constructor(poolSize: number) {
    // One connection is reserved for health checks.
    this.#connections = Math.max(1, poolSize - 1)
    this.#mostScans = Math.max(1, Math.floor(poolSize * PART_FOR_SCANS))
  }

  /** Whether new work of this kind would be rejected now. */
  isFull(kind: Kind) {
    const waiting = this.#waiting[kind]
    const [first] = waiting
    if (first === undefined) return false
    return waiting.length >= MOST_WAITING || performance.now() - first.since > LONG_WAIT[kind]
  }

  /** Counts a rejection, and returns the error to throw. */
  refuse(reason: Reason): ApiError {
    this.#refused[reason]++
    return overloaded
  }

  /** The amount of running work, by kind. */
  get running(): Record<Kind, number> {
    return { ...this.#running }
  }

  /** The amount of waiting work, by kind. */
  get waiting(): Record<Kind, number> {
    return { ordinary: this.#waiting.ordinary.length, scan: this.#waiting.scan.length }
  }

  /** The number of rejections so far, by reason. */
  get refused(): Record<Reason, number> {
    return { ...this.#refused }
  }

  /**
   * Runs the work when there is capacity. The capacity is released when its promise settles, also if it fails. If the result is
   * the text of a large response, it is released when that is written, or after {@link LONGEST_WRITE}.
   */
  async run<T>(kind: Kind, work: () => Promise<T>, response?: ServerResponse): Promise<T> {
    if (kind === 'ordinary' && this.#isQuiet()) this.#running.ordinary++
    else await this.#turn(kind)
    let result: T
    try {
      result = await work()
    } catch (error) {
      this.#leave(kind)
      throw error
    }
    if (response !== undefined && typeof result === 'string' && result.length > LARGE)
      this.#leaveOnceWritten(kind, response)
    else this.#leave(kind)
    return result
  }

  #leave(kind: Kind) {
    this.#running[kind]--
    if (this.#leaving || (this.#waiting.ordinary.length === 0 && this.#waiting.scan.length === 0)) return
    // Not at once: the embedded database runs all statements that it is given in one turn of the event loop.
    this.#leaving = true
    setImmediate(() => {
      this.#leaving = false
      this.#admit()
    })
  }

  #leaveOnceWritten(kind: Kind, response: ServerResponse) {
    let left = false
    const leave = () => {
      if (left) return
      left = true
      clearTimeout(timer)
      this.#leave(kind)
    }
    const timer = setTimeout(leave, LONGEST_WRITE).unref()
    onOver(response, leave)
  }

  #turn(kind: Kind) {
    return new Promise<void>((begin, refuse) => {
      if (this.isFull(kind)) throw this.refuse('full')
      this.#waiting[kind].push({ since: performance.now(), begin, refuse })
      this.#watch(kind)
      this.#admit()
    })
  }

  /** Sets a timer that rejects waiting work after {@link LONGEST_WAIT}, and sets itself again while any waits. */
  #watch(kind: Kind) {
    const [first] = this.#waiting[kind]
    if (first === undefined || this.#watched[kind]) return
    this.#watched[kind] = true
    const left = first.since + LONGEST_WAIT[kind] - performance.now()
    setTimeout(
      () => {
        this.#watched[kind] = false
        const waiting = this.#waiting[kind]
        const latest = performance.now() - LONGEST_WAIT[kind]
        while (waiting[0] !== undefined && waiting[0].since <= latest)
          waiting.shift()!.refuse(this.refuse('late'))
        this.#watch(kind)
        // Fewer waiting scans can mean more capacity for ordinary work.
        this.#admit()
      },
      Math.max(1, left),
    ).unref()
  }

  /** Whether there is capacity and nothing waits for it, which is nearly always true. */
  #isQuiet() {
    const { ordinary, scan } = this.#waiting
    return ordinary.length === 0 && scan.length === 0 && this.#hasPlace(this.#running.scan > 0)
  }

  /** Whether there is capacity. With `apart`, each request needs a connection of its own, because of a scan. */
  #hasPlace(apart: boolean) {
    const places = this.#connections * (apart ? 1 : PER_CONNECTION)
    return this.#running.ordinary + this.#running.scan < places
  }

  #admit() {
    for (;;) {
      const scanIsNext = this.#waiting.scan.length > 0 && this.#running.scan < this.#mostScans
      if (!this.#hasPlace(scanIsNext || this.#running.scan > 0)) return
      const kind = scanIsNext ? 'scan' : 'ordinary'
      const next = this.#waiting[kind].shift()
      if (next === undefined) return
      this.#running[kind]++
      next.begin()
    }
  }
}

export interface AdmissionOptions {
  gate: Gate
  /** Wraps the work of each admitted request, to observe it. It must return what the work returns. */
  observe?: <T>(request: FastifyRequest, work: () => Promise<T>) => Promise<T>
}

/**
 * Limits the requests that use the database. Every route that is registered after it must declare its {@link Load}.
 *
 * It wraps handlers, because a hook cannot do this: after a timeout, the response is sent while the statement still runs,
 * and the capacity must stay in use until the statement ends.
 */
export const admission = fp<AdmissionOptions>(
  async (api, { gate, observe = (_request, work) => work() }) => {
    api.decorateRequest('load', 'none')
    // Before the body is read. A request that passes here still needs capacity before its handler runs.
    api.addHook('onRequest', (request, _reply, done) => {
      const load = loadOf(request)
      request.load = load
      done(load !== 'none' && gate.isFull(load) ? gate.refuse('full') : undefined)
    })
    api.addHook('onRoute', (route: RouteOptions) => {
      if (route.config?.load === undefined) throw new Error(`${route.method} ${route.url} has no config.load`)
      const { handler } = route
      // The HEAD route uses the handler of the GET route, which is wrapped already.
      if (route.method === 'HEAD' || route.config.load === 'none') return
      const admitted: typeof handler = function (request, reply) {
        if (request.load === 'none') return handler.call(this, request, reply)
        const work = () => {
          if (request.socket.destroyed) throw gate.refuse('gone')
          return observe(request, () => handler.call(this, request, reply) as Promise<unknown>)
        }
        return gate.run(request.load as Kind, work, reply.raw)
      }
      route.handler =
        typeof route.config.load === 'string'
          ? admitted
          : async function (request, reply) {
              const { load } = request
              const response = await admitted.call(this, request, reply)
              return request.load === load ? response : admitted.call(this, request, reply)
            }
    })
  },
  { name: 'admission', dependencies: ['pipelining'] },
)

/** The load of a request, as declared by its route. */
function loadOf(request: FastifyRequest): Load {
  const { load = 'none' } = request.routeOptions.config
  return typeof load === 'function' ? load(request) : load
}
