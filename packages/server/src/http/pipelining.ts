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

/** The requests of one socket: the responses of those that are handled, and how those that wait go on. */
interface Queue {
  handled: Set<ServerResponse>
  waiting: (() => void)[]
}

/** Holds back requests of a socket that has too many. Registered before all hooks that count time or do work. */
export const pipelining = fp<PipeliningOptions>(
  async (app, { perSocket = 32, waiting: mostWaiting = 4000 }) => {
    const queues = new WeakMap<Socket, Queue>()
    let waiting = 0

    const createQueue = (socket: Socket): Queue => {
      const queue: Queue = { handled: new Set(), waiting: [] }
      queues.set(socket, queue)
      socket.once('close', () => {
        waiting -= queue.waiting.length
        queue.waiting = []
        for (const response of queue.handled) response.emit(OVER)
      })
      return queue
    }

    app.addHook('onRequest', (request, reply, done) => {
      const { socket } = request.raw
      const queue = queues.get(socket) ?? createQueue(socket)
      const handle = () => {
        queue.handled.add(reply.raw)
        reply.raw.once('close', () => {
          queue.handled.delete(reply.raw)
          reply.raw.emit(OVER)
          const next = queue.waiting.shift()
          if (next === undefined) return
          waiting--
          if (queue.waiting.length === 0) socket.resume()
          next()
        })
        done()
      }
      if (queue.handled.size < perSocket) return handle()
      if (waiting >= mostWaiting) return void socket.destroy()
      waiting++
      queue.waiting.push(handle)
      socket.pause()
    })
  },
  { name: 'pipelining' },
)

const OVER = Symbol('over')

/**
 * Calls back once when a response is sent, or lost with its socket. Node emits `close` for the response that is being written,
 * and nothing for those that wait behind it. Needs {@link pipelining}.
 */
export const onceOver = (response: ServerResponse, callback: () => void) => response.once(OVER, callback)
