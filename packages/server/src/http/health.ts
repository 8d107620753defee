/** Health checks: `/health` for people, `/livez` for orchestrators and `/readyz` for load balancers. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from '@sinclair/typebox'
import { writeObstacle } from '../db/failures.js'
import { toJson } from '../db/json.js'
import { ApiError, problems } from './problem.js'
import { JSON_TYPE, OneOf, ref, responseHeaders, success } from './schemas.js'
import { version } from './version.js'

export const Health = Type.Object(
  {
    status: OneOf(['healthy', 'degraded'], {
      description: '`healthy`, or `degraded` while the database is unavailable or read-only.',
      examples: ['healthy'],
    }),
    version: Type.String({ description: 'The version of the service.', examples: ['1.0.0'] }),
    database: OneOf(['healthy', 'unhealthy'], {
      description: '`healthy`, or `unhealthy` while the database does not respond or is read-only.',
      examples: ['healthy'],
    }),
  },
  { $id: 'Health', description: 'The health of the service.' },
)
export type Health = Static<typeof Health>

/** The response to a probe that succeeds; a probe looks only at the status. */
const ok = (description: string) => ({
  description,
  headers: responseHeaders,
  content: { 'text/plain': { schema: Type.String({ examples: ['ok'] }) } },
})

/** Probes may use any name of the service; their responses say nothing about tasks. */
const config = { load: 'none', anyHost: true } as const

/** They need no key. */
const security: never[] = []

/** Why the service is not ready although the database responds. */
const NOT_WRITABLE = {
  'read-only':
    'The database is read-only, so writes fail. Check whether the server is a standby, and `default_transaction_read_only`, which may be set because its disk is full.',
  'disk full': 'The disk of the database is full, so writes fail. Free some space.',
}

export interface HealthOptions {
  /** Sends a query to the database; rejects when it fails or takes too long, and when the database cannot be written. */
  ping: () => Promise<void>
  /** Aborted when the service begins to shut down. */
  stopping: AbortSignal | undefined
}

export const healthRoutes: FastifyPluginAsyncTypebox<HealthOptions> = async (app, { ping, stopping }) => {
  const sharedPing = shareInFlight(ping)

  app.get(
    '/health',
    {
      config,
      schema: {
        security,
        operationId: 'getHealth',
        tags: ['health'],
        summary: 'Get the health of the service',
        description:
          'Always returns 200 while the process runs. The body states whether the database responds and can be written.',
        response: {
          200: success('The health of the service.', ref(Health)),
          ...problems('expectation_failed'),
        },
      },
    },
    async (_request, reply) => {
      const reachable = await sharedPing().then(
        () => true,
        () => false,
      )
      const health: Health = reachable
        ? { status: 'healthy', version, database: 'healthy' }
        : { status: 'degraded', version, database: 'unhealthy' }
      reply.type(JSON_TYPE)
      return toJson(health)
    },
  )

  app.get(
    '/livez',
    {
      config,
      schema: {
        security,
        operationId: 'getLiveness',
        tags: ['health'],
        summary: 'Check whether the process is alive',
        description:
          'Returns 200 while the process runs, even if the database is unavailable. Use it as a liveness probe: an orchestrator restarts a process that does not respond.',
        response: { 200: ok('The process is alive.'), ...problems('expectation_failed') },
      },
    },
    async (_request, reply) => reply.type('text/plain').send('ok'),
  )

  app.get(
    '/readyz',
    {
      config,
      schema: {
        security,
        operationId: 'getReadiness',
        tags: ['health'],
        summary: 'Check whether the service is ready for requests',
        description:
          'Returns 200 while the database responds and can be written and the service is not shutting down; 503 with the reason otherwise. Use it as a readiness probe: a load balancer sends requests only to instances that are ready.',
        response: {
          200: ok('The service is ready for requests.'),
          ...problems('expectation_failed', 'database_unavailable', 'shutting_down'),
        },
      },
    },
    async (_request, reply) => {
      if (stopping?.aborted) throw new ApiError('shutting_down')
      await sharedPing().catch((error) => {
        const obstacle = writeObstacle(error)
        throw new ApiError('database_unavailable', obstacle && NOT_WRITABLE[obstacle])
      })
      return reply.type('text/plain').send('ok')
    },
  )
}

/** Calls that arrive while one is in flight share its result: any number of probes cost one query. */
function shareInFlight(call: () => Promise<void>): () => Promise<void> {
  let inFlight: Promise<void> | undefined
  return () => {
    inFlight ??= call().finally(() => {
      inFlight = undefined
    })
    return inFlight
  }
}
