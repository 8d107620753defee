/**
 * Measures the service over HTTP, beside a floor that has no framework, on a PostgreSQL of its own, and prints what it
 * sees as Markdown. Needs a build.
 *
 *   --sizes 10000,1000000   how many tasks the databases hold; with several, how each call grows
 *   --against URL           also measures another service that speaks the contract; it keeps what is created
 *   --quick                 a try-out of a minute: its figures mean little, and are not kept
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import postgres from 'postgres'
import { calls, getTask, listSession } from './calls.js'
import { fill, fillOverHttp, readSessions } from './data.js'
import {
  assertSameAnswers,
  atRate,
  besideUnfilteredLists,
  CONNECTIONS,
  coldStart,
  type Effort,
  lockWaits,
  ratio,
  roundTrips,
  sdkOverFetch,
  spread,
  type Target,
  throughput,
} from './measures.js'
import { folder, postgresSettings, startFloor, startPostgres, startService } from './processes.js'
import { type Results, toMarkdown } from './report.js'

const { values: options } = parseArgs({
  options: {
    sizes: { type: 'string', default: '10000' },
    against: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
})
const sizes = options.sizes
  .split(',')
  .map(Number)
  .sort((a, b) => a - b)
if (!sizes.every((size) => size >= 1000))
  throw new Error('--sizes takes numbers of tasks from 1000, as in 10000,1000000')
const effort: Effort = options.quick
  ? { rounds: 2, seconds: 0.3, starts: 2 }
  : { rounds: 5, seconds: 1.5, starts: 5 }

/** Most tasks in the embedded database: they are created through the API, one process doing everything. */
const MOST_EMBEDDED = 10_000

const begin = performance.now()
const tell = (line: string) => {
  console.error(`${Math.round((performance.now() - begin) / 1000)} s`.padStart(6), line)
}

const cluster = await startPostgres()
try {
  const results = await measure()
  const markdown = toMarkdown(results)
  console.log(markdown)
  if (!options.quick) keep(results, markdown)
} finally {
  await cluster.stop()
}

async function measure(): Promise<Results> {
  const targets: Target[] = []
  for (const size of sizes) {
    tell(`filling a database with ${size} tasks`)
    targets.push(...(await openSize(size)))
  }
  if (options.against) {
    tell(`filling ${options.against}`)
    targets.push(await openOverHttp('other', new URL(options.against).origin, sizes[0]!))
  }
  const services = targets.filter(({ name }) => name === 'service')
  const smallest = services[0]!
  const largest = services.at(-1)!

  const seen = await throughput(targets, calls, effort, tell)
  const { perSecond } = seen

  const throughputs: Results['throughput'] = targets.flatMap((target) =>
    calls.map((call) => {
      const measures = seen.measures.get(target)!.get(call)!
      const floor = targets.find(({ name, size }) => name === 'floor' && size === target.size)!
      return {
        call: call.name,
        target: target.name,
        size: target.size,
        per_second: spread(perSecond(target, call)),
        p50: spread(measures.map(({ p50 }) => p50)).median,
        p99: spread(measures.map(({ p99 }) => p99)).median,
        failures: measures.reduce((sum, { failures }) => sum + failures, 0),
        of_floor: ratio(perSecond(target, call), perSecond(floor, call)),
      }
    }),
  )
  const growth =
    smallest === largest
      ? []
      : calls.map((call) => ({
          call: call.name,
          bound: call.bound,
          from: smallest.size,
          to: largest.size,
          ratio: ratio(perSecond(largest, call), perSecond(smallest, call)),
        }))
  const memory = services.flatMap((service) => {
    const [after_warm_up, ...rounds] = seen.memory.get(service)!
    const peak = service.server!.memory()?.peak
    if (after_warm_up === undefined || peak === undefined) return []
    return [{ size: service.size, after_warm_up, after_last_round: rounds.at(-1)!, peak }]
  })

  const at_half: Results['at_half'] = []
  for (const service of services) {
    for (const call of calls) {
      const rate = spread(perSecond(service, call)).median / 2
      const { p50, p99, answers } = await atRate(service, call, rate, effort.seconds)
      at_half.push({ call: call.name, size: service.size, rate, answers, p50, p99 })
      tell(`${call.name} at ${Math.round(rate)}/s, ${service.size} tasks: p50 ${p50} ms, p99 ${p99} ms`)
    }
  }

  tell('get task while everything is listed')
  const quiet = spread(perSecond(largest, getTask)).median / 4
  const beside = await besideUnfilteredLists(largest, quiet, effort.seconds)

  tell('looking for lock waits')
  const locks = await lockWaits(smallest, 2 * effort.seconds)

  tell('counting round trips')
  const counted = await startService(`${smallest.database}?pg_stat_statements.track=top`)
  const round_trips = await roundTrips({ ...smallest, base: counted.base })
  await counted.stop()

  tell('the SDK and bare fetch')
  const sdk = await sdkOverFetch(smallest, effort)
  if (sdk === undefined) tell('packages/client is not built: the SDK is not measured')

  const versions = {
    node: process.version,
    postgresql: (await smallest.sql!`select current_setting('server_version') as version`)[0]!.version,
    service: ((await (await fetch(`${smallest.base}/health`)).json()) as { version: string }).version,
  }
  tell('starts on PostgreSQL')
  const coldPostgresql = await coldStart(() => startService(smallest.database!), effort)
  const { coldEmbedded, ...embedded } = await measureEmbedded(smallest)
  // Of all databases, from the start; asked late, since PostgreSQL counts them with a delay of seconds.
  const [counts] = await smallest.sql!`select sum(deadlocks)::int as deadlocks from pg_stat_database`

  for (const { server } of targets) await server?.stop()
  for (const { sql } of services) await sql!.end()

  return {
    date: new Date().toISOString(),
    commit: git('describe', '--always', '--dirty', '--exclude', '*'),
    machine: {
      cpu: cpus()[0]!.model,
      cores: availableParallelism(),
      memory_gb: Math.round(totalmem() / 2 ** 30),
      system: `${type()} ${release()}`,
    },
    versions,
    postgresql_settings: postgresSettings,
    effort,
    connections: CONNECTIONS,
    throughput: throughputs,
    round_trips,
    growth,
    at_half,
    beside,
    locks: { ...locks, deadlocks: counts!.deadlocks },
    memory,
    embedded,
    cold_start: { postgresql: coldPostgresql, embedded: coldEmbedded },
    ...(sdk && { sdk }),
  }
}

/** The service on the embedded database beside the one on PostgreSQL. */
async function measureEmbedded(postgresql: Target) {
  tell('filling an embedded database')
  const url = `file:${folder}/embedded`
  const server = await startService(url)
  const size = Math.min(postgresql.size, MOST_EMBEDDED)
  const embedded: Target = { ...(await openOverHttp('embedded', server.base, size)), server }
  const few = [getTask, listSession]
  const { perSecond } = await throughput([postgresql, embedded], few, effort, tell)
  await server.stop()
  tell('starts on an embedded folder')
  return {
    size,
    calls: few.map((call) => ({
      call: call.name,
      per_second: spread(perSecond(embedded, call)),
      of_postgresql: ratio(perSecond(embedded, call), perSecond(postgresql, call)),
    })),
    coldEmbedded: await coldStart(() => startService(url), effort),
  }
}

/** A database of this size, with the service and the floor on it. */
async function openSize(size: number): Promise<Target[]> {
  const database = await cluster.newDatabase(`tasks_${size}`)
  // The service makes the tables.
  const server = await startService(database)
  const sql = postgres(database, { max: 2, onnotice: () => {} })
  await fill(sql, size)
  const sessions = await readSessions(sql)
  const floor = await startFloor(database)
  const targets: Target[] = [
    { name: 'service', size, base: server.base, sessions, server, database, sql },
    { name: 'floor', size, base: floor.base, sessions, server: floor, database, sql },
  ]
  await assertSameAnswers(targets[0]!, targets[1]!)
  return targets
}

/** A service whose database is out of reach, filled through its API. */
async function openOverHttp(name: Target['name'], base: string, size: number): Promise<Target> {
  return { name, size, base, sessions: await fillOverHttp(base, size) }
}

function keep(results: Results, markdown: string) {
  const directory = fileURLToPath(new URL('results', import.meta.url))
  mkdirSync(directory, { recursive: true })
  const file = join(directory, `${results.date.slice(0, 10)}-${results.commit}`)
  writeFileSync(`${file}.json`, `${JSON.stringify(results, null, 2)}\n`)
  writeFileSync(`${file}.md`, `${markdown}\n`)
  tell(`kept as ${file}.json and .md`)
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim()
}
