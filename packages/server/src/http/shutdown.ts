/** Closes connections when the service stops, and open files when their connection ends. */
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'

/**
 * Closes the files that `app` sends when their connection closes. With pipelining, a response is queued until the client
 * has read the one before it. If the connection closes first, Node drops the queued response without closing its file.
 */
export function closeFiles(app: FastifyInstance) {
  app.addHook('onSend', ({ socket }, _reply, payload, done) => {
    if (payload instanceof Readable) {
      // One listener for each pipelined request.
      socket.setMaxListeners(0)
      const close = () => payload.destroy()
      socket.once('close', close)
      payload.once('close', () => socket.removeListener('close', close))
    }
    done(null, payload)
  })
}

/**
 * At shutdown, closes connections that never sent a request at once, and all others after the response in flight.
 * As soon as `stopping` is aborted, every response closes its connection, so that few are open when the service stops
 * listening.
 */
export function closePromptly(app: FastifyInstance, stopping: AbortSignal | undefined) {
  let closing = false
  const unused = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => {
    unused.add(socket)
    socket.once('close', () => unused.delete(socket))
  })
  app.server.on('request', ({ socket }) => unused.delete(socket))
  app.addHook('preClose', async () => {
    closing = true
    for (const socket of unused) socket.destroy()
  })
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (closing || stopping?.aborted) reply.header('connection', 'close')
    done(null, payload)
  })
}
