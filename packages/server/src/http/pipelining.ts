/**
 * Bounds the requests that a client sends without reading the responses (pipelining, RFC 9112, section 9.3.2). Node parses
 * all that has arrived on a socket, thousands of requests in one read, and keeps their responses until the client takes them.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import fp from 'fastify-plugin'
import { hold, release, shareBudget, spend } from './read-budget.js'

export interface PipeliningOptions {
  /** Most requests of one socket that are handled at a time. The next ones wait, and the socket is not read meanwhile. */
  perSocket?: number
  /** Most requests that wait on all sockets together, about 1 kB each; a socket that sends one more is closed. */
  waiting?: number
}

/**
 * Most requests of a socket that begin at once. The system accepts one connection in each turn of the event loop, so that long
 * ones delay new clients.
 */
const AT_ONCE = 4
/** Most requests that were held back, of all sockets, that begin in one turn: a new connection waits for a turn of each one before it. */
const PER_TURN = 16
/** They wait for so many turns at most while each turn accepts a connection. */
const ACCEPTING_TURNS = 64

/** Properties in place of a map and of a listener, which are several objects for every request. */
const QUEUE = Symbol('queue')
const OVER = Symbol('over')

declare module 'node:net' {
  interface Socket {
    [QUEUE]?: Queue
    /** Node's parser of HTTP. */
    parser?: { onIncoming: OnIncoming } | null
  }
}
declare module 'node:http' {
  interface IncomingMessage {
    /** Whether what follows is not HTTP any more. */
    upgrade?: boolean
  }
  interface ServerResponse {
    [OVER]?: (() => void) | undefined
  }
}

/** Begins a request whose headers have been parsed. Returns how the parser goes on: 0 to parse a body, if there is one. */
type OnIncoming = (request: IncomingMessage, keepAlive: boolean) => number

/** Begins requests that were held back, in turns. */
class Turns {
  readonly perSocket: number
  readonly #most: number
  #waiting = 0
  /** The queues that may begin a request. */
  readonly #ready = new Set<Queue>()
  #scheduled = false
  /** Whether a connection was accepted in this turn, and how many turns before it only accepted some. */
  #hasAccepted = false
  #acceptingTurns = 0

  constructor({ perSocket = 32, waiting = 16_000 }: PipeliningOptions) {
    this.perSocket = perSocket
    this.#most = waiting
  }

  get isFull() {
    return this.#waiting >= this.#most
  }

  /** Counts requests that wait, or that wait no longer. */
  count(waiting: number) {
    this.#waiting += waiting
  }

  /** Counts a new connection. */
  accept() {
    this.#hasAccepted = true
  }

  add(queue: Queue) {
    this.#ready.add(queue)
    this.#schedule()
  }

  #schedule() {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#begin())
  }

  #begin() {
    this.#scheduled = false
    const waits = this.#hasAccepted && this.#acceptingTurns < ACCEPTING_TURNS
    this.#acceptingTurns = waits ? this.#acceptingTurns + 1 : 0
    this.#hasAccepted = false
    if (waits) return this.#schedule()
    let begun = 0
    for (const queue of [...this.#ready]) {
      if (begun >= PER_TURN) return this.#schedule()
      this.#ready.delete(queue)
      begun += queue.beginNext()
    }
  }
}

/** The requests of one socket. */
class Queue {
  readonly #socket: Socket
  readonly #begin: OnIncoming
  readonly #turns: Turns
  /** The responses of those that have begun. */
  readonly #handled: ServerResponse[] = []
  #waiting: { request: IncomingMessage; keepAlive: boolean }[] = []

  constructor(socket: Socket, begin: OnIncoming, turns: Turns) {
    this.#socket = socket
    this.#begin = begin
    this.#turns = turns
  }

  /** Begins a request, or holds it back: it has no response yet, which takes more memory than the request. */
  readonly receive: OnIncoming = (request, keepAlive) => {
    const isFree =
      this.#waiting.length === 0 && this.#handled.length < Math.min(AT_ONCE, this.#turns.perSocket)
    // Node closes the socket of a CONNECT.
    if (isFree || request.method === 'CONNECT') return this.#begin(request, keepAlive)
    if (this.#turns.isFull) return this.#stop(request)
    this.#hold(request, keepAlive)
    return 0
  }

  /** Closes the socket. Node would parse the rest of what it has read, but not after a change of protocol. */
  #stop(request: IncomingMessage): number {
    this.#socket.destroy()
    request.upgrade = true
    return 2
  }

  add(response: ServerResponse) {
    this.#handled.push(response)
  }

  finish(response: ServerResponse) {
    this.#handled.splice(this.#handled.indexOf(response), 1)
    response[OVER]?.()
    if (this.#waiting.length > 0) this.#turns.add(this)
  }

  /** Node emits nothing for responses that wait behind the one that is being written. */
  close() {
    this.#turns.count(-this.#waiting.length)
    this.#waiting = []
    for (const response of this.#handled) response[OVER]?.()
  }

  /** Begins the next requests, if there are any and their socket has not too many. Returns their number. */
  beginNext(): number {
    if (this.#waiting.length === 0) return 0
    const next = this.#waiting.splice(0, Math.min(AT_ONCE, this.#turns.perSocket - this.#handled.length))
    this.#turns.count(-next.length)
    for (const { request, keepAlive } of next) this.#begin(request, keepAlive)
    if (this.#waiting.length === 0) release(this.#socket)
    else if (this.#handled.length < this.#turns.perSocket) this.#turns.add(this)
    return next.length
  }

  #hold(request: IncomingMessage, keepAlive: boolean) {
    spend(this.#socket)
    this.#turns.count(1)
    this.#waiting.push({ request, keepAlive })
    if (this.#waiting.length > 1) return
    hold(this.#socket)
    this.#turns.add(this)
  }
}

/** Holds back requests of a socket that has too many, before they are counted, timed or looked at. */
export const pipelining = fp<PipeliningOptions>(
  async ({ server }, options) => {
    const turns = new Turns(options)
    server.on('connection', (socket: Socket) => {
      turns.accept()
      const parser = socket.parser!
      const queue = new Queue(socket, parser.onIncoming, turns)
      socket[QUEUE] = queue
      parser.onIncoming = queue.receive
      shareBudget(socket)
      socket.once('close', () => queue.close())
    })
    const add = (request: IncomingMessage, response: ServerResponse) => {
      request.socket[QUEUE]!.add(response)
      response.on('close', finish)
    }
    // Before Fastify's own listener, whose hooks use onOver().
    server.prependListener('request', add)
    server.prependListener('checkExpectation', add)
  },
  { name: 'pipelining' },
)

function finish(this: ServerResponse) {
  this.req.socket[QUEUE]!.finish(this)
}

/**
 * Calls back once a response is sent, or lost with its socket. Node emits `close` for the response that is being written,
 * and nothing for those that wait behind it. The callbacks may be called twice. Needs {@link pipelining}.
 */
export function onOver(response: ServerResponse, callback: () => void) {
  // A simulated request has no queue, nor a socket.
  if (response.req.socket?.[QUEUE] === undefined) return void response.once('close', callback)
  const previous = response[OVER]
  response[OVER] =
    previous === undefined
      ? callback
      : () => {
          previous()
          callback()
        }
}
