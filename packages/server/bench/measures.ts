/** The measurements. Targets to compare are measured in the same run and in turns: A B A B. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import type { Sql } from 'postgres'
import {
  type Call,
  calls,
  getTask,
  listAll,
  listSession,
  type Request,
  requestsOf,
  updateTask,
} from './calls.js'
import { removeCreated, type Session } from './data.js'
import { load, type Measurement } from './load.js'
import type { Server } from './processes.js'

export interface Effort {
  rounds: number
  /** Duration of each load run. */
  seconds: number
  /** Number of process starts to measure. */
  starts: number
}

/** What is measured: the service, the baseline, another implementation, or an earlier build. */
export interface Target {
  name: 'service' | 'baseline' | 'other' | 'embedded' | 'before'
  base: string
  size: number
  sessions: Session[]
  /** Undefined if it was not started here. */
  server?: Server
  /** Its PostgreSQL database, if accessible: URL and connection. */
  database?: string
  sql?: Sql
}

export interface Spread {
  median: number
  lowest: number
  highest: number
}

export function spread(values: number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, lowest: sorted[0]!, highest: sorted.at(-1)! }
}

/** Compared by round: other load on the machine affects both values of a round. */
export const ratio = (a: number[], b: number[]) => spread(a.map((value, round) => value / b[round]!))

export const CONNECTIONS = 32

/** Puts one call under load, then deletes the created rows. */
async function loadCall(
  target: Target,
  call: Call,
  options: { seconds: number; rate?: number },
): Promise<Measurement> {
  const requests = requestsOf(call, target.sessions)
  const measurement = await load({ base: target.base, requests, connections: CONNECTIONS, ...options })
  if (call.writes && target.sql) await removeCreated(target.sql)
  target.server?.truncateLog()
  return measurement
}

/** Fails unless both return the same responses, except for ids and times that a write generates. */
export async function assertSameResponses(a: Target, b: Target) {
  for (const call of calls) {
    const request = call.request(a.sessions[0]!, 3)
    const [ours, theirs] = [await sendRequest(a.base, request), await sendRequest(b.base, request)]
    const comparable = ({ status, text }: { status: number; text: string }) => ({
      status,
      body: JSON.parse(
        call.writes
          ? text.replaceAll(/"[\da-f]{8}-[\da-f-]{27}"|"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"generated"')
          : text,
      ),
    })
    assert.deepEqual(
      comparable(theirs),
      comparable(ours),
      `${call.name}: ${a.name} and ${b.name} return different responses`,
    )
  }
  await removeCreated(a.sql!)
}

async function sendRequest(base: string, { method, path, body }: Request) {
  const response = await fetch(base + path, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${base}${path}: ${response.status} ${text}`)
  return { status: response.status, text }
}

/** The maximum throughput of each call on each target, by round. */
export async function throughput(
  targets: Target[],
  measured: Call[],
  { rounds, seconds }: Effort,
  progress: (line: string) => void,
) {
  const measures = new Map(
    targets.map((target) => [target, new Map(measured.map((call) => [call, [] as Measurement[]]))]),
  )
  const memory = new Map(targets.map((target) => [target, [] as number[]]))
  for (let round = 0; round <= rounds; round++) {
    for (const call of measured) {
      const rates: string[] = []
      // In turns, each first as often as last: what one leaves in caches and queues meets the next.
      for (const target of round % 2 === 0 ? targets : targets.toReversed()) {
        const measurement = await loadCall(target, call, { seconds: round === 0 ? seconds / 2 : seconds })
        // The first round only warms up.
        if (round > 0) measures.get(target)!.get(call)!.push(measurement)
        rates.push(`${target.name} ${Math.round(measurement.perSecond)}/s`)
      }
      progress(
        `${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}, ${call.name}: ${rates.join(', ')}`,
      )
    }
    for (const target of targets) {
      const used = target.server?.memory()
      if (used) memory.get(target)!.push(used.now)
    }
  }
  const perSecond = (target: Target, call: Call) =>
    measures
      .get(target)!
      .get(call)!
      .map((measurement) => measurement.perSecond)
  return { measures, perSecond, memory }
}

/** The latency of a call at a fixed request rate. */
export async function atRate(
  target: Target,
  call: Call,
  rate: number,
  seconds: number,
): Promise<Measurement> {
  // A low rate runs longer: a percentile needs enough requests.
  return loadCall(target, call, { rate, seconds: Math.min(10, Math.max(2 * seconds, 300 / rate)) })
}

/** The latency of get task at this rate, alone and while two clients list all tasks repeatedly. */
export async function duringUnfilteredLists(target: Target, rate: number, seconds: number) {
  const alone = await loadCall(target, getTask, { rate, seconds: 2 * seconds })
  const [during, lists] = await Promise.all([
    loadCall(target, getTask, { rate, seconds: 2 * seconds }),
    load({
      base: target.base,
      requests: requestsOf(listAll, target.sessions),
      connections: 2,
      seconds: 2 * seconds,
    }),
  ])
  return { alone, during, lists }
}

/** Samples lock waits while one client updates the tasks of sessions that others list. */
export async function lockWaits(target: Target, seconds: number) {
  const shared = target.sessions.slice(0, 4)
  const repeated = Array.from({ length: 40 * shared.length }, (_, turn) => shared[turn % shared.length]!)
  let [samples, waits, done] = [0, 0, false]
  const watch = async () => {
    for (; !done; samples++) {
      const [locks] = await target.sql!`select count(*)::int as waiting from pg_locks where not granted`
      waits += locks!.waiting
    }
  }
  const watching = watch()
  const [updates, lists] = await Promise.all([
    load({ base: target.base, requests: requestsOf(updateTask, repeated), connections: 1, seconds }),
    load({ base: target.base, requests: requestsOf(listSession, repeated), connections: 8, seconds }),
  ])
  done = true
  await watching
  await removeCreated(target.sql!)
  target.server?.truncateLog()
  return { updates, lists, samples, waits }
}

const REQUESTS_PER_CALL = 20

/** The number of statements of each call, from pg_stat_statements. Each statement is a round trip. */
export async function roundTrips({ base, sessions, sql }: Target): Promise<Record<string, number>> {
  await sql!`create extension if not exists pg_stat_statements`
  const counts: Record<string, number> = {}
  for (const call of calls) {
    await sql!`select pg_stat_statements_reset()`
    for (const request of requestsOf(call, sessions).slice(0, REQUESTS_PER_CALL))
      await sendRequest(base, request)
    const [row] = await sql!`select sum(calls)::int as calls from pg_stat_statements`
    counts[call.name] = row!.calls / REQUESTS_PER_CALL
  }
  await removeCreated(sql!)
  return counts
}

/** The time from the start of the process to the first response, in milliseconds. */
export async function coldStart(start: () => Promise<Server>, { starts }: Effort): Promise<Spread> {
  const times: number[] = []
  for (let n = 0; n < starts; n++) {
    const server = await start()
    times.push(server.startupMs)
    await server.stop()
  }
  return spread(times)
}

const CALLS_PER_TURN = 200

/**
 * The latency of sequential calls through the SDK and through fetch, in microseconds per call. Undefined if the SDK is not
 * built.
 */
export async function sdkOverFetch({ base, sessions }: Target, { rounds }: Effort) {
  const built = new URL('../../client/dist/index.js', import.meta.url)
  if (!existsSync(built)) return undefined
  const { createClient } = await import(built.href)
  const client = createClient({ baseUrl: base })
  const ids = sessions.flatMap(({ tasks }) => tasks)
  const clients = {
    sdk: (id: string) => client.tasks.get(id),
    fetch: async (id: string) => (await fetch(`${base}/api/v1/tasks/${id}`)).json(),
  }
  const time = async (call: (id: string) => Promise<unknown>) => {
    const start = performance.now()
    for (const id of ids.slice(0, CALLS_PER_TURN)) await call(id)
    return (1000 * (performance.now() - start)) / CALLS_PER_TURN
  }
  const times: Record<keyof typeof clients, number[]> = { sdk: [], fetch: [] }
  for (let turn = -1; turn < 4 * rounds; turn++) {
    const [sdk, bare] = [await time(clients.sdk), await time(clients.fetch)]
    // The first turn warms up.
    if (turn < 0) continue
    times.sdk.push(sdk)
    times.fetch.push(bare)
  }
  const overhead = times.sdk.map((sdk, turn) => sdk / times.fetch[turn]! - 1)
  return { sdk: spread(times.sdk), fetch: spread(times.fetch), overhead: spread(overhead) }
}
