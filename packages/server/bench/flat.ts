/** How calls scale with the data: those of a session at each size in turns, and lists of everything alone. */
import { type Call, calls, listAll } from './calls.js'
import { type Effort, ratio, type Spread, spread, type Target, throughput } from './measures.js'

/** Lists of everything, with the most milliseconds that one may take alone; undefined where the whole table may be read. */
const lists: { name: string; query: string; limit?: number }[] = [
  { name: 'no filter', query: '', limit: 20 },
  { name: 'by status', query: 'status=pending', limit: 20 },
  { name: 'by update', query: 'sort_by=updated_at&order=asc', limit: 20 },
  { name: 'by creation', query: 'sort_by=created_at', limit: 20 },
  { name: 'the hundredth page, by cursor', query: 'sort_by=created_at&limit=100', limit: 20 },
  { name: 'by priority', query: 'sort_by=priority' },
  { name: 'by due date', query: 'sort_by=due_date' },
]

export interface FlatResults {
  /** Requests per second at the smallest and the largest size, and how many times as long a call takes at the largest. */
  scoped: { call: string; from: Spread; to: Spread; times: Spread }[]
  /** Milliseconds of one request at a time at each size; undefined if the database cancelled it. */
  lists: { list: string; limit?: number; sizes: { size: number; alone: Spread | undefined }[] }[]
  /** Bytes for a task in the table and in each index, at the largest size. */
  bytes: { relation: string; bytes: number }[]
}

export async function measureFlat(
  targets: Target[],
  effort: Effort,
  progress: (line: string) => void,
): Promise<FlatResults> {
  const [smallest, largest] = [targets[0]!, targets.at(-1)!]
  const scoped = calls.filter((call) => call !== listAll)
  const { perSecond } = await throughput([smallest, largest], scoped, effort, progress)
  const results: FlatResults = {
    scoped: scoped.map((call: Call) => ({
      call: call.name,
      from: spread(perSecond(smallest, call)),
      to: spread(perSecond(largest, call)),
      times: ratio(perSecond(smallest, call), perSecond(largest, call)),
    })),
    lists: [],
    bytes: await bytesOfTask(largest),
  }
  for (const { name, query, limit } of lists) {
    const sizes = []
    for (const target of targets) {
      const path = name.includes('cursor') ? await hundredth(target, query) : `/tasks?${query}`
      const alone = await latency(target, path, limit === undefined ? 3 : 30)
      sizes.push({ size: target.size, alone })
      progress(`list, ${name}, ${target.size} tasks: ${alone?.median.toFixed(1)} ms`)
    }
    results.lists.push({ list: name, ...(limit && { limit }), sizes })
  }
  return results
}

/**
 * The time of a request, one after the other; undefined if it takes longer than the statement timeout. The first is not
 * counted: it reads pages that no other has.
 */
async function latency({ base }: Target, path: string, times: number): Promise<Spread | undefined> {
  const measured: number[] = []
  for (let time = 0; time <= times; time++) {
    const start = performance.now()
    const { status } = await request(base, path)
    if (status === 503) return undefined
    if (time > 0) measured.push(performance.now() - start)
  }
  return spread(measured)
}

/** The path of the hundredth page of a walk. */
async function hundredth({ base }: Target, query: string): Promise<string> {
  let path = `/tasks?${query}`
  for (let page = 1; page < 100; page++) {
    const { next_cursor } = JSON.parse((await request(base, path)).text) as { next_cursor: string }
    path = `/tasks?${query}&cursor=${next_cursor}`
  }
  return path
}

async function request(base: string, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${base}/api/v1${path}`)
  const text = await response.text()
  if (!response.ok && response.status !== 503) throw new Error(`GET ${path}: ${response.status} ${text}`)
  return { status: response.status, text }
}

async function bytesOfTask({ sql, size }: Target): Promise<FlatResults['bytes']> {
  const rows = await sql!<{ relation: string; bytes: string }[]>`
    select relname as relation, pg_table_size(oid) as bytes from pg_class
    where oid = 'tasks'::regclass or oid in (select indexrelid from pg_index where indrelid = 'tasks'::regclass)
    order by relkind desc, bytes desc`
  return rows.map(({ relation, bytes }) => ({ relation, bytes: Number(bytes) / size }))
}
