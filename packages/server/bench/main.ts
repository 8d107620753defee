/**
 * Measures the service and a baseline without a framework over HTTP, on a PostgreSQL that it starts. Prints the results as
 * Markdown and saves them in results/. Needs a build.
 *
 *   --sizes 10000,1000000   number of tasks in the databases; with several sizes, also how each call scales
 *   --against URL           also measures another service with the same API; the created rows stay in its database
 *   --embedded              measures only the embedded database, beside PostgreSQL
 *   --flat                  measures only how calls of a session and lists of everything scale with the sizes
 *   --keep FOLDER           keeps the databases that --flat fills in this folder, and uses those that are there
 *   --claims                measures only claims, beside pg-boss and graphile-worker, and plans with dependencies
 *   --quick                 a trial run of a minute: the results are not meaningful and not saved
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import postgres from 'postgres'
import { calls, getTask } from './calls.js'
import { measureClaims } from './claims.js'
import { fill, fillOverHttp, readSessions } from './data.js'
import { measureEmbedded } from './embedded.js'
import { measureFlat } from './flat.js'
import {
  assertSameResponses,
  atRate,
  CONNECTIONS,
  coldStart,
  duringUnfilteredLists,
  type Effort,
  lockWaits,
  ratio,
  roundTrips,
  sdkOverFetch,
  spread,
  type Target,
  throughput,
} from './measures.js'
import { postgresSettings, startBaseline, startPostgres, startService } from './processes.js'
import {
  claimsToMarkdown,
  embeddedToMarkdown,
  flatToMarkdown,
  type Results,
  type Setting,
  toMarkdown,
} from './report.js'

const { values: options } = parseArgs({
  options: {
    sizes: { type: 'string', default: '10000' },
    against: { type: 'string' },
    embedded: { type: 'boolean', default: false },
    claims: { type: 'boolean', default: false },
    flat: { type: 'boolean', default: false },
    keep: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
})
const sizes = options.sizes
  .split(',')
  .map(Number)
  .sort((a, b) => a - b)
if (!sizes.every((size) => size >= 1000))
  throw new Error('--sizes must be numbers of tasks of at least 1000, such as 10000,1000000')
const effort: Effort = options.quick
  ? { rounds: 2, seconds: 0.3, starts: 2 }
  : { rounds: 5, seconds: 1.5, starts: 5 }

const begin = performance.now()
const progress = (line: string) => {
  console.error(`${Math.round((performance.now() - begin) / 1000)} s`.padStart(6), line)
}

if (options.keep && !options.flat) throw new Error('--keep is for --flat: other measurements change the data')
const cluster = await startPostgres(options.keep)
try {
  if (options.embedded) {
    const { setting, embedded } = await measureEmbeddedOnly()
    report(setting, { ...setting, embedded }, embeddedToMarkdown(setting, embedded), '-embedded')
  } else if (options.flat) {
    const { setting, flat } = await measureFlatOnly()
    report(setting, { ...setting, flat }, flatToMarkdown(setting, flat, sizes), '-flat')
  } else if (options.claims) {
    const { setting, claims } = await measureClaimsOnly()
    report(setting, { ...setting, claims }, claimsToMarkdown(setting, claims), '-claims')
  } else {
    const results = await measure()
    report(results, results, toMarkdown(results))
  }
} finally {
  await cluster.stop()
}

async function measureEmbeddedOnly() {
  const database = await cluster.newDatabase('tasks')
  const postgresql = await openService(database, sizes[0]!)
  const embedded = await measureEmbedded(postgresql, effort, progress)
  const setting = await settingOf(postgresql)
  await postgresql.server!.stop()
  await postgresql.sql!.end()
  return { setting, embedded }
}

async function measureFlatOnly() {
  const services: Target[] = []
  for (const size of sizes) {
    progress(`a database with ${size} tasks`)
    services.push(await openService(await cluster.newDatabase(`tasks_${size}`), size))
  }
  const flat = await measureFlat(services, effort, progress)
  const setting = await settingOf(services[0]!)
  for (const { server, sql } of services) {
    await server!.stop()
    await sql!.end()
  }
  return { setting, flat }
}

async function measureClaimsOnly() {
  const service = await openService(await cluster.newDatabase('tasks'), sizes[0]!)
  const claims = await measureClaims(service, effort, progress)
  const setting = await settingOf(service)
  await service.server!.stop()
  await service.sql!.end()
  return { setting, claims }
}

async function measure(): Promise<Results> {
  const targets: Target[] = []
  for (const size of sizes) {
    progress(`filling a database with ${size} tasks`)
    targets.push(...(await openSize(size)))
  }
  if (options.against) {
    progress(`filling ${options.against}`)
    targets.push(await openOverHttp('other', new URL(options.against).origin, sizes[0]!))
  }
  const services = targets.filter(({ name }) => name === 'service')
  const smallest = services[0]!
  const largest = services.at(-1)!

  const measured = await throughput(targets, calls, effort, progress)
  const { perSecond } = measured

  const throughputs: Results['throughput'] = targets.flatMap((target) =>
    calls.map((call) => {
      const measures = measured.measures.get(target)!.get(call)!
      const baseline = targets.find(({ name, size }) => name === 'baseline' && size === target.size)!
      return {
        call: call.name,
        target: target.name,
        size: target.size,
        per_second: spread(perSecond(target, call)),
        p50: spread(measures.map(({ p50 }) => p50)).median,
        p99: spread(measures.map(({ p99 }) => p99)).median,
        failures: measures.reduce((sum, { failures }) => sum + failures, 0),
        of_baseline: ratio(perSecond(target, call), perSecond(baseline, call)),
      }
    }),
  )
  const growth =
    smallest === largest
      ? []
      : calls.map((call) => ({
          call: call.name,
          scoped: call.scoped,
          from: smallest.size,
          to: largest.size,
          ratio: ratio(perSecond(largest, call), perSecond(smallest, call)),
        }))
  const memory = services.flatMap((service) => {
    const [after_warm_up, ...rounds] = measured.memory.get(service)!
    const peak = service.server!.memory()?.peak
    if (after_warm_up === undefined || peak === undefined) return []
    return [{ size: service.size, after_warm_up, after_last_round: rounds.at(-1)!, peak }]
  })

  const at_half: Results['at_half'] = []
  for (const service of services) {
    for (const call of calls) {
      const rate = spread(perSecond(service, call)).median / 2
      const { p50, p99, responses } = await atRate(service, call, rate, effort.seconds)
      at_half.push({ call: call.name, size: service.size, rate, responses, p50, p99 })
      progress(`${call.name} at ${Math.round(rate)}/s, ${service.size} tasks: p50 ${p50} ms, p99 ${p99} ms`)
    }
  }

  progress('get task during unfiltered lists')
  const quarter = spread(perSecond(largest, getTask)).median / 4
  const during_lists = await duringUnfilteredLists(largest, quarter, effort.seconds)

  progress('lock waits')
  const locks = await lockWaits(smallest, 2 * effort.seconds)

  progress('round trips')
  const tracked = await startService(`${smallest.database}?pg_stat_statements.track=top`)
  const round_trips = await roundTrips({ ...smallest, base: tracked.base })
  await tracked.stop()

  progress('SDK and fetch')
  const sdk = await sdkOverFetch(smallest, effort)
  if (sdk === undefined) progress('skipped the SDK: packages/client is not built')

  const setting = await settingOf(smallest)
  progress('startup on PostgreSQL')
  const coldPostgresql = await coldStart(() => startService(smallest.database!), effort)
  const embedded = await measureEmbedded(smallest, effort, progress)
  // Read at the end: PostgreSQL updates these statistics with a delay of seconds.
  const [counts] = await smallest.sql!`select sum(deadlocks)::int as deadlocks from pg_stat_database`

  for (const { server } of targets) await server?.stop()
  for (const { sql } of services) await sql!.end()

  return {
    ...setting,
    throughput: throughputs,
    round_trips,
    growth,
    at_half,
    during_lists,
    locks: { ...locks, deadlocks: counts!.deadlocks },
    memory,
    embedded,
    cold_start: { postgresql: coldPostgresql },
    ...(sdk && { sdk }),
  }
}

/** What was measured with. */
async function settingOf({ sql, base }: Target): Promise<Setting> {
  const [row] = await sql!`select current_setting('server_version') as version`
  const { version } = (await (await fetch(`${base}/health`)).json()) as { version: string }
  return {
    date: new Date().toISOString(),
    commit: git('describe', '--always', '--dirty', '--exclude', '*'),
    machine: {
      cpu: cpus()[0]!.model,
      cores: availableParallelism(),
      memory_gb: Math.round(totalmem() / 2 ** 30),
      system: `${type()} ${release()}`,
    },
    versions: { node: process.version, postgresql: row!.version, service: version },
    postgresql_settings: postgresSettings,
    effort,
    connections: CONNECTIONS,
  }
}

/** Fills a database with this many tasks and starts the service on it. */
async function openService(database: string, size: number): Promise<Target> {
  // The service creates the tables.
  const server = await startService(database)
  const sql = postgres(database, { max: 2, onnotice: () => {} })
  const [filled] = await sql`select exists (select from tasks) as kept`
  if (!filled!.kept) await fill(sql, size)
  return {
    name: 'service',
    size,
    base: server.base,
    sessions: await readSessions(sql),
    server,
    database,
    sql,
  }
}

/** Fills a database with this many tasks and starts the service and the baseline on it. */
async function openSize(size: number): Promise<Target[]> {
  const database = await cluster.newDatabase(`tasks_${size}`)
  const service = await openService(database, size)
  const baseline = await startBaseline(database)
  const targets: Target[] = [service, { ...service, name: 'baseline', base: baseline.base, server: baseline }]
  await assertSameResponses(targets[0]!, targets[1]!)
  return targets
}

/** A service whose database is not accessible, filled through its API. */
async function openOverHttp(name: Target['name'], base: string, size: number): Promise<Target> {
  return { name, size, base, sessions: await fillOverHttp(base, size) }
}

function report({ date, commit }: Setting, results: object, markdown: string, suffix = '') {
  console.log(markdown)
  if (options.quick) return
  const directory = fileURLToPath(new URL('results', import.meta.url))
  mkdirSync(directory, { recursive: true })
  const file = join(directory, `${date.slice(0, 10)}-${commit}${suffix}`)
  writeFileSync(`${file}.json`, `${JSON.stringify(results, null, 2)}\n`)
  writeFileSync(`${file}.md`, `${markdown}\n`)
  progress(`saved as ${file}.json and .md`)
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim()
}
