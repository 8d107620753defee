/** The scenario interface, and the findings that several scenarios share. */
import { readdirSync } from 'node:fs'
import postgres from 'postgres'
import { fill, readSessions } from '../bench/data.js'
import { type Server, type startPostgres, startService } from '../bench/processes.js'
import type { CallResult } from './traffic.js'

export interface Scenario {
  /** Default duration of the fault or the load. */
  seconds: number
  run(context: Context): Promise<Finding[]>
}

export interface Context {
  /** A PostgreSQL server for this scenario only. */
  cluster: Awaited<ReturnType<typeof startPostgres>>
  seconds: number
  /** For choices at random. */
  seed: number
  /** How many calls a history has. */
  calls: number
}

export interface Finding {
  expected: string
  observed: string
  passed: boolean
}

let databases = 0

/** The service on a new database with this many tasks, and a sample of their sessions. */
export async function startWithTasks(cluster: Context['cluster'], tasks: number, settings = {}) {
  const database = await cluster.newDatabase(`faults_${++databases}`)
  const server = await startService(database, settings)
  const sql = postgres(database, { max: 1, onnotice: () => {} })
  await fill(sql, tasks)
  const sessions = await readSessions(sql)
  await sql.end()
  return { server, database, sessions }
}

/** Only successes, and rejections that say when to retry. */
export function onlyExpectedStatuses(results: CallResult[]): Finding {
  const kinds = new Map<string, number>()
  for (const { status, retryAfter, code } of results) {
    const kind = `${status || 'no response'}${code ? ` ${code}` : ''}${status === 503 && !retryAfter ? ' without Retry-After' : ''}`
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  return {
    expected: 'success, or 503 or 429 with Retry-After',
    observed: [...kinds].map(([kind, count]) => `${count} × ${kind}`).join(', '),
    passed:
      results.length > 0 &&
      results.every(
        ({ status, retryAfter }) => isSuccess(status) || (retryAfter && (status === 503 || status === 429)),
      ),
  }
}

export const isSuccess = (status: number) => status >= 200 && status < 300

export function respondsWithin(results: CallResult[], deadline: number): Finding {
  const slowest = Math.round(Math.max(...results.map(({ ms }) => ms)))
  return {
    expected: `every response within ${deadline} ms`,
    observed: `slowest ${slowest} ms`,
    passed: slowest <= deadline,
  }
}

/** Every request sent more than two seconds after `end` succeeds. */
export function recovered(results: CallResult[], end: number): Finding {
  const failed = results.filter(({ at, status }) => at > end && !isSuccess(status))
  const lastFailure = Math.max(0, ...failed.map(({ at }) => Math.round(at - end)))
  const later = results.filter(({ at }) => at > end + 2000).length
  return {
    expected: 'recovers by itself within 2 s',
    observed: `last failed request sent ${lastFailure} ms after the end; ${later} requests later than 2 s`,
    passed: lastFailure <= 2000 && later > 0,
  }
}

export function stillRuns(server: Server): Finding {
  const crashes = server.log().match(/^(?!\{).+/gm) ?? []
  return {
    expected: 'the server does not crash',
    observed: `${server.running() ? 'runs' : 'exited'}${crashes.length > 0 ? `; wrote ${crashes[0]}` : ''}`,
    passed: server.running() && crashes.length === 0,
  }
}

export function percentile(values: number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const index = Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))
  return Math.round(10 * (sorted[index] ?? Number.NaN)) / 10
}

/** The number of open files and sockets of a process. Linux only. */
export const handles = (pid: number) => readdirSync(`/proc/${pid}/fd`).length
