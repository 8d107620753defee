/** The service on the embedded database, beside the one on PostgreSQL. */
import { rmSync } from 'node:fs'
import { type Call, calls } from './calls.js'
import { fillOverHttp } from './data.js'
import {
  atRate,
  coldStart,
  type Effort,
  ratio,
  type Spread,
  spread,
  type Target,
  throughput,
} from './measures.js'
import { folder, type Server, startService } from './processes.js'

/** The lowest throughput that is aimed at, as a part of that on PostgreSQL. */
const TARGETS: Record<string, number> = {
  'get task': 0.5,
  'list session': 0.3,
  'create task': 0.3,
  'bulk update of 20': 0.3,
}

/** The embedded database is filled through the API, which is slow. */
const MAX_TASKS = 10_000

export interface EmbeddedResults {
  size: number
  calls: {
    call: string
    target: number
    per_second: Spread
    postgresql: Spread
    of_postgresql: Spread
    /** At half of the median rate, in milliseconds. */
    at_half: { p50: number; p99: number }
  }[]
  /** Milliseconds to the first response, in a new folder and in one with this many tasks. */
  start: { first: Spread; existing: Spread }
  /** The peak at a start and under load, in megabytes; absent except on Linux. */
  memory?: { start: number; load: number }
}

export async function measureEmbedded(
  postgresql: Target,
  effort: Effort,
  progress: (line: string) => void,
): Promise<EmbeddedResults> {
  progress('filling an embedded database')
  const url = `file:${folder}/embedded`
  const server = await startService(url)
  const size = Math.min(postgresql.size, MAX_TASKS)
  const sessions = await fillOverHttp(server.base, size)
  const embedded: Target = { name: 'embedded', size, base: server.base, sessions, server }
  const measured = calls.filter(({ name }) => name in TARGETS)
  const { perSecond } = await throughput([postgresql, embedded], measured, effort, progress)

  const rows: EmbeddedResults['calls'] = []
  for (const call of measured) rows.push(await measureCall(call))
  const load = server.memory()?.peak
  await server.stop()

  progress('starts on the embedded database')
  const peaks: number[] = []
  const start = async (of: string) => {
    const started = await startService(of)
    peaks.push(started.memory()?.peak ?? 0)
    return started
  }
  const newFolder = `${folder}/new`
  const first = await coldStart(async (): Promise<Server> => {
    rmSync(newFolder, { recursive: true, force: true })
    return start(`file:${newFolder}`)
  }, effort)
  const existing = await coldStart(() => start(url), effort)
  const memory = load !== undefined && { memory: { start: Math.max(...peaks), load } }
  return { size, calls: rows, start: { first, existing }, ...memory }

  async function measureCall(call: Call) {
    const per_second = spread(perSecond(embedded, call))
    const { p50, p99 } = await atRate(embedded, call, per_second.median / 2, effort.seconds)
    progress(`${call.name} at half: p50 ${p50} ms, p99 ${p99} ms`)
    return {
      call: call.name,
      target: TARGETS[call.name]!,
      per_second,
      postgresql: spread(perSecond(postgresql, call)),
      of_postgresql: ratio(perSecond(embedded, call), perSecond(postgresql, call)),
      at_half: { p50, p99 },
    }
  }
}
