/** What every scenario is, and the findings that several of them make. */
import { readdirSync } from 'node:fs'
import type { Server, startPostgres } from '../bench/processes.js'
import type { Answer } from './traffic.js'

export interface Scenario {
  /** How long the fault, or the load, lasts unless told otherwise. */
  seconds: number
  run(context: Context): Promise<Finding[]>
}

export interface Context {
  /** A PostgreSQL of the scenario's own. */
  cluster: Awaited<ReturnType<typeof startPostgres>>
  seconds: number
}

export interface Finding {
  must: string
  seen: string
  holds: boolean
}

/** Only successes, and refusals that say when to come again. */
export function onlyRefusals(answers: Answer[]): Finding {
  const kinds = new Map<string, number>()
  for (const { status, retryAfter, code } of answers) {
    const kind = `${status || 'no answer'}${code ? ` ${code}` : ''}${status === 503 && !retryAfter ? ' without Retry-After' : ''}`
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  return {
    must: 'success, or 503 or 429 with Retry-After',
    seen: [...kinds].map(([kind, count]) => `${count} × ${kind}`).join(', '),
    holds:
      answers.length > 0 &&
      answers.every(
        ({ status, retryAfter }) => isSuccess(status) || (retryAfter && (status === 503 || status === 429)),
      ),
  }
}

export const isSuccess = (status: number) => status >= 200 && status < 300

export function answeredWithin(answers: Answer[], deadline: number): Finding {
  const slowest = Math.round(Math.max(...answers.map(({ ms }) => ms)))
  return {
    must: `every answer within ${deadline} ms`,
    seen: `slowest ${slowest} ms`,
    holds: slowest <= deadline,
  }
}

/** All answers to what was asked later than two seconds after `end` are successes. */
export function recovered(answers: Answer[], end: number): Finding {
  const failed = answers.filter(({ at, status }) => at > end && !isSuccess(status))
  const after = Math.max(0, ...failed.map(({ at }) => Math.round(at - end)))
  const asked = answers.filter(({ at }) => at > end + 2000).length
  return {
    must: 'as before within 2 s, by itself',
    seen: `last refusal of what was asked ${after} ms after the end; ${asked} successes later than 2 s`,
    holds: after <= 2000 && asked > 0,
  }
}

export function stillRuns(server: Server): Finding {
  const crashes = server.log().match(/^(?!\{).+/gm) ?? []
  return {
    must: 'the server does not crash',
    seen: `${server.running() ? 'runs' : 'ended'}${crashes.length > 0 ? `; wrote ${crashes[0]}` : ''}`,
    holds: server.running() && crashes.length === 0,
  }
}

export function percentile(values: number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return (
    Math.round(
      10 * (sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN),
    ) / 10
  )
}

/** Open files and sockets of a process. */
export const handles = (pid: number) => readdirSync(`/proc/${pid}/fd`).length
