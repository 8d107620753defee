/** A session with two agents, which record every acknowledged write. It is compared with the databases of all cells at the end. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from 'postgres'
import {
  AklpError,
  ConflictError,
  createClient,
  LeaseLostError,
  type Session,
} from '../../packages/client/src/index.js'

/** Between two turns of an agent. */
const PAUSE_MS = 100

export type SessionLoad = ReturnType<typeof startSession>

/** @param service the URL of the load balancer */
export function startSession(service: string, id: string) {
  /** Every error, also those that the SDK retries. */
  const errors: { at: number; kind: string }[] = []
  const acknowledged: number[] = []
  /** The title of every task that was sent. Each must exist once. */
  const created = new Set<string>()
  /** Titles of acknowledged completions. */
  const completed: string[] = []
  /** Acknowledged values of the counter, and the number of increments without a response. */
  const counted: number[] = []
  let unknown = 0
  let lostLeases = 0
  let running = true

  const record = (error: unknown) => {
    const kind = error instanceof AklpError ? `${error.status} ${error.error_code}` : (error as Error).name
    errors.push({ at: performance.now(), kind })
  }
  const client = createClient({
    baseUrl: service,
    timeout: 20_000,
    retries: 3,
    onRetry: ({ error }) => record(error),
  })
  const session = client.session(id)

  /** Repeats a call until it succeeds or conflicts, as an agent that retries its step. */
  async function untilDone<T>(call: (session: Session) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const result = await call(session)
        acknowledged.push(performance.now())
        return result
      } catch (error) {
        if (error instanceof ConflictError) throw error
        record(error)
        await sleep(PAUSE_MS)
      }
    }
  }

  const create = (title: string, not_before?: string) => {
    created.add(title)
    const task = { title, ...(not_before && { not_before }) }
    return untilDone(({ tasks }) => tasks.create(task, { idempotencyKey: `${id}:${title}` }))
  }

  async function increment(counter: string) {
    try {
      const { description, updated_at } = await session.tasks.get(counter)
      const next = Number(description ?? 0) + 1
      try {
        await session.tasks.update(counter, { description: `${next}` }, { ifUnchangedSince: updated_at })
        counted.push(next)
        acknowledged.push(performance.now())
      } catch (error) {
        if (!(error instanceof ConflictError)) unknown++
        throw error
      }
    } catch (error) {
      if (!(error instanceof ConflictError)) record(error)
    }
  }

  /** Creates a task, completes the one that it holds, claims the next and increments the counter, again and again. */
  async function work(worker: string, counter: string) {
    let held: { title: string; done: { task_id: string; token: string } } | undefined
    for (let n = 0; running; n++) {
      await create(`${worker}:${n}`)
      const request = held ? { worker, done: held.done } : { worker, resume: true }
      const idempotencyKey = `${id}:${worker}:claim:${n}`
      try {
        const { task, lease } = await untilDone(({ tasks }) => tasks.claimNext(request, { idempotencyKey }))
        if (held) completed.push(held.title)
        held =
          task && lease ? { title: task.title, done: { task_id: task.id, token: lease.token } } : undefined
      } catch (error) {
        if (!(error instanceof LeaseLostError)) throw error
        // Leases do not move with their session: the next claim resumes the task.
        lostLeases++
        held = undefined
      }
      await increment(counter)
      await sleep(PAUSE_MS)
    }
  }

  // It is never ready, so nobody claims it.
  const agents = create('counter', '2100-01-01T00:00:00Z').then((counter) =>
    Promise.all(['agent-1', 'agent-2'].map((worker) => work(worker, counter.id))),
  )

  return {
    id,
    errors,
    acknowledged,
    lostLeases: () => lostLeases,
    acknowledgedSince: (since: number) => acknowledged.some((time) => time > since),
    errorsSince: (since: number) => errors.filter(({ at }) => at > since).map(({ kind }) => kind),
    async stop() {
      running = false
      await agents
    },
    /** Compares the databases, of which one should have the session, with the acknowledged writes. */
    async verify(own: Sql, others: Sql[]) {
      const read = (sql: Sql) => sql<{ title: string; status: string; description: string | null }[]>`
        select title, status, description from tasks where session_id = ${id}`
      const [tasks, ...elsewhere] = await Promise.all([own, ...others].map(read))
      const byTitle = new Map(tasks!.map((task) => [task.title, task]))
      const count = Number(byTitle.get('counter')?.description ?? 0)
      const lost = [
        ...[...created].filter((title) => !byTitle.has(title)),
        ...completed.filter((title) => byTitle.get(title)?.status !== 'completed'),
        ...counted.filter((value) => value > count).map((value) => `count ${value}`),
      ]
      const doubled = [
        ...elsewhere.flat().map(({ title }) => `${title} in another cell`),
        ...repeated(tasks!.map(({ title }) => title)),
        ...repeated(completed).map((title) => `${title} completed`),
        ...repeated(counted).map((value) => `count ${value}`),
        ...[...byTitle.keys()].filter((title) => !created.has(title)),
        ...(count > counted.length + unknown ? [`the count is ${count}`] : []),
      ]
      return { lost, doubled }
    },
  }
}

const repeated = <T>(values: T[]) => values.filter((value, n) => values.indexOf(value) < n)
