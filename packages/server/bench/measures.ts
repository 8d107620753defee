/** The measurements. Whatever is compared is measured in the same run and in turn: A B A B. */
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
import { type Session, tidy } from './data.js'
import { load, type Measure } from './load.js'
import type { Server } from './processes.js'

/** How long to measure. */
export interface Effort {
  rounds: number
  /** Each load. */
  seconds: number
  /** Starts of a process. */
  starts: number
}

/** What is put under load: the service, the floor, another implementation, or an earlier build. */
export interface Target {
  name: 'service' | 'floor' | 'other' | 'embedded' | 'before'
  base: string
  size: number
  sessions: Session[]
  /** Absent where somebody else runs it. */
  server?: Server
  /** The PostgreSQL behind it, where it is within reach: its URL and a connection. */
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

/** Each round is compared with itself: what else the machine did meanwhile, it did to both. */
export const ratio = (a: number[], b: number[]) => spread(a.map((value, round) => value / b[round]!))

export const CONNECTIONS = 32

/** A load of one call; what it wrote is taken away again. */
async function loadCall(
  target: Target,
  call: Call,
  options: { seconds: number; rate?: number },
): Promise<Measure> {
  const requests = requestsOf(call, target.sessions)
  const measure = await load({ base: target.base, requests, connections: CONNECTIONS, ...options })
  if (call.writes && target.sql) await tidy(target.sql)
  target.server?.emptyLog()
  return measure
}

/** Fails unless both answer the same, but for the ids and times that a write makes. */
export async function assertSameAnswers(a: Target, b: Target) {
  for (const call of calls) {
    const request = call.request(a.sessions[0]!, 3)
    const [ours, theirs] = [await answerTo(a.base, request), await answerTo(b.base, request)]
    const plain = ({ status, text }: { status: number; text: string }) => ({
      status,
      body: JSON.parse(
        call.writes
          ? text.replaceAll(/"[\da-f]{8}-[\da-f-]{27}"|"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"made"')
          : text,
      ),
    })
    assert.deepEqual(plain(theirs), plain(ours), `${call.name}: ${a.name} and ${b.name} answer differently`)
  }
  await tidy(a.sql!)
}

async function answerTo(base: string, { method, path, body }: Request) {
  const response = await fetch(base + path, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${base}${path}: ${response.status} ${text}`)
  return { status: response.status, text }
}

/** The highest throughput of each call on each target, by round. */
export async function throughput(
  targets: Target[],
  measured: Call[],
  { rounds, seconds }: Effort,
  tell: (line: string) => void,
) {
  const measures = new Map(
    targets.map((target) => [target, new Map(measured.map((call) => [call, [] as Measure[]]))]),
  )
  const memory = new Map(targets.map((target) => [target, [] as number[]]))
  for (let round = 0; round <= rounds; round++) {
    for (const call of measured) {
      const seen: string[] = []
      for (const target of targets) {
        const measure = await loadCall(target, call, { seconds: round === 0 ? seconds / 2 : seconds })
        // The first round is for the compilers and caches of all.
        if (round > 0) measures.get(target)!.get(call)!.push(measure)
        seen.push(`${target.name} ${Math.round(measure.perSecond)}/s`)
      }
      tell(`${round === 0 ? 'warming up' : `round ${round} of ${rounds}`}, ${call.name}: ${seen.join(', ')}`)
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
      .map((measure) => measure.perSecond)
  return { measures, perSecond, memory }
}

/** The latency of a call at a rate that the target is given whether it keeps up or not. */
export async function atRate(target: Target, call: Call, rate: number, seconds: number): Promise<Measure> {
  // Rare requests get more time: a percentile needs some.
  return loadCall(target, call, { rate, seconds: Math.min(10, Math.max(2 * seconds, 300 / rate)) })
}

/** The latency of get task at this rate, alone and while two clients list everything again and again. */
export async function besideUnfilteredLists(target: Target, rate: number, seconds: number) {
  const alone = await loadCall(target, getTask, { rate, seconds: 2 * seconds })
  const [beside, lists] = await Promise.all([
    loadCall(target, getTask, { rate, seconds: 2 * seconds }),
    load({
      base: target.base,
      requests: requestsOf(listAll, target.sessions),
      connections: 2,
      seconds: 2 * seconds,
    }),
  ])
  return { alone, beside, lists }
}

/** Lock waits, as often as they can be seen, while one client updates the tasks of sessions that others list. */
export async function lockWaits(target: Target, seconds: number) {
  const few = target.sessions.slice(0, 4)
  const repeated = Array.from({ length: 40 * few.length }, (_, turn) => few[turn % few.length]!)
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
  await tidy(target.sql!)
  target.server?.emptyLog()
  return { updates, lists, samples, waits }
}

const COUNTED = 20

/** How many statements each call of a service sends to PostgreSQL, which counts them: each is a round trip. */
export async function roundTrips({ base, sessions, sql }: Target): Promise<Record<string, number>> {
  await sql!`create extension if not exists pg_stat_statements`
  const counts: Record<string, number> = {}
  for (const call of calls) {
    await sql!`select pg_stat_statements_reset()`
    for (const request of requestsOf(call, sessions).slice(0, COUNTED)) await answerTo(base, request)
    const [row] = await sql!`select sum(calls)::int as calls from pg_stat_statements`
    counts[call.name] = row!.calls / COUNTED
  }
  await tidy(sql!)
  return counts
}

/** How long the service takes from its start to the first answer, in milliseconds. */
export async function coldStart(start: () => Promise<Server>, { starts }: Effort): Promise<Spread> {
  const times: number[] = []
  for (let nth = 0; nth < starts; nth++) {
    const server = await start()
    times.push(server.startedIn)
    await server.stop()
  }
  return spread(times)
}

const CALLS_A_TURN = 200

/**
 * One call after the other through the SDK and through bare fetch, in turn, in microseconds a call; undefined when the
 * SDK is not built. Both run in this process, and so in the same one.
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
    for (const id of ids.slice(0, CALLS_A_TURN)) await call(id)
    return (1000 * (performance.now() - start)) / CALLS_A_TURN
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
