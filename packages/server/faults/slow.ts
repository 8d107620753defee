/** Clients that connect and say nothing, say it slowly, say too much, or do not take their answer. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { fill, readSessions } from '../bench/data.js'
import { startService } from '../bench/processes.js'
import { handles, onlyRefusals, percentile, type Scenario, stillRuns } from './scenario.js'
import { Client, everySecond } from './traffic.js'

const IDLE = 10_000
const RATE = 200
const REQUEST_TIMEOUT_MS = 15_000

export const slow: Scenario = {
  seconds: REQUEST_TIMEOUT_MS / 1000 + 10,
  async run({ cluster, seconds }) {
    const database = await cluster.newDatabase('faults')
    const server = await startService(database, { REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS) })
    const sql = postgres(database, { max: 1, onnotice: () => {} })
    await fill(sql, 20_000)
    const ids = (await readSessions(sql)).flatMap(({ tasks }) => tasks)
    await sql.end()

    const measure = async (seconds: number) => {
      const client = new Client(server.base)
      const load = everySecond(RATE, (turn) => client.call('GET', `/api/v1/tasks/${ids[turn % ids.length]}`))
      await sleep(1000 * seconds)
      await load.stop()
      client.close()
      return client.answers
    }
    await measure(3)
    const alone = await measure(5)
    await sleep(1000)
    const before = handles(server.pid)
    const clients = spawn(process.execPath, [
      ...['--import', import.meta.resolve('tsx'), fileURLToPath(new URL('slow-clients.ts', import.meta.url))],
      ...[server.base, String(IDLE)],
    ])
    await once(clients.stdout, 'data')
    const most = handles(server.pid)
    const beside = await measure(seconds)
    await sleep(1000)
    const left = handles(server.pid)
    clients.kill('SIGKILL')

    const [p99Alone, p99] = [alone, beside].map((answers) =>
      percentile(
        answers.map(({ ms }) => ms),
        99,
      ),
    ) as [number, number]
    const findings = [
      onlyRefusals(beside),
      {
        must: 'others are not slowed: p99 ≤ 250 ms, or five times that without them where the machine is busy',
        seen: `get task p99 ${p99Alone} ms alone, ${p99} ms beside`,
        holds: p99 <= Math.max(250, 5 * p99Alone),
      },
      {
        must: `the connections are closed ${seconds} s later`,
        seen: `${before} handles before, ${most} with them, ${left} then`,
        holds: most - before > IDLE / 2 && left - before < 50,
      },
      stillRuns(server),
    ]
    await server.stop()
    return findings
  },
}
