/** The page at /docs: Swagger UI. A server of its own inside the service, so that it can be loaded at the first request. */
import swaggerUi from '@fastify/swagger-ui'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import { handleError } from './error-handler.js'
import { ApiError } from './problem.js'
import { closeFiles } from './shutdown.js'

/** Returns the server. Requests have passed the hooks of the service already, and have its request id as a header. */
export async function createDocs() {
  const app = Fastify({
    requestIdHeader: 'x-request-id',
    routerOptions: { ignoreTrailingSlash: true },
  })
  app.setErrorHandler(handleError)
  app.setNotFoundHandler(() => {
    throw new ApiError('route_not_found')
  })
  closeFiles(app)
  // Swagger UI requires the plugin that writes the document. The service has it, and serves the document itself.
  await app.register(fp(async () => {}, { name: '@fastify/swagger' }))
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    // All files are served from here. The default policy would also upgrade http to https, where nothing listens.
    staticCSP:
      "default-src 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'",
    uiConfig: {
      layout: 'BaseLayout',
      tryItOutEnabled: true,
      displayRequestDuration: true,
      defaultModelsExpandDepth: 0,
    },
    theme: { title: 'AKLP Task Service' },
  })
  await app.ready()
  return app
}
