/** Claims over HTTP, beside the job queues pg-boss and graphile-worker called as libraries, on the same PostgreSQL. */
import { randomUUID } from 'node:crypto'
import { Logger, runMigrations, runOnce } from 'graphile-worker'
import PgBoss from 'pg-boss'
import postgres from 'postgres'
import { type Call, createBatch } from './calls.js'
import { Connection, toBytes } from './load.js'
import { CONNECTIONS, type Effort, ratio, type Spread, spread, type Target, throughput } from './measures.js'

/** Connections to PostgreSQL of each: the default of the service. */
const POOL_SIZE = 10
const TASKS_PER_SESSION = 40
/** Workers that share a session. */
const SHARING = 4
const GROUPS = CONNECTIONS / SHARING

/** Makes a set of jobs, and returns what {@link CONNECTIONS} workers at a time do to finish them. */
type Prepare = () => Promise<Work>
type Work = () => Promise<void>
type Way = 'two calls' | 'done' | 'pg-boss' | 'graphile-worker'

export interface ClaimResults {
  /** Tasks or jobs a second, and the ratio to pg-boss in the same round. */
  ways: { way: Way; per_second: Spread; of_pg_boss: Spread }[]
  /** Batches of ten with ten dependencies a second, and the ratio to those without. */
  dependencies: { per_second: Spread; of_without: Spread }
}

const withDependencies: Call = {
  ...createBatch,
  name: 'create batch of 10 with 10 dependencies',
  request(session, turn) {
    const request = createBatch.request(session, turn)
    const { tasks } = request.body as { tasks: object[] }
    // A chain of nine, and one more.
    const planned = tasks.map((task, nth) => ({
      ...task,
      key: String(nth),
      ...(nth > 0 && { blocked_by: (nth === 9 ? [8, 0] : [nth - 1]).map(String) }),
    }))
    return { ...request, body: { ...request.body, tasks: planned } }
  },
}

export async function measureClaims(
  service: Target,
  effort: Effort,
  progress: (line: string) => void,
): Promise<ClaimResults> {
  const sql = service.sql!
  const jobs = GROUPS * TASKS_PER_SESSION * Math.max(1, Math.round(4 * effort.seconds))
  const queues = await openQueues(service.database!, jobs)
  const ways: Record<Way, Prepare> = {
    'two calls': () => prepareSessions(service.base, jobs, false),
    done: () => prepareSessions(service.base, jobs, true),
    ...queues.ways,
  }
  const names = Object.keys(ways) as Way[]
  const rates = new Map(names.map((way) => [way, [] as number[]]))
  // The first round only warms up.
  for (let round = 0; round <= effort.rounds; round++) {
    for (const way of round % 2 === 0 ? names : names.toReversed()) {
      const work = await ways[way]()
      await sql.unsafe('vacuum analyze')
      const start = performance.now()
      await work()
      const perSecond = (1000 * jobs) / (performance.now() - start)
      service.server!.truncateLog()
      if (round > 0) rates.get(way)!.push(perSecond)
      progress(`round ${round} of ${effort.rounds}, ${way}: ${Math.round(perSecond)}/s`)
    }
  }
  await queues.close()
  const { perSecond } = await throughput([service], [createBatch, withDependencies], effort, progress)
  const [without, dependencies] = [createBatch, withDependencies].map((call) => perSecond(service, call))
  return {
    ways: names.map((way) => ({
      way,
      per_second: spread(rates.get(way)!),
      of_pg_boss: ratio(rates.get(way)!, rates.get('pg-boss')!),
    })),
    dependencies: { per_second: spread(dependencies!), of_without: ratio(dependencies!, without!) },
  }
}

/** Every worker takes from the sessions of its group, one after the other, until they are complete. */
async function prepareSessions(base: string, jobs: number, byDone: boolean): Promise<Work> {
  const url = new URL(base)
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => Connection.open(url)))
  const send = async (connection: Connection, method: string, path: string, body: object, token?: string) => {
    const request = {
      method,
      path: `/api/v1${path}`,
      body,
      ...(token && { headers: { 'Lease-Token': token } }),
    }
    const response = await connection.send(toBytes(request, url.host))
    if (response.status >= 300) throw new Error(`${method} ${path}: ${response.status} ${response.body}`)
    return JSON.parse(response.body.toString())
  }
  const sessions = Array.from({ length: jobs / TASKS_PER_SESSION }, () => randomUUID())
  const tasks = Array.from({ length: TASKS_PER_SESSION }, (_, nth) => ({ title: `${nth}` }))
  for (const session_id of sessions) await send(connections[0]!, 'POST', '/batches', { session_id, tasks })

  return async () => {
    let completed = 0
    const work = async (connection: Connection, nth: number) => {
      const worker = `worker ${nth}`
      for (const session_id of sessions.filter((_, place) => place % GROUPS === nth % GROUPS)) {
        let { task, lease } = await send(connection, 'POST', '/tasks/claim', { worker, session_id })
        while (task) {
          const done = byDone && { done: { task_id: task.id, token: lease.token } }
          if (!done) await send(connection, 'PUT', `/tasks/${task.id}`, { status: 'completed' }, lease.token)
          completed++
          const next = await send(connection, 'POST', '/tasks/claim', { worker, session_id, ...done })
          task = next.task
          lease = next.lease
        }
      }
    }
    await Promise.all(connections.map(work))
    for (const connection of connections) connection.close()
    if (completed !== jobs) throw new Error(`${completed} of ${jobs} tasks were completed`)
  }
}

/** Both queues in the database of the service, each in a schema of its own. */
async function openQueues(connectionString: string, jobs: number) {
  const queue = 'bench'
  const boss = new PgBoss({ connectionString, max: POOL_SIZE, supervise: false, schedule: false })
  boss.on('error', (error) => {
    throw error
  })
  await boss.start()
  await boss.createQueue(queue)
  const sql = postgres(connectionString, { max: 1, onnotice: () => {} })

  const prepareBoss = async () => {
    // It would keep finished jobs for hours.
    await boss.clearStorage()
    await boss.insert(Array.from({ length: jobs }, () => ({ name: queue, data: {} })))
    return async () => {
      const work = async () => {
        for (let [job] = await boss.fetch(queue); job; [job] = await boss.fetch(queue))
          await boss.complete(queue, job.id)
      }
      await Promise.all(Array.from({ length: CONNECTIONS }, work))
    }
  }

  const graphile = {
    connectionString,
    maxPoolSize: POOL_SIZE,
    concurrency: CONNECTIONS,
    noHandleSignals: true,
    logger: new Logger(() => () => {}),
    taskList: { [queue]: () => {} },
  }
  await runMigrations(graphile)
  const prepareGraphile = async () => {
    await sql`select graphile_worker.add_job(${queue}) from generate_series(1, ${jobs}::int)`
    return () => runOnce(graphile)
  }

  return {
    ways: { 'pg-boss': prepareBoss, 'graphile-worker': prepareGraphile },
    async close() {
      await boss.stop({ graceful: false })
      await sql.end()
    },
  }
}
