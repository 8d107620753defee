/** How long a request may take. */
import type { FastifyInstance } from 'fastify'
import { ApiError } from './problem.js'

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
