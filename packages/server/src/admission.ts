/**
 * Admission control: so many requests are at the database at once as keep it busy, some wait for a short time, and the
 * rest is refused at once, which costs little. Without it, an overload fills the memory with requests whose callers have
 * long given up.
 */
import type { FastifyInstance } from 'fastify'
import { ApiError } from './errors.js'

/** Requests at the database for each connection: the driver sends the next statement while one is answered. */
const PER_CONNECTION = 2
/** The part of the connections for lists of everything. */
const PART_FOR_SCANS = 1 / 4
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

type Kind = 'ordinary' | 'scan'

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
  readonly #waiting: Record<Kind, { since: number; begin: () => void }[]> = { ordinary: [], scan: [] }

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

  /** Does the work when it is its turn; its place is free again when the work is really done, however it ends. */
  async run<T>(kind: Kind, work: () => Promise<T>): Promise<T> {
    await this.#turn(kind)
    try {
      return await work()
    } finally {
      this.#running[kind]--
      this.#admit()
    }
  }

  #turn(kind: Kind) {
    return new Promise<void>((resolve, reject) => {
      if (this.isFull(kind)) throw overloaded
      const waiting = this.#waiting[kind]
      const begin = () => {
        clearTimeout(late)
        resolve()
      }
      const turn = { since: performance.now(), begin }
      const late = setTimeout(() => {
        waiting.splice(waiting.indexOf(turn), 1)
        reject(overloaded)
        // One scan fewer that waits may mean more places for others.
        this.#admit()
      }, LONGEST_WAIT[kind])
      waiting.push(turn)
      this.#admit()
    })
  }

  #admit() {
    for (;;) {
      const scanIsNext = this.#waiting.scan.length > 0 && this.#running.scan < this.#mostScans
      const apart = scanIsNext || this.#running.scan > 0
      const places = this.#connections * (apart ? 1 : PER_CONNECTION)
      if (this.#running.ordinary + this.#running.scan >= places) return
      const kind = scanIsNext ? 'scan' : 'ordinary'
      const next = this.#waiting[kind].shift()
      if (next === undefined) return
      this.#running[kind]++
      next.begin()
    }
  }
}

/** Puts a gate before the routes that are registered after it. */
export function limitConcurrency(api: FastifyInstance, poolSize: number) {
  const gate = new Gate(poolSize)
  // Before the body is read; what passes here has its place when the handler is to run.
  api.addHook('onRequest', (_request, _reply, done) => {
    done(gate.isFull('ordinary') ? overloaded : undefined)
  })
  api.addHook('onRoute', (route) => {
    // The route for HEAD has the handler of the one for GET, which is behind the gate already.
    if (route.method === 'HEAD') return
    const { handler } = route
    const lists = route.schema?.operationId?.startsWith('list')
    route.handler = function (request, reply) {
      const { session_id, batch_id } = request.query as { session_id?: string; batch_id?: string }
      const kind = lists && session_id === undefined && batch_id === undefined ? 'scan' : 'ordinary'
      return gate.run(kind, async () => {
        if (request.socket.destroyed) throw overloaded
        return handler.call(this, request, reply)
      })
    }
  })
}
