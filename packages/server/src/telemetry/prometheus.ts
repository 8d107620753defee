/** GET /metrics: the numbers of the service and of its process, as Prometheus reads them. */
import type { FastifyPluginAsync } from 'fastify'
import type { Metric, Registry } from 'prom-client'
import type { Gate } from '../http/admission.js'
import { version } from '../http/version.js'
import { type Metrics, TIME_BOUNDS } from './metrics.js'

interface Sources {
  metrics: Metrics
  gate: Gate
  /** Most connections to the database. */
  poolSize: number
}

export const metricsRoute: FastifyPluginAsync<Sources> = async (app, sources) => {
  let registry: Promise<Registry> | undefined
  app.get('/metrics', { config: { load: 'none' }, schema: { hide: true } }, async (_request, reply) => {
    registry ??= createRegistry(sources)
    const { contentType } = await registry
    return reply.type(contentType).send(await (await registry).metrics())
  })
}

/** A value at this moment; `name` where it is not that of the metric. */
interface Sample {
  labels: Record<string, string | number>
  value: number
  metricName?: string
}

async function createRegistry({ metrics, gate, poolSize }: Sources): Promise<Registry> {
  // Loaded when somebody asks for the first time: a start does not wait for it.
  const { collectDefaultMetrics, Registry } = await import('prom-client')
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })

  // The library's own counters would look up their labels at every request; these read what was counted when asked.
  const tell = (
    type: 'counter' | 'gauge' | 'histogram',
    name: string,
    help: string,
    read: () => number | Sample[],
  ) => {
    const get = async () => {
      const now = read()
      const values = typeof now === 'number' ? [{ labels: {}, value: now }] : now
      return { type, name, help, values, aggregator: 'sum' }
    }
    registry.registerMetric({ name, get } as unknown as Metric)
  }

  tell('gauge', 'aklp_build_info', 'Always 1; the label says which version runs.', () => [
    { labels: { version }, value: 1 },
  ])

  tell('counter', 'aklp_http_requests_total', 'Requests that were answered.', () =>
    metrics.routes.flatMap(({ route, method, statuses }) =>
      [...statuses].map(([status, value]) => ({ labels: { route, method, status }, value })),
    ),
  )
  const duration = 'aklp_http_request_duration_seconds'
  tell('histogram', duration, 'How long requests took that were answered.', () =>
    metrics.routes.flatMap(({ route, method, times, seconds }) => {
      const labels = { route, method }
      let value = 0
      const buckets = times.map((count, i) => {
        value += count
        return {
          labels: { ...labels, le: TIME_BOUNDS[i] ?? '+Inf' },
          value,
          metricName: `${duration}_bucket`,
        }
      })
      return [
        ...buckets,
        { labels, value: seconds, metricName: `${duration}_sum` },
        { labels, value, metricName: `${duration}_count` },
      ]
    }),
  )

  tell('gauge', 'aklp_database_pool_size', 'Most connections to the database.', () => poolSize)
  const byKind = (values: Record<string, number>) =>
    Object.entries(values).map(([kind, value]) => ({ labels: { kind }, value }))
  tell('gauge', 'aklp_database_requests_running', 'Requests that are at the database.', () =>
    byKind(gate.running),
  )
  tell('gauge', 'aklp_database_requests_waiting', 'Requests that wait for a place at the database.', () =>
    byKind(gate.waiting),
  )
  tell('counter', 'aklp_database_requests_refused_total', 'Requests that got no place at the database.', () =>
    Object.entries(gate.refused).map(([reason, value]) => ({ labels: { reason }, value })),
  )

  tell('counter', 'aklp_tasks_created_total', 'Tasks that were created.', () => metrics.tasksCreated)
  tell(
    'counter',
    'aklp_tasks_completed_total',
    'Tasks that became completed, or were created as completed.',
    () => metrics.tasksCompleted,
  )
  tell(
    'counter',
    'aklp_idempotent_replays_total',
    'Creates that were answered with the answer of an earlier one with the same Idempotency-Key.',
    () => metrics.replays,
  )
  return registry
}
