/** Callers who write through the SDK, and a ledger of what they were told: held against the database at the end. */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  AklpError,
  type Client,
  ConflictError,
  createClient,
  NotFoundError,
} from '../../packages/client/src/index.js'
import postgres from '../../packages/server/vendor/postgres.js'

/** Between two calls of a caller, in milliseconds. */
const PAUSE = 200

export type Load = ReturnType<typeof startLoad>

/**
 * @param service where the balancer is
 * @param servers the servers behind it, by the name of their way to the database
 */
export function startLoad(service: string, servers: Record<string, string>) {
  const session_id = crypto.randomUUID()
  /** When writes were acknowledged, by whom they were sent to. */
  const acknowledged: Record<string, number[]> = { balancer: [] }
  /** Every title that was sent; each must be there once. */
  const created: string[] = []
  const planned: string[] = []
  /** What each lone caller was told last. */
  const steps = new Map<string, string>()
  /** What the callers were told who count together, and how often they were told nothing. */
  const counted: number[] = []
  let unknown = 0
  const seen = { calls: 0, failures: new Map<string, number>(), conflicts: 0, missed: [] as string[] }
  let loaded = true

  const failed = (error: unknown) => {
    const { status, error_code, name } = error as AklpError
    const kind = error instanceof AklpError ? `${status} ${error_code}` : name
    seen.failures.set(kind, (seen.failures.get(kind) ?? 0) + 1)
  }

  /** Makes a call until it is acknowledged, as an agent does that repeats its step. */
  async function insist<T>(via: string, call: () => Promise<T>): Promise<T> {
    for (;;) {
      seen.calls++
      try {
        const answer = await call()
        acknowledged[via]!.push(performance.now())
        return answer
      } catch (error) {
        failed(error)
        await sleep(PAUSE)
      }
    }
  }

  const repeat = async (work: (n: number) => Promise<unknown>) => {
    for (let n = 0; loaded; n++) {
      await work(n)
      await sleep(PAUSE)
    }
  }

  /** Creates tasks with a key, and looks whether the next reader sees them. */
  const creates = (via: string, client: Client, name: string) =>
    repeat(async (n) => {
      const title = `create-${name}-${n}`
      created.push(title)
      const { id } = await insist(via, () =>
        client.tasks.create({ title, session_id }, { idempotencyKey: title }),
      )
      await client.tasks.get(id).catch((error) => {
        if (error instanceof NotFoundError) seen.missed.push(title)
        else failed(error)
      })
    })

  const plans = (client: Client, name: string) =>
    repeat(async (n) => {
      const reason = `plan-${name}-${n}`
      planned.push(reason)
      const tasks = [{ title: `${reason} a` }, { title: `${reason} b` }, { title: `${reason} c` }]
      await insist('balancer', () =>
        client.batches.create({ reason, session_id, tasks }, { idempotencyKey: reason }),
      )
    })

  /** Changes a task of its own, without a condition. */
  const updates = async (client: Client, name: string) => {
    const title = `update-${name}`
    created.push(title)
    const { id } = await insist('balancer', () => client.tasks.create({ title }, { idempotencyKey: title }))
    await repeat(async (n) => {
      const description = `step ${n}`
      await insist('balancer', () => client.tasks.update(id, { description }))
      steps.set(title, description)
    })
  }

  /** Counts in a task together with others: each change is on the condition that nobody changed it since. */
  const counts = (client: Client, id: string) =>
    repeat(async () => {
      seen.calls++
      try {
        const { description, updated_at } = await client.tasks.get(id)
        const next = Number(description) + 1
        try {
          await client.tasks.update(id, { description: `${next}` }, { ifUnchangedSince: updated_at })
          counted.push(next)
          acknowledged.balancer!.push(performance.now())
        } catch (error) {
          if (error instanceof ConflictError) seen.conflicts++
          else unknown++
          throw error
        }
      } catch (error) {
        if (!(error instanceof ConflictError)) failed(error)
      }
    })

  const client = createClient({ baseUrl: service, timeout: 8_000, retries: 3 })
  const callers: Promise<unknown>[] = [1, 2].flatMap((n) => [
    creates('balancer', client, `balancer-${n}`),
    plans(client, `${n}`),
    updates(client, `${n}`),
  ])
  for (const [way, baseUrl] of Object.entries(servers)) {
    acknowledged[way] = []
    callers.push(
      creates(way, createClient({ baseUrl, timeout: 3_000, retries: 0 }), way.replaceAll(' ', '-')),
    )
  }
  created.push('count')
  const counter = insist('balancer', () =>
    client.tasks.create({ title: 'count', description: '0' }, { idempotencyKey: 'count' }),
  )
  for (let n = 0; n < 3; n++) callers.push(counter.then(({ id }) => counts(client, id)))

  return {
    seen,
    acknowledgements: () => Object.values(acknowledged).reduce((sum, { length }) => sum + length, 0),
    /** The longest time without an acknowledged write since then, in seconds, for each whom callers write to. */
    gaps(since: number): Record<string, number> {
      const now = performance.now()
      return Object.fromEntries(
        Object.entries(acknowledged).map(([via, times]) => {
          const edges = [since, ...times.filter((time) => time > since), now]
          return [via, Math.max(...edges.slice(1).map((time, n) => time - edges[n]!)) / 1000]
        }),
      )
    },
    /** When each whom callers write to acknowledged something after that moment. */
    goesOn: (since: number) =>
      Object.values(acknowledged).every((times) => times.some((time) => time > since)),
    async stop() {
      loaded = false
      await Promise.all(callers)
    },
    /** What does not hold in the database, in words. */
    async mistakes(url: string) {
      const sql = postgres(url, { max: 1 })
      const tasks = await sql<{ title: string; description: string | null; count: number }[]>`
        select title, min(description) as description, count(*)::int from tasks where batch_id is null group by title`
      const batches = await sql<{ reason: string; count: number; tasks: string }[]>`
        select reason, count(distinct b.id)::int, string_agg(t.title, ',' order by position) as tasks
        from batches b join tasks t on t.batch_id = b.id group by reason`
      await sql.end()
      const lost: string[] = []
      const doubled: string[] = []
      const wrong: string[] = []
      const byTitle = new Map(tasks.map((task) => [task.title, task]))
      const byReason = new Map(batches.map((batch) => [batch.reason, batch]))
      for (const [names, rows] of [
        [created, byTitle],
        [planned, byReason],
      ] as const) {
        for (const name of names) if (!rows.has(name)) lost.push(name)
        for (const [name, { count }] of rows)
          if (count !== 1 || !names.includes(name)) doubled.push(`${name} × ${count}`)
      }
      for (const reason of planned) {
        const expected = ['a', 'b', 'c'].map((task) => `${reason} ${task}`).join()
        if (byReason.get(reason) && byReason.get(reason)!.tasks !== expected) wrong.push(reason)
      }
      for (const [title, description] of steps) {
        const now = byTitle.get(title)?.description
        if (now !== description) lost.push(`${title}: ${now} instead of ${description}`)
      }
      const count = Number(byTitle.get('count')?.description)
      if (new Set(counted).size !== counted.length) doubled.push('two callers were told the same count')
      if (count < Math.max(0, ...counted))
        lost.push(`the count is ${count}, and ${Math.max(...counted)} was acknowledged`)
      if (count - counted.length > unknown)
        doubled.push(`the count is ${count} after ${counted.length} and at most ${unknown}`)
      return {
        lost,
        doubled,
        wrong,
        writes: created.length + planned.length,
        count,
        counted: counted.length,
        unknown,
      }
    },
  }
}
