/** PostgreSQL goes away under load, in four ways, and comes back. */
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { startService } from '../bench/processes.js'
import {
  answeredWithin,
  type Context,
  onlyRefusals,
  recovered,
  type Scenario,
  stillRuns,
} from './scenario.js'
import { Client, everySecond, Learners } from './traffic.js'

const RATE = 200
const REQUEST_TIMEOUT_MS = 15_000

/** Puts the service under load, breaks PostgreSQL, and looks what became of it. */
const outage = (seconds: number, fault: (context: Context, database: string) => Promise<void>): Scenario => ({
  seconds,
  async run(context) {
    const database = await context.cluster.newDatabase('faults')
    const server = await startService(database, { REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS) })
    const client = new Client(server.base, 2000)
    const learners = new Learners(client, randomUUID())
    const load = everySecond(RATE, learners.turn)
    await sleep(3000)
    await fault(context, database)
    const end = performance.now()
    await sleep(5000)
    await load.stop()
    const answers = [...client.answers]
    const lost = await learners.lost()
    const findings = [
      onlyRefusals(answers),
      answeredWithin(answers, REQUEST_TIMEOUT_MS + 1000),
      recovered(answers, end),
      {
        must: 'nothing acknowledged is lost',
        seen: `${lost} of ${learners.acknowledged.size} tasks lost`,
        holds: lost === 0 && learners.acknowledged.size > 0,
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
  const processes = [cluster.pid(), ...childrenOf(cluster.pid())]
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

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return Number(/\) . (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]) === parent
      } catch {
        return false
      }
    })
    .map(Number)
}
