/** How connections end, with what is open for them, and when the service stops. */
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'

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
