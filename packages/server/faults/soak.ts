/** Mixed load for a long time. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { startService } from '../bench/processes.js'
import { handles, onlyExpectedStatuses, percentile, type Scenario, stillRuns } from './scenario.js'
import { Client, sendAtRate, Workload } from './traffic.js'

const RATE = 300
const SAMPLES = 50

export const soak: Scenario = {
  seconds: 1800,
  async run({ cluster, seconds }) {
    const server = await startService(await cluster.newDatabase('faults'))
    const client = new Client(server.base, 20)
    // Many sessions, so that the lists stay short.
    const workloads = Array.from({ length: 200 }, () => new Workload(client, randomUUID()))
    const load = sendAtRate(RATE, (turn) => workloads[(turn >> 2) % workloads.length]!.turn(turn))
    const samples: { rss: number; handles: number }[] = []
    for (let n = 0; n < SAMPLES; n++) {
      await sleep((1000 * seconds) / SAMPLES)
      samples.push({ rss: server.memory()!.now, handles: handles(server.pid) })
      server.truncateLog()
    }
    await load.stop()
    const results = [...client.results]
    client.close()
    const running = stillRuns(server)
    await server.stop()
    const median = (of: 'rss' | 'handles', from: number, to: number) =>
      percentile(
        samples.slice(SAMPLES * from, SAMPLES * to).map((sample) => sample[of]),
        50,
      )
    const [rssBefore, rss] = [median('rss', 0.2, 0.4), median('rss', 0.8, 1)]
    const [handlesBefore, handlesAfter] = [median('handles', 0.2, 0.4), median('handles', 0.8, 1)]
    return [
      onlyExpectedStatuses(results),
      {
        expected: 'memory does not grow: ≤ 15 % more in the last fifth than in the second',
        observed: `${rssBefore} MB, then ${rss} MB`,
        passed: rss <= 1.15 * rssBefore,
      },
      {
        expected: 'open handles do not grow',
        observed: `${handlesBefore}, then ${handlesAfter}`,
        passed: handlesAfter <= handlesBefore + 10,
      },
      running,
    ]
  },
}
