/**
 * Admission control: so many requests are at the database at once as keep it busy, some wait for a short time, and the
 * rest is refused at once, which costs little. Without it, an overload fills the memory with requests whose callers have
 * long given up.
 */
import type { FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { ApiError } from './problem.js'

/**
 * What a request costs the database: `none` when it does not wait for a place there, `ordinary` when it reads a few hundred
 * rows at most, `scan` when it may read a whole table.
 */
export type Load = 'none' | 'ordinary' | 'scan'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route costs. Routes behind {@link admission} must say it; all others are `none`. */
    load?: Load | ((request: FastifyRequest) => Load)
  }
}

/** The load of a list: a scan, unless it is limited to sessions or to a batch. */
export function loadOfList({ query, caller }: FastifyRequest): Load {
  const { session_id, batch_id } = query as { session_id?: string; batch_id?: string }
  return (session_id ?? batch_id ?? caller.sessions) === undefined ? 'scan' : 'ordinary'
}

/**
 * Requests at the database for each connection: the driver sends the next statements while one is answered, several in
 * one write.
 */
const PER_CONNECTION = 4
/**
 * The part of the connections for lists of everything, of which one may always run: PostgreSQL gives each several cores,
 * and two at once leave those who ask for one task nothing where there are few.
 */
const PART_FOR_SCANS = 1 / 10
/** Most requests that wait, of either kind. */
const MOST_WAITING = 500
/**
 * How many milliseconds the first in the queue has waited when no more are let in: those who come then are refused before
 * they are read, which costs a small part of reading them.
 */
const LONG_WAIT = { ordinary: 250, scan: 4000 }
/** After how many milliseconds one that waits is refused, when nothing moves: it does better to come again. */
const LONGEST_WAIT = { ordinary: 500, scan: 5000 }

/** Always the same one: to note where an error comes from costs more than all the rest of a refusal. */
const overloaded = new ApiError('overloaded')

type Kind = Exclude<Load, 'none'>

/** One that waits, since when in milliseconds of the process, and how to end that. */
interface Turn {
  since: number
  begin: () => void
  refuse: (reason: ApiError) => void
}

/** Why work is refused: too much waits already, it waited too long itself, or its caller went away meanwhile. */
type Reason = 'full' | 'late' | 'gone'

/**
 * Lets work begin in the order in which it came, as far as there are places.
 *
 * A scan reads a whole table, and what the driver sends behind it on the same connection waits for all of that. So few
 * scans run at once, and while one does, everything else has a connection of its own, too.
 */
export class Gate {
  readonly #connections: number
  readonly #mostScans: number
  readonly #running = { ordinary: 0, scan: 0 }
  readonly #waiting: Record<Kind, Turn[]> = { ordinary: [], scan: [] }
  /** Which kinds have a timer that looks for those who wait too long: one for all of them. */
  readonly #watched = { ordinary: false, scan: false }
  readonly #refused = { full: 0, late: 0, gone: 0 }

  constructor(poolSize: number) {
    // One connection is the database's own, for pings.
    this.#connections = Math.max(1, poolSize - 1)
    this.#mostScans = Math.max(1, Math.floor(poolSize * PART_FOR_SCANS))
  }

  /** Whether work would be refused now. */
  isFull(kind: Kind) {
    const waiting = this.#waiting[kind]
    const [first] = waiting
    if (first === undefined) return false
    return waiting.length >= MOST_WAITING || performance.now() - first.since > LONG_WAIT[kind]
  }

  /** Counts work that is not done, and answers the error that says so. */
  refuse(reason: Reason): ApiError {
    this.#refused[reason]++
    return overloaded
  }

  /** How much work runs, by kind. */
  get running(): Record<Kind, number> {
    return { ...this.#running }
  }

  /** How much work waits, by kind. */
  get waiting(): Record<Kind, number> {
    return { ordinary: this.#waiting.ordinary.length, scan: this.#waiting.scan.length }
  }

  /** How much work was refused so far, by reason. */
  get refused(): Record<Reason, number> {
    return { ...this.#refused }
  }

  /** Does the work when it is its turn; its place is free again when the work is really done, however it ends. */
  async run<T>(kind: Kind, work: () => Promise<T>): Promise<T> {
    if (kind === 'ordinary' && this.#isQuiet()) this.#running.ordinary++
    else await this.#turn(kind)
    try {
      return await work()
    } finally {
      this.#running[kind]--
      this.#admit()
    }
  }

  #turn(kind: Kind) {
    return new Promise<void>((begin, refuse) => {
      if (this.isFull(kind)) throw this.refuse('full')
      this.#waiting[kind].push({ since: performance.now(), begin, refuse })
      this.#watch(kind)
      this.#admit()
    })
  }

  /** Refuses the first in the queue when it has waited too long, and looks again when the next would have. */
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
        // One scan fewer that waits may mean more places for others.
        this.#admit()
      },
      Math.max(1, left),
    ).unref()
  }

  /** Whether there is a place and nobody waits for one: nearly always. */
  #isQuiet() {
    const { ordinary, scan } = this.#waiting
    return ordinary.length === 0 && scan.length === 0 && this.#hasPlace(this.#running.scan > 0)
  }

  /** Whether there is a place; `apart` from scans, all have a connection of their own. */
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
  /** Called with the work of each admitted request when its turn comes, to observe it; it returns what the work returns. */
  observe?: <T>(request: FastifyRequest, work: () => Promise<T>) => Promise<T>
}

/**
 * Admits requests to the database. Every route that is registered after it says its {@link Load}.
 *
 * It wraps handlers, which a hook cannot replace: after a deadline, the response is sent while the statement still runs, and
 * the place is taken until that ends.
 */
export const admission = fp<AdmissionOptions>(
  async (api, { gate, observe = (_request, work) => work() }) => {
    // Before the body is read. A request that passes here still needs a place when its handler is to run.
    api.addHook('onRequest', (request, _reply, done) => {
      const kind = loadOf(request)
      done(kind !== 'none' && gate.isFull(kind) ? gate.refuse('full') : undefined)
    })
    api.addHook('onRoute', (route: RouteOptions) => {
      if (route.config?.load === undefined) throw new Error(`${route.method} ${route.url} has no config.load`)
      const { handler } = route
      // The route for HEAD has the handler of the one for GET, which is wrapped already.
      if (route.method === 'HEAD' || route.config.load === 'none') return
      route.handler = function (request, reply) {
        return gate.run(loadOf(request) as Kind, () => {
          if (request.socket.destroyed) throw gate.refuse('gone')
          return observe(request, () => handler.call(this, request, reply) as Promise<unknown>)
        })
      }
    })
  },
  { name: 'admission' },
)

/** What a request costs, as its route says. */
export function loadOf(request: FastifyRequest): Load {
  const { load = 'none' } = request.routeOptions.config
  return typeof load === 'function' ? load(request) : load
}
