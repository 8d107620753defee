/** Clients that connect and send nothing, send slowly, send too much, or do not read the response. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  handles,
  onlyExpectedStatuses,
  percentile,
  type Scenario,
  startWithTasks,
  stillRuns,
} from './scenario.js'
import { getTasks } from './traffic.js'

const IDLE = 10_000
const RATE = 200
const REQUEST_TIMEOUT_MS = 15_000

export const slow: Scenario = {
  seconds: REQUEST_TIMEOUT_MS / 1000 + 10,
  async run({ cluster, seconds }) {
    const settings = { REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS) }
    const { server, sessions } = await startWithTasks(cluster, 20_000, settings)
    const ids = sessions.flatMap(({ tasks }) => tasks)
    const measure = (seconds: number) => getTasks(server.base, ids, { rate: RATE, seconds, connections: 100 })
    await measure(3)
    const alone = await measure(5)
    await sleep(1000)
    const before = handles(server.pid)
    const clients = spawn(process.execPath, [
      ...['--import', import.meta.resolve('tsx'), fileURLToPath(new URL('slow-clients.ts', import.meta.url))],
      ...[server.base, String(IDLE)],
    ])
    await once(clients.stdout, 'data')
    const peak = handles(server.pid)
    const withSlowClients = await measure(seconds)
    await sleep(1000)
    const after = handles(server.pid)
    clients.kill('SIGKILL')

    const [p99Alone, p99] = [alone, withSlowClients].map((results) =>
      percentile(
        results.map(({ ms }) => ms),
        99,
      ),
    ) as [number, number]
    const findings = [
      onlyExpectedStatuses(withSlowClients),
      {
        expected: 'other clients are not slowed down: p99 ≤ 250 ms, or ≤ 5 × p99 alone on a busy machine',
        observed: `get task p99 ${p99Alone} ms alone, ${p99} ms with slow clients`,
        passed: p99 <= Math.max(250, 5 * p99Alone),
      },
      {
        expected: `slow connections are closed within ${seconds} s`,
        observed: `${before} handles before, ${peak} with slow clients, ${after} afterwards`,
        passed: peak - before > IDLE / 2 && after - before < 50,
      },
      stillRuns(server),
    ]
    await server.stop()
    return findings
  },
}
