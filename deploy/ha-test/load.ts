/** Clients that write through the SDK and record every acknowledged write, which is compared with the database at the end. */
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import {
  AklpError,
  type Client,
  ConflictError,
  createClient,
  NotFoundError,
} from '../../packages/client/src/index.js'

/** Between two calls of a client. */
const PAUSE_MS = 200

export type Load = ReturnType<typeof startLoad>

/**
 * @param service the URL of the load balancer
 * @param servers the URLs of the servers behind it, by the name of their database connection
 */
export function startLoad(service: string, servers: Record<string, string>) {
  const session_id = crypto.randomUUID()
  /** Times of acknowledged writes, by the endpoint that they were sent to. */
  const acknowledged: Record<string, number[]> = { balancer: [] }
  /** Every title and reason that was sent. Each must exist once. */
  const created: string[] = []
  const planned: string[] = []
  /** The last acknowledged description of each task that a single client updates. */
  const lastDescriptions = new Map<string, string>()
  /** Acknowledged values of the counter, and the number of increments without a response. */
  const counted: number[] = []
  let unknown = 0
  const stats = { calls: 0, failures: new Map<string, number>(), conflicts: 0, missed: [] as string[] }
  let running = true

  const recordFailure = (error: unknown) => {
    const { status, error_code, name } = error as AklpError
    const kind = error instanceof AklpError ? `${status} ${error_code}` : name
    stats.failures.set(kind, (stats.failures.get(kind) ?? 0) + 1)
  }

  /** Repeats a call until it succeeds, as an agent that retries its step. */
  async function retryUntilAcknowledged<T>(via: string, call: () => Promise<T>): Promise<T> {
    for (;;) {
      stats.calls++
      try {
        const result = await call()
        acknowledged[via]!.push(performance.now())
        return result
      } catch (error) {
        recordFailure(error)
        await sleep(PAUSE_MS)
      }
    }
  }

  const repeat = async (work: (n: number) => Promise<unknown>) => {
    for (let n = 0; running; n++) {
      await work(n)
      await sleep(PAUSE_MS)
    }
  }

  /** Creates tasks with an idempotency key, and checks that the next read returns them. */
  const createTasks = (via: string, client: Client, name: string) =>
    repeat(async (n) => {
      const title = `create-${name}-${n}`
      created.push(title)
      const { id } = await retryUntilAcknowledged(via, () =>
        client.tasks.create({ title, session_id }, { idempotencyKey: title }),
      )
      await client.tasks.get(id).catch((error) => {
        if (error instanceof NotFoundError) stats.missed.push(title)
        else recordFailure(error)
      })
    })

  const createBatches = (client: Client, name: string) =>
    repeat(async (n) => {
      const reason = `plan-${name}-${n}`
      planned.push(reason)
      const tasks = [{ title: `${reason} a` }, { title: `${reason} b` }, { title: `${reason} c` }]
      await retryUntilAcknowledged('balancer', () =>
        client.batches.create({ reason, session_id, tasks }, { idempotencyKey: reason }),
      )
    })

  /** Updates a task that no other client updates, unconditionally. */
  const updateTask = async (client: Client, name: string) => {
    const title = `update-${name}`
    created.push(title)
    const { id } = await retryUntilAcknowledged('balancer', () =>
      client.tasks.create({ title }, { idempotencyKey: title }),
    )
    await repeat(async (n) => {
      const description = `step ${n}`
      await retryUntilAcknowledged('balancer', () => client.tasks.update(id, { description }))
      lastDescriptions.set(title, description)
    })
  }

  /** Increments a counter that other clients also increment, with conditional updates. */
  const incrementCounter = (client: Client, id: string) =>
    repeat(async () => {
      stats.calls++
      try {
        const { description, updated_at } = await client.tasks.get(id)
        const next = Number(description) + 1
        try {
          await client.tasks.update(id, { description: `${next}` }, { ifUnchangedSince: updated_at })
          counted.push(next)
          acknowledged.balancer!.push(performance.now())
        } catch (error) {
          if (error instanceof ConflictError) stats.conflicts++
          else unknown++
          throw error
        }
      } catch (error) {
        if (!(error instanceof ConflictError)) recordFailure(error)
      }
    })

  const client = createClient({ baseUrl: service, timeout: 8_000, retries: 3 })
  const clients: Promise<unknown>[] = [1, 2].flatMap((n) => [
    createTasks('balancer', client, `balancer-${n}`),
    createBatches(client, `${n}`),
    updateTask(client, `${n}`),
  ])
  for (const [via, baseUrl] of Object.entries(servers)) {
    acknowledged[via] = []
    clients.push(
      createTasks(via, createClient({ baseUrl, timeout: 3_000, retries: 0 }), via.replaceAll(' ', '-')),
    )
  }
  created.push('count')
  const counter = retryUntilAcknowledged('balancer', () =>
    client.tasks.create({ title: 'count', description: '0' }, { idempotencyKey: 'count' }),
  )
  for (let n = 0; n < 3; n++) clients.push(counter.then(({ id }) => incrementCounter(client, id)))

  return {
    stats,
    acknowledgements: () => Object.values(acknowledged).reduce((sum, { length }) => sum + length, 0),
    /** The longest time without an acknowledged write since then, in seconds, by endpoint. */
    gaps(since: number): Record<string, number> {
      const now = performance.now()
      return Object.fromEntries(
        Object.entries(acknowledged).map(([via, times]) => {
          const edges = [since, ...times.filter((time) => time > since), now]
          return [via, Math.max(...edges.slice(1).map((time, n) => time - edges[n]!)) / 1000]
        }),
      )
    },
    /** Whether every endpoint has acknowledged a write since then. */
    acknowledgedSince: (since: number) =>
      Object.values(acknowledged).every((times) => times.some((time) => time > since)),
    async stop() {
      running = false
      await Promise.all(clients)
    },
    /** Compares the database with the acknowledged writes. */
    async verify(url: string) {
      const sql = postgres(url, { max: 1 })
      const tasks = await sql<{ title: string; description: string | null; count: number }[]>`
        select title, min(description) as description, count(*)::int from tasks where batch_id is null group by title`
      const batches = await sql<{ reason: string; count: number; tasks: string }[]>`
        select reason, count(distinct b.id)::int, string_agg(t.title, ',' order by position) as tasks
        from batches b join tasks t on t.batch_id = b.id group by reason`
      await sql.end()
      const lost: string[] = []
      const duplicated: string[] = []
      const incomplete: string[] = []
      const byTitle = new Map(tasks.map((task) => [task.title, task]))
      const byReason = new Map(batches.map((batch) => [batch.reason, batch]))
      for (const [names, rows] of [
        [created, byTitle],
        [planned, byReason],
      ] as const) {
        for (const name of names) if (!rows.has(name)) lost.push(name)
        for (const [name, { count }] of rows)
          if (count !== 1 || !names.includes(name)) duplicated.push(`${name} × ${count}`)
      }
      for (const reason of planned) {
        const expected = ['a', 'b', 'c'].map((task) => `${reason} ${task}`).join()
        if (byReason.get(reason) && byReason.get(reason)!.tasks !== expected) incomplete.push(reason)
      }
      for (const [title, expected] of lastDescriptions) {
        const actual = byTitle.get(title)?.description
        if (actual !== expected) lost.push(`${title}: ${actual} instead of ${expected}`)
      }
      const count = Number(byTitle.get('count')?.description)
      if (new Set(counted).size !== counted.length) duplicated.push('two increments returned the same count')
      if (count < Math.max(0, ...counted))
        lost.push(`the count is ${count}, but ${Math.max(...counted)} was acknowledged`)
      if (count - counted.length > unknown)
        duplicated.push(
          `the count is ${count} after ${counted.length} acknowledged increments and ${unknown} without a response`,
        )
      return {
        lost,
        duplicated,
        incomplete,
        writes: created.length + planned.length,
        count,
        counted: counted.length,
        unknown,
      }
    },
  }
}
