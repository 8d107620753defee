/** The page at /docs: Swagger UI. A server of its own inside the service, so that it can be loaded at the first request. */
import swaggerUi from '@fastify/swagger-ui'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import { handleError } from './error-handler.js'
import { ApiError } from './problem.js'
import { closeFiles } from './shutdown.js'

/** A value of the OpenAPI document. */
type Value = string | number | boolean | null | Value[] | { [name: string]: Value }

/** In the browser. */
declare const SwaggerUIBundle: { plugins: { DownloadUrl: (toolbox: object) => object } }

/**
 * A plugin of Swagger UI that resolves the references of an operation. Its own resolver for OpenAPI 3.1 parses the whole document for
 * each operation that is opened, which takes seconds (swagger-api/swagger-ui issue 10748).
 *
 * Runs in the browser, as the text of this function, which must not use anything outside of it. Functions inside are methods: to
 * other functions, compilers add calls that keep their names.
 */
const resolver = (toolbox: object) => ({
  // What it has without a list of plugins.
  ...SwaggerUIBundle.plugins.DownloadUrl(toolbox),
  fn: {
    async resolveSubtree(document: Value, path: string[]) {
      const tools = {
        at(keys: string[]) {
          let value: Value | undefined = document
          for (const key of keys) value = value?.[key as keyof Value]
          return value
        },
        /** `within`: the references that lead here. A circular one stays. */
        resolve(value: Value | undefined, within: string[] = []): Value | undefined {
          if (typeof value !== 'object' || value === null) return value
          const { $ref, ...rest } = value as { [name: string]: Value }
          if (typeof $ref === 'string' && !within.includes($ref)) {
            const target = tools.at($ref.split('/').slice(1)) as object
            return tools.resolve({ ...target, ...rest, $$ref: $ref }, [...within, $ref])
          }
          const copy: Value = Array.isArray(value) ? [] : {}
          for (const [name, item] of Object.entries(value))
            Object.assign(copy, { [name]: tools.resolve(item, within) })
          return copy
        },
      }
      return { spec: tools.resolve(tools.at(path)), errors: [] }
    },
  },
})

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
      plugins: [resolver],
      tryItOutEnabled: true,
      displayRequestDuration: true,
      defaultModelsExpandDepth: 0,
    },
    theme: { title: 'AKLP Task Service' },
  })
  await app.ready()
  return app
}
