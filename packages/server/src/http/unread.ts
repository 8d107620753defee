/** Bounds the responses that clients request and do not read, on all connections together. */
import type { ServerResponse } from 'node:http'
import fp from 'fastify-plugin'
import { onOver } from './pipelining.js'

export interface UnreadOptions {
  /** The most bytes of large responses that wait to be written. */
  most?: number
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Counts bytes of a response that wait to be written, in place of those counted for it before; 0 when it is read. */
    countUnread: (response: ServerResponse, bytes: number) => void
  }
}

/** Responses of fewer characters are not counted: the requests of a socket are limited. */
const SMALL = 16 * 1024

/**
 * Closes the connection that has been waiting longest while more bytes than {@link UnreadOptions.most} are unread. Needs
 * {@link pipelining}, and no compression of responses.
 */
export const limitUnread = fp<UnreadOptions>(
  async (app, { most = 64 * 2 ** 20 }) => {
    /** In the order in which they were sent. */
    const unread = new Map<ServerResponse, number>()
    let total = 0
    const remove = (response: ServerResponse) => {
      total -= unread.get(response) ?? 0
      unread.delete(response)
    }
    const count = (response: ServerResponse, bytes: number) => {
      remove(response)
      if (bytes === 0) return
      unread.set(response, bytes)
      total += bytes
      while (total > most) {
        const [oldest] = unread.keys()
        remove(oldest!)
        oldest!.req.socket.destroy()
      }
    }
    app.decorate('countUnread', count)
    app.addHook('onSend', (_request, reply, payload, done) => {
      if (typeof payload === 'string' && payload.length > SMALL) {
        const response = reply.raw
        onOver(response, () => remove(response))
        count(response, Buffer.byteLength(payload))
      }
      done(null, payload)
    })
  },
  { name: 'unread', dependencies: ['pipelining'] },
)
