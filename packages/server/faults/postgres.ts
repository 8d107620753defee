/** PostgreSQL fails under load, in four ways, and recovers. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { startService } from '../bench/processes.js'
import {
  type Context,
  onlyExpectedStatuses,
  recovered,
  respondsWithin,
  type Scenario,
  stillRuns,
} from './scenario.js'
import { Client, sendAtRate, Workload } from './traffic.js'

const RATE = 200
const REQUEST_TIMEOUT_MS = 15_000

const outage = (seconds: number, fault: (context: Context, database: string) => Promise<void>): Scenario => ({
  seconds,
  async run(context) {
    const database = await context.cluster.newDatabase('faults')
    const server = await startService(database, { REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS) })
    const client = new Client(server.base, 2000)
    const workload = new Workload(client, randomUUID())
    const load = sendAtRate(RATE, workload.turn)
    await sleep(3000)
    await fault(context, database)
    const end = performance.now()
    await sleep(5000)
    await load.stop()
    const results = [...client.results]
    const lost = await workload.lost()
    const findings = [
      onlyExpectedStatuses(results),
      respondsWithin(results, REQUEST_TIMEOUT_MS + 1000),
      recovered(results, end),
      {
        expected: 'no acknowledged write is lost',
        observed: `${lost} of ${workload.acknowledged.size} tasks lost`,
        passed: lost === 0 && workload.acknowledged.size > 0,
      },
      stillRuns(server),
    ]
    client.close()
    await server.stop()
    return findings
  },
})

export const restart = outage(0, async ({ cluster }) => {
  await cluster.stop()
  await cluster.start()
})

export const stop = outage(20, async ({ cluster, seconds }) => {
  await cluster.stop()
  await sleep(1000 * seconds)
  await cluster.start()
})

export const pause = outage(20, async ({ cluster, seconds }) => {
  const processes = cluster.processes()
  for (const pid of processes) process.kill(pid, 'SIGSTOP')
  await sleep(1000 * seconds)
  for (const pid of processes) process.kill(pid, 'SIGCONT')
})

export const kill = outage(10, async ({ seconds }, database) => {
  const sql = postgres(database, { max: 1, onnotice: () => {} })
  for (const end = Date.now() + 1000 * seconds; Date.now() < end; await sleep(100))
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'aklp-task-server'`
  await sql.end()
})
