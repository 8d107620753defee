/**
 * Bounds the requests that a client sends without reading the responses (pipelining, RFC 9112, section 9.3.2). Node parses
 * all that has arrived on a socket, thousands of requests in one read, and keeps their responses until the client takes them.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import fp from 'fastify-plugin'

export interface PipeliningOptions {
  /** Most requests of one socket that are handled at a time. The next ones wait, and the socket is not read meanwhile. */
  perSocket?: number
  /** Most requests that wait on all sockets together, some 10 kB each; a socket that sends one more is closed. */
  waiting?: number
}

/** A property in place of a listener, which is several objects for every request. */
const OVER = Symbol('over')

declare module 'node:http' {
  interface ServerResponse {
    [OVER]?: () => void
  }
}

/** The requests of one socket. */
interface Queue {
  handled: ServerResponse[]
  /** Those that are held back, and how each goes on. */
  waiting: { response: ServerResponse; proceed: () => void }[]
}

/** Holds back requests of a socket that has too many. Registered before all hooks that count time or do work. */
export const pipelining = fp<PipeliningOptions>(
  async (app, { perSocket = 32, waiting: mostWaiting = 4000 }) => {
    const queues = new WeakMap<Socket, Queue>()
    let waiting = 0

    const createQueue = (socket: Socket): Queue => {
      const queue: Queue = { handled: [], waiting: [] }
      queues.set(socket, queue)
      socket.once('close', () => {
        waiting -= queue.waiting.length
        queue.waiting = []
        for (const response of queue.handled) response[OVER]?.()
      })
      return queue
    }

    const handle = (queue: Queue, response: ServerResponse, proceed: () => void) => {
      queue.handled.push(response)
      response.on('close', finish)
      proceed()
    }

    function finish(this: ServerResponse) {
      const queue = queues.get(this.req.socket)!
      queue.handled.splice(queue.handled.indexOf(this), 1)
      this[OVER]?.()
      const next = queue.waiting.shift()
      if (next === undefined) return
      waiting--
      if (queue.waiting.length === 0) this.req.socket.resume()
      handle(queue, next.response, next.proceed)
    }

    app.addHook('onRequest', (request, reply, proceed) => {
      const { socket } = request.raw
      const queue = queues.get(socket) ?? createQueue(socket)
      if (queue.handled.length < perSocket) return handle(queue, reply.raw, proceed)
      if (waiting >= mostWaiting) return void socket.destroy()
      waiting++
      queue.waiting.push({ response: reply.raw, proceed })
      socket.pause()
    })
  },
  { name: 'pipelining' },
)

/**
 * Calls back once a response is sent, or lost with its socket. Node emits `close` for the response that is being written,
 * and nothing for those that wait behind it. A response has one callback, which may be called twice. Needs
 * {@link pipelining}.
 */
export const onOver = (response: ServerResponse, callback: () => void) => {
  response[OVER] = callback
}
