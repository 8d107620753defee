/** How long a request may take, and how connections end when the service stops. */
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { ApiError } from './errors.js'

/**
 * Answers a request that is not finished in time, database included, and cuts off who does not take the answer.
 * Fastify's own `handlerTimeout` forgets the time once a body has been read.
 */
export function boundRequests(app: FastifyInstance, milliseconds: number) {
  app.addHook('onRequest', (request, reply, done) => {
    const late = setTimeout(() => {
      // An answer that is there and still not taken.
      if (reply.sent) return void reply.raw.destroy()
      const arrived = request.raw.complete !== false
      reply.send(
        arrived
          ? new ApiError('timeout')
          : new ApiError('request_timeout', undefined, { connection: 'close' }),
      )
      // What the handler still brings is for nobody.
      reply.hijack()
    }, milliseconds)
    reply.raw.once('close', () => clearTimeout(late))
    done()
  })
}

/**
 * Closes the files that `app` answers with their connection. Node forgets the answers that wait on it behind another one,
 * and with them their files, when who asked for them reads nothing.
 */
export function closeFiles(app: FastifyInstance) {
  app.addHook('onSend', ({ socket }, _reply, payload, done) => {
    if (payload instanceof Readable) {
      // Many requests may wait on one connection.
      socket.setMaxListeners(0)
      const close = () => payload.destroy()
      socket.once('close', close)
      payload.once('close', () => socket.removeListener('close', close))
    }
    done(null, payload)
  })
}

/**
 * At shutdown, connections end with the answer in flight on them, and those on which nothing was asked yet at once.
 * Once `stopping` is aborted, connections end with the next answer: nobody is on one when the service stops listening.
 */
export function closePromptly(app: FastifyInstance, stopping: AbortSignal | undefined) {
  let closing = false
  const silent = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => {
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
  })
  app.server.on('request', ({ socket }) => silent.delete(socket))
  app.addHook('preClose', async () => {
    closing = true
    for (const socket of silent) socket.destroy()
  })
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (closing || stopping?.aborted) reply.header('connection', 'close')
    done(null, payload)
  })
}
