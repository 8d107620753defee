/** How long a request may take. */
import fp from 'fastify-plugin'
import { onOver } from './pipelining.js'
import { ApiError } from './problem.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Milliseconds that a request may take, in place of those of {@link deadlines}; `false` for no limit. */
    deadline?: number | false
  }
}

/**
 * Responds with 503 to a request that is not finished in time, database included, and closes the connection of a client
 * that does not read its response. Fastify's own `handlerTimeout` no longer applies once a body has been read.
 */
export const deadlines = fp<{ milliseconds: number }>(
  async (app, { milliseconds }) => {
    app.addHook('onRequest', (request, reply, done) => {
      const { deadline = milliseconds } = request.routeOptions.config
      if (deadline === false) return done()
      const timer = setTimeout(() => {
        // A response that is there and still not read.
        if (reply.sent) return void reply.raw.destroy()
        const arrived = request.raw.complete !== false
        reply.send(
          arrived
            ? new ApiError('timeout')
            : new ApiError('request_timeout', undefined, { connection: 'close' }),
        )
        // What the handler still returns is for nobody.
        reply.hijack()
      }, deadline)
      onOver(reply.raw, () => clearTimeout(timer))
      done()
    })
  },
  { name: 'deadlines', dependencies: ['pipelining'] },
)
