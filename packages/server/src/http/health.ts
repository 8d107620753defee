/** Whether the service and its database work: for people at /health, for what runs and balances it at the other two. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from '@sinclair/typebox'
import { ApiError, problems } from './problem.js'
import { answer, JSON_TYPE, OneOf, ref, responseHeaders } from './schemas.js'
import { version } from './version.js'

export const Health = Type.Object(
  {
    status: OneOf(['healthy', 'degraded'], {
      description: '`healthy`, or `degraded` while the database cannot be asked.',
      examples: ['healthy'],
    }),
    version: Type.String({ description: 'The version of the service.', examples: ['1.0.0'] }),
    database: OneOf(['healthy', 'unhealthy'], {
      description: 'Whether the database answers.',
      examples: ['healthy'],
    }),
  },
  { $id: 'Health', description: 'How the service is.' },
)
export type Health = Static<typeof Health>

/** What a probe that succeeds answers; it looks at the status alone. */
const ok = (description: string) => ({
  description,
  headers: responseHeaders,
  content: { 'text/plain': { schema: Type.String({ examples: ['ok'] }) } },
})

export interface HealthOptions {
  /** Asks the database, and fails when no answer comes in time. */
  ping: () => Promise<void>
  /** Aborted when the service is about to stop. */
  stopping: AbortSignal | undefined
}

export const healthRoutes: FastifyPluginAsyncTypebox<HealthOptions> = async (app, { ping, stopping }) => {
  app.get(
    '/health',
    {
      config: { load: 'none' },
      schema: {
        operationId: 'getHealth',
        tags: ['health'],
        summary: 'Get the health of the service',
        description: 'Always answers 200 while the process runs; the body says whether the database works.',
        response: { 200: answer('How the service is.', ref(Health)) },
      },
    },
    async (_request, reply) => {
      const reachable = await ping().then(
        () => true,
        () => false,
      )
      const health: Health = reachable
        ? { status: 'healthy', version, database: 'healthy' }
        : { status: 'degraded', version, database: 'unhealthy' }
      reply.type(JSON_TYPE)
      return JSON.stringify(health)
    },
  )

  app.get(
    '/livez',
    {
      config: { load: 'none' },
      schema: {
        operationId: 'getLiveness',
        tags: ['health'],
        summary: 'Find out whether the process works',
        description:
          'Answers 200 while the process runs, whatever the database does. An orchestrator restarts a process that does not answer.',
        response: { 200: ok('The process works.') },
      },
    },
    async (_request, reply) => reply.type('text/plain').send('ok'),
  )

  app.get(
    '/readyz',
    {
      config: { load: 'none' },
      schema: {
        operationId: 'getReadiness',
        tags: ['health'],
        summary: 'Find out whether to send requests here',
        description:
          'Answers 200 while the database answers and the service is not about to stop, and 503 otherwise. A balancer sends requests only to those that are ready.',
        response: {
          200: ok('Requests are welcome.'),
          ...problems('database_unavailable', 'shutting_down'),
        },
      },
    },
    async (_request, reply) => {
      if (stopping?.aborted) throw new ApiError('shutting_down')
      await ping().catch(() => {
        throw new ApiError('database_unavailable')
      })
      return reply.type('text/plain').send('ok')
    },
  )
}
