/** Builds the application: the same one in production, in tests, and where only its OpenAPI document is wanted. */

import { randomUUID } from 'node:crypto'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { type AuthenticateOptions, authenticate } from './access/authenticate.js'
import { batchRoutes } from './batches/routes.js'
import { batchComponents, batchSynonyms } from './batches/schemas.js'
import { createBatchStore } from './batches/store.js'
import type { Database, StoreDb } from './db/database.js'
import { driverError } from './db/failures.js'
import { admission, Gate } from './http/admission.js'
import { parseOnlyJson } from './http/body.js'
import { handleClientError } from './http/client-error.js'
import { cors } from './http/cors.js'
import { handleError } from './http/error-handler.js'
import { Health, healthRoutes } from './http/health.js'
import { refuseUnknownRoutes } from './http/not-found.js'
import { openapi } from './http/openapi.js'
import { pageSynonyms } from './http/paging.js'
import { ApiError, Problem } from './http/problem.js'
import { JSON_TYPE, Strict } from './http/schemas.js'
import { secureResponses, securityHeaders } from './http/security-headers.js'
import { closePromptly } from './http/shutdown.js'
import { deadlines } from './http/timeouts.js'
import { validateStrictly } from './http/validation.js'
import { version } from './http/version.js'
import { createIdempotency } from './idempotency/record.js'
import { taskRoutes } from './tasks/routes.js'
import { taskComponents } from './tasks/schemas.js'
import { createTaskStore } from './tasks/store.js'
import { taskSynonyms } from './tasks/synonyms.js'
import { RequestLog, silentLogger } from './telemetry/logging.js'
import { Metrics } from './telemetry/metrics.js'
import { metricsRoute } from './telemetry/prometheus.js'

const MAX_BODY_BYTES = 1024 * 1024
const NO_HOST = 'A request needs the header Host (RFC 9112, section 3.2).'

/** What an operator can set, apart from where the service listens and logs. */
export interface ServiceOptions {
  authentication: AuthenticateOptions
  /** Origins whose pages may call the service. */
  corsOrigins: readonly string[]
  /** Addresses and networks whose `X-Forwarded-For` is trusted. */
  trustedProxies: readonly string[]
  /** The timeout of a request, in milliseconds. */
  requestTimeout: number
  /** The most connections to the database. */
  poolSize: number
  /** For how many days an Idempotency-Key is remembered. */
  idempotencyKeyDays: number
  /** Whether to serve /docs and /openapi.json. */
  docs: boolean
  /** Whether to serve /metrics. */
  metrics: boolean
  /** The base URL of a collector that takes OTLP over HTTP. Without it, there are no traces. */
  traceEndpoint?: string
}

export interface AppOptions extends ServiceOptions {
  database: Pick<Database, 'ping'> & { db: StoreDb }
  /** Aborted when the service is about to stop: it says so to balancers, and goes on answering. */
  stopping?: AbortSignal
  /** The path that it is mounted below, as it stands in URLs; at the root unless given. */
  path?: string
  /** Where to log; nowhere unless given. */
  logger?: FastifyBaseLogger
}

export async function buildApp({
  database,
  stopping,
  path = '',
  logger = silentLogger,
  ...options
}: AppOptions): Promise<FastifyInstance> {
  const metrics = new Metrics()
  const requestLog = new RequestLog(metrics)
  const app = Fastify({
    loggerInstance: logger,
    logController: requestLog,
    requestIdHeader: false,
    genReqId: (request) => {
      const given = request.headers['x-request-id']
      return typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID()
    },
    bodyLimit: MAX_BODY_BYTES,
    ...(options.trustedProxies.length > 0 && { trustProxy: [...options.trustedProxies] }),
    // The bound on the arrival of a request, against senders that never finish.
    requestTimeout: options.requestTimeout,
    http: {
      // How often Node looks for requests that are late; every 30 seconds unless set. Those that are found at once are
      // answered at once, and everybody else waits for that.
      connectionsCheckingInterval: Math.min(options.requestTimeout, 100),
      // Node would refuse a request without Host with an empty answer; the hook below tells why.
      requireHostHeader: false,
    },
    // At shutdown, idle connections are closed and requests that still arrive on others are answered.
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    // An id that is too long is told so by the schema, like any other that is wrong.
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 16_384 },
    clientErrorHandler: handleClientError,
    // A path that cannot be decoded has no route, and so none of the hooks below.
    frameworkErrors: (error, request, reply) => {
      reply.headers({ 'x-request-id': request.id, ...securityHeaders })
      handleError(error, request, reply)
      requestLog.requestCompleted(null, request, reply)
    },
  }).withTypeProvider<TypeBoxTypeProvider>()

  const tracing =
    options.traceEndpoint === undefined
      ? undefined
      : (await import('./telemetry/tracing.js')).createTracing({
          endpoint: options.traceEndpoint,
          version,
          logger,
          errorType,
          ignore: (request) => request.routeOptions.config.load === 'none',
        })
  if (tracing) await app.register(tracing.requests)
  app.setErrorHandler(handleError)
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    const complete = request.raw.httpVersion !== '1.1' || request.headers.host !== undefined
    done(complete ? undefined : new ApiError('bad_request', NO_HOST, { connection: 'close' }))
  })
  await app.register(deadlines, { milliseconds: options.requestTimeout })
  closePromptly(app, stopping)
  await app.register(secureResponses)
  await app.register(cors, { origins: options.corsOrigins })
  const refuseOtherMethods = refuseUnknownRoutes(app)

  // Answers are JSON already, or small.
  app.setSerializerCompiler(() => JSON.stringify)
  parseOnlyJson(app)
  validateStrictly(app, [...taskComponents, ...batchComponents, Health, Problem], {
    ...pageSynonyms,
    ...taskSynonyms,
    ...batchSynonyms,
  })

  await app.register(openapi, { docs: options.docs, path })
  await app.register(healthRoutes, { ping: database.ping, stopping })
  const gate = new Gate(options.poolSize)
  if (options.metrics) {
    await app.register(metricsRoute, { version, metrics, load: gate, poolSize: options.poolSize })
  }
  await app.register(
    async (api) => {
      await api.register(authenticate, options.authentication)
      // An operation without parameters refuses them, too: a misspelt filter must not act on everything.
      api.addHook('onRoute', (route) => {
        route.schema = { querystring: Strict({}), ...route.schema }
      })
      await api.register(admission, { gate, observe: tracing?.database })
      // What the stores answer is JSON already.
      api.addHook('onRequest', (_request, reply, done) => {
        reply.type(JSON_TYPE)
        done()
      })
      const idempotency = createIdempotency(database.db, options.idempotencyKeyDays)
      await api.register(taskRoutes, {
        prefix: '/tasks',
        store: createTaskStore(database.db, idempotency),
        metrics,
      })
      await api.register(batchRoutes, {
        prefix: '/batches',
        store: createBatchStore(database.db, idempotency),
        metrics,
      })
    },
    { prefix: '/api/v1' },
  )
  refuseOtherMethods()
  await app.ready()
  return app
}

/** The kind of failure of an error, for traces: none where it is the response of a route, such as 404. */
const errorType = (error: unknown) =>
  error instanceof ApiError ? undefined : String(driverError(error).code ?? '_OTHER')
