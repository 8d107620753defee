/**
 * Builds the application: the same one in production, in tests, and to emit its OpenAPI document.
 *
 * What a request passes through, in this order:
 *
 *  0. at most 32 requests of a socket at a time (http/pipelining), few chunks in each turn (http/message, http/read-budget)
 *  1. request id and security headers (http/security-headers), checks of Host and Expect (http/request-headers)
 *  2. deadline (http/timeouts)
 *  3. CORS (http/cors)
 *  4. 404 for unknown paths, 405 for other methods (http/not-found)
 *  5. authentication, scope and rate limit (access/authenticate), conditions that cannot be kept (http/conditions)
 *  6. admission, first look: an overloaded service rejects before it reads the body (http/admission)
 *  7. body: JSON in UTF-8, at most 1 MiB (http/body)
 *  8. validation against the schemas of the route (http/validation)
 *  9. admission, second look: waits for a place at the database
 * 10. handler, with the Idempotency-Key of a create (routes of each feature; idempotency/header)
 * 11. store: one SQL statement, in most cases (store of each feature); rules between rows are in the database
 * 12. response, or a problem document for whatever was thrown (tasks/rules, http/error-handler); too
 *     many unread ones (http/unread)
 * 13. log line and metrics (telemetry/logging, telemetry/metrics)
 *
 * Tracing, if it is on, surrounds 1 to 13 with one span and 10 to 11 with another.
 */

import { randomUUID } from 'node:crypto'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyBaseLogger, type FastifyError, type FastifyInstance } from 'fastify'
import { type AuthenticateOptions, authenticate } from './access/authenticate.js'
import { batchRoutes } from './batches/routes.js'
import { batchComponents, batchSynonyms } from './batches/schemas.js'
import { createBatchStore } from './batches/store.js'
import { claimRoutes } from './claims/routes.js'
import { claimComponents, claimSynonyms } from './claims/schemas.js'
import { createClaimStore } from './claims/store.js'
import type { Database, StoreDb } from './db/database.js'
import { driverError } from './db/failures.js'
import { createEventFeed } from './events/feed.js'
import { Follower } from './events/follower.js'
import { rejectNotes } from './events/notes.js'
import { createRecorder } from './events/record.js'
import { eventRoutes } from './events/routes.js'
import { eventComponents, eventSynonyms } from './events/schemas.js'
import { admission, Gate } from './http/admission.js'
import { parseOnlyJson } from './http/body.js'
import { handleClientError } from './http/client-error.js'
import { rejectConditions } from './http/conditions.js'
import { cors } from './http/cors.js'
import { handleError } from './http/error-handler.js'
import { Health, healthRoutes } from './http/health.js'
import { BoundedMessage } from './http/message.js'
import { rejectUnknownRoutes } from './http/not-found.js'
import { openapi } from './http/openapi.js'
import { page } from './http/page.js'
import { pageSynonyms } from './http/paging.js'
import { pipelining } from './http/pipelining.js'
import { ApiError, Problem } from './http/problem.js'
import { requestHeaders } from './http/request-headers.js'
import { JSON_TYPE, Strict } from './http/schemas.js'
import { secureResponses, securityHeaders } from './http/security-headers.js'
import { closePromptly } from './http/shutdown.js'
import { deadlines } from './http/timeouts.js'
import { limitUnread } from './http/unread.js'
import { validateStrictly } from './http/validation.js'
import { version } from './http/version.js'
import { createIdempotency } from './idempotency/record.js'
import { mcpRoute } from './mcp/route.js'
import { restoreRoutes } from './restore/routes.js'
import { restoreComponents } from './restore/schemas.js'
import { createRestoreStore } from './restore/store.js'
import { sessionRoutes } from './sessions/routes.js'
import { sessionComponents } from './sessions/schemas.js'
import { createSessionStore } from './sessions/store.js'
import { readyCounter } from './tasks/progress.js'
import { taskRoutes } from './tasks/routes.js'
import { explainRule } from './tasks/rules.js'
import { taskComponents } from './tasks/schemas.js'
import { createTaskStore } from './tasks/store.js'
import { taskSynonyms } from './tasks/synonyms.js'
import { RequestLog, silentLogger } from './telemetry/logging.js'
import { Metrics } from './telemetry/metrics.js'
import { metricsRoute } from './telemetry/prometheus.js'

const MAX_BODY_BYTES = 1024 * 1024

/** What an operator can set, apart from where the service listens and logs. */
export interface ServiceOptions {
  authentication: AuthenticateOptions
  /** Origins whose pages may call the service. */
  corsOrigins: readonly string[]
  /** Whether to reject a Host that is neither an IP address nor `localhost`: see {@link requestHeaders}. */
  localNamesOnly: boolean
  /** Addresses and networks whose `X-Forwarded-For` is trusted. */
  trustedProxies: readonly string[]
  /** The timeout of a request, in milliseconds. */
  requestTimeout: number
  /** The most connections to the database. */
  poolSize: number
  /** For how many days an Idempotency-Key is remembered. */
  idempotencyKeyDays: number
  /** For how many days events are kept; 0 for none at all. */
  eventDays: number
  /** Whether to serve the page at `/`, /docs and /openapi.json. */
  docs: boolean
  /** Whether to serve /metrics. */
  metrics: boolean
  /** Whether to serve /mcp. */
  mcp: boolean
  /** The base URL of a collector that takes OTLP over HTTP. Without it, there are no traces. */
  traceEndpoint?: string
}

export interface AppOptions extends ServiceOptions {
  database: Pick<Database, 'ping'> & { db: StoreDb }
  /** Aborted when the service is about to stop: `/readyz` returns 503 from then on, and requests are still served. */
  stopping?: AbortSignal
  /** The path that the service is mounted at; the root by default. */
  path?: string
  /** Milliseconds between two comments in a stream of events; 15 000 by default. */
  heartbeat?: number
  /** How many milliseconds a response of `/metrics` is sent again; 1000 by default. */
  metricsMaxAge?: number
  /** Where to log; nowhere by default. */
  logger?: FastifyBaseLogger
}

export async function buildApp({
  database,
  stopping,
  path = '',
  metricsMaxAge,
  heartbeat,
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
    // Limits how long a request may take to arrive, against clients that never finish sending.
    requestTimeout: options.requestTimeout,
    http: {
      IncomingMessage: BoundedMessage,
      // How often Node looks for late requests, every 30 s by default. It responds to all it finds in one go, and other
      // requests wait meanwhile.
      connectionsCheckingInterval: Math.min(options.requestTimeout, 100),
      // Node would reject a request without Host with an empty response; http/request-headers says why.
      requireHostHeader: false,
    },
    // At shutdown, idle connections are closed, and requests that still arrive on others are served.
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    // An id that is too long is reported by the schema, like any other invalid id.
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 16_384 },
    clientErrorHandler: handleClientError,
    // Fastify loads no compilers of its own, which would take a tenth of the start. validateStrictly() sets that of validators.
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: stringify } },
    // A path that cannot be decoded has no route, so none of the hooks below run.
    frameworkErrors: (error, request, reply) => {
      reply.headers({ 'x-request-id': request.id, ...securityHeaders })
      handleError(error, request, reply)
      requestLog.requestCompleted(null, request, reply)
    },
  }).withTypeProvider<TypeBoxTypeProvider>()

  await app.register(pipelining)
  await app.register(limitUnread)
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
    done()
  })
  await app.register(secureResponses)
  await app.register(requestHeaders, { localNamesOnly: options.localNamesOnly })
  await app.register(deadlines, { milliseconds: options.requestTimeout })
  closePromptly(app, stopping)
  await app.register(cors, { origins: options.corsOrigins })
  const rejectOtherMethods = rejectUnknownRoutes(app)

  parseOnlyJson(app)
  const components = [
    ...taskComponents,
    ...batchComponents,
    ...claimComponents,
    ...restoreComponents,
    ...sessionComponents,
    ...eventComponents,
  ]
  validateStrictly(app, [...components, Health, Problem], {
    ...pageSynonyms,
    ...taskSynonyms,
    ...batchSynonyms,
    ...claimSynonyms,
    ...eventSynonyms,
  })

  await app.register(openapi, { docs: options.docs, path })
  if (options.docs) await app.register(page, { mcp: options.mcp })
  await app.register(healthRoutes, { ping: database.ping, stopping })
  const gate = new Gate(options.poolSize)
  const feed = createEventFeed(database.db)
  const follower = new Follower(feed)
  if (options.metrics) {
    await app.register(metricsRoute, {
      version,
      metrics,
      load: gate,
      poolSize: options.poolSize,
      countReady: readyCounter(database.db),
      countReaders: () => follower.places.taken,
      maxAge: metricsMaxAge,
    })
  }
  await app.register(async (guarded) => {
    await guarded.register(authenticate, options.authentication)
    await guarded.register(apiRoutes, { prefix: '/api/v1' })
    if (options.mcp) {
      await guarded.register(mcpRoute, {
        origins: options.corsOrigins,
        timeout: options.requestTimeout,
        inject: (request) => app.inject(request),
      })
    }
  })
  rejectOtherMethods()
  await app.ready()
  return app

  async function apiRoutes(api: FastifyInstance) {
    await api.register(rejectConditions)
    // An operation without query parameters rejects them: a misspelt filter must not act on everything.
    api.addHook('onRoute', (route) => {
      route.schema = { querystring: Strict({}), ...route.schema }
    })
    await api.register(admission, { gate, observe: tracing?.database })
    // The stores return JSON.
    api.addHook('onRequest', (_request, reply, done) => {
      reply.type(JSON_TYPE)
      done()
    })
    api.setErrorHandler<FastifyError>((error, request, reply) =>
      handleError(explainRule(error, request.body) as FastifyError, request, reply),
    )
    if (options.eventDays === 0) rejectNotes(api)
    const idempotency = createIdempotency(database.db, options.idempotencyKeyDays)
    const record = createRecorder(options.eventDays)
    const tasks = createTaskStore(database.db, idempotency, record)
    await api.register(taskRoutes, { prefix: '/tasks', store: tasks, metrics })
    await api.register(claimRoutes, {
      prefix: '/tasks',
      store: createClaimStore(database.db, idempotency, record),
      tasks,
      metrics,
    })
    await api.register(batchRoutes, {
      prefix: '/batches',
      store: createBatchStore(database.db, idempotency, record),
      metrics,
    })
    const areKept = options.eventDays > 0
    await api.register(restoreRoutes, {
      prefix: '/tasks',
      store: createRestoreStore(database.db, record),
      areKept,
    })
    await api.register(eventRoutes, {
      prefix: '/events',
      feed,
      follower,
      admit: (load, read) => gate.run(load, read),
      heartbeat,
      areKept,
    })
    await api.register(sessionRoutes, {
      prefix: '/sessions',
      store: createSessionStore(database.db),
    })
  }
}

/** Responses are JSON already, or small. */
const stringify = () => () => JSON.stringify

const noCompiler = () => () => {
  throw new Error('a route was added before validateStrictly()')
}

/** The error type in traces; undefined if the error is an expected response, such as 404. */
const errorType = (error: unknown) =>
  error instanceof ApiError ? undefined : String(driverError(error).code ?? '_OTHER')
