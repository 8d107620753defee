/** GET /metrics: the metrics of the service and of its process, in Prometheus' text format. */
import type { FastifyPluginAsync } from 'fastify'
import type { Registry } from 'prom-client'
import { type Metrics, TIME_BOUNDS } from './metrics.js'

export interface MetricsRouteOptions {
  /** The version of the service. */
  version: string
  metrics: Metrics
  /** The requests at the database, by kind, and those that were refused there, by reason. */
  load: { running: Counts; waiting: Counts; refused: Counts }
  /** The most connections to the database. */
  poolSize: number
  /** How many requests wait for events or stream them. */
  countReaders: () => number
  /** Counts the tasks that can be claimed now; undefined if the database does not respond in time. */
  countReady: () => Promise<number | undefined>
  /** How many milliseconds a response is sent again before the metrics are read anew; 1000 by default. */
  maxAge?: number
}

type Counts = Record<string, number>

export const metricsRoute: FastifyPluginAsync<MetricsRouteOptions> = async (app, options) => {
  const { maxAge = 1000, metrics } = options
  let registry: Promise<Registry> | undefined
  let written: { text: Promise<string>; at: number } | undefined

  const write = async () => {
    registry ??= createRegistry(options)
    return `${await (await registry).metrics()}\n${writeDurations(metrics)}`
  }
  app.get('/metrics', { config: { load: 'none' }, schema: { hide: true } }, async (_request, reply) => {
    const now = performance.now()
    // Writing them takes milliseconds, during which nothing else runs: as often as clients ask would be too often.
    if (written === undefined || now >= written.at + maxAge) written = { text: write(), at: now }
    const text = await written.text
    return reply.type((await registry!).contentType).send(text)
  })
}

/** The counters hold no state: each scrape resets them to what the service has counted. */
async function createRegistry({
  version,
  metrics,
  load,
  poolSize,
  countReady,
  countReaders,
}: MetricsRouteOptions): Promise<Registry> {
  // Loaded at the first scrape, so that a start does not wait for it.
  const { default: prometheus } = await import('prom-client')
  const { collectDefaultMetrics, Counter, Gauge, Registry } = prometheus
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  new Gauge({
    name: 'aklp_build_info',
    help: 'Always 1. The label is the version.',
    labelNames: ['version'],
    registers,
  }).set({ version }, 1)

  new Counter({
    name: 'aklp_http_requests_total',
    help: 'HTTP responses.',
    labelNames: ['route', 'method', 'status'],
    registers,
    collect() {
      this.reset()
      for (const { route, method, statuses } of metrics.routes)
        for (const [status, count] of statuses) this.inc({ route, method, status }, count)
    },
  })

  new Gauge({
    name: 'aklp_database_pool_size',
    help: 'The maximum number of connections to the database.',
    registers,
  }).set(poolSize)
  for (const [state, help] of [
    ['running', 'Requests that are using the database.'],
    ['waiting', 'Requests that are waiting to use the database.'],
  ] as const) {
    new Gauge({
      name: `aklp_database_requests_${state}`,
      help,
      labelNames: ['kind'],
      registers,
      collect() {
        for (const [kind, count] of Object.entries(load[state])) this.set({ kind }, count)
      },
    })
  }
  new Counter({
    name: 'aklp_database_requests_refused_total',
    help: 'Requests that were rejected instead of using the database.',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset()
      for (const [reason, count] of Object.entries(load.refused)) this.inc({ reason }, count)
    },
  })

  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  counter('aklp_tasks_created_total', 'Tasks created.', () => metrics.tasksCreated)
  counter(
    'aklp_tasks_completed_total',
    'Tasks that became completed or were created as completed.',
    () => metrics.tasksCompleted,
  )
  counter(
    'aklp_idempotent_replays_total',
    'Creates that returned the stored response of an earlier one with the same Idempotency-Key.',
    () => metrics.replays,
  )
  counter('aklp_task_claims_total', 'Tasks that workers claimed.', () => metrics.claims)
  counter(
    'aklp_task_leases_expired_total',
    'Claims of a task whose lease had expired: its worker stopped without releasing it.',
    () => metrics.leasesExpired,
  )
  new Gauge({
    name: 'aklp_event_readers',
    help: 'Requests that wait for events or stream them.',
    registers,
    collect() {
      this.set(countReaders())
    },
  })
  new Gauge({
    name: 'aklp_tasks_ready',
    help: 'Tasks that can be claimed now, of the latest 10000 pending ones and as many in progress.',
    registers,
    async collect() {
      const ready = await countReady()
      if (ready !== undefined) this.set(ready)
      // An earlier count would be wrong.
      else this.remove()
    },
  })
  return registry
}

/** Written by hand: prom-client's Histogram observes single values and cannot take over the counts of its buckets. */
function writeDurations({ routes }: Metrics): string {
  const name = 'aklp_http_request_duration_seconds'
  const lines = [`# HELP ${name} The duration of HTTP requests.`, `# TYPE ${name} histogram`]
  for (const { route, method, times, seconds } of routes) {
    const labels = `route="${route}",method="${method}"`
    let total = 0
    for (const [i, count] of times.entries()) {
      total += count
      lines.push(`${name}_bucket{le="${TIME_BOUNDS[i] ?? '+Inf'}",${labels}} ${total}`)
    }
    lines.push(`${name}_sum{${labels}} ${seconds}`, `${name}_count{${labels}} ${total}`)
  }
  return `${lines.join('\n')}\n`
}
