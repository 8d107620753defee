/** Paths and methods that do not exist: 404 and 405. */
import { METHODS } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { ApiError } from './problem.js'

/**
 * Rejects unknown paths with 404 before the body is read, so that its media type does not matter. Returns a function that
 * adds 405 for the other methods of all known paths (RFC 9110, section 15.5.6); call it after all routes are registered.
 */
export function rejectUnknownRoutes(app: FastifyInstance) {
  app.addHook('onRequest', (request, _reply, done) => {
    done(request.is404 ? new ApiError('route_not_found') : undefined)
  })
  app.setNotFoundHandler(() => {
    throw new ApiError('route_not_found')
  })

  for (const method of METHODS) {
    if (!app.supportedMethods.includes(method) && method !== 'CONNECT') app.addHttpMethod(method)
  }
  const methods = new Map<string, string[]>()
  app.addHook('onRoute', ({ url, method }) => {
    methods.set(url, [...(methods.get(url) ?? []), ...[method].flat()])
  })
  return function rejectOtherMethods() {
    for (const [url, allowed] of [...methods]) {
      const names = allowed.sort().join(', ')
      app.route({
        url,
        method: app.supportedMethods.filter((method) => !allowed.includes(method)),
        schema: { hide: true },
        onRequest: (request) => {
          throw new ApiError(
            'method_not_allowed',
            `${request.method} is not allowed on this path. Allowed: ${names}.`,
            { allow: names },
          )
        },
        handler: () => {},
      })
    }
  }
}
