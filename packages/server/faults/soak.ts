/** Mixed load for a long time. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { startService } from '../bench/processes.js'
import { handles, onlyRefusals, percentile, type Scenario, stillRuns } from './scenario.js'
import { Client, everySecond, Learners } from './traffic.js'

const RATE = 300
const SAMPLES = 50

export const soak: Scenario = {
  seconds: 1800,
  async run({ cluster, seconds }) {
    const server = await startService(await cluster.newDatabase('faults'))
    const client = new Client(server.base, 20)
    // Each turn a learner of many: a session's list does not grow with the load.
    const learners = Array.from({ length: 200 }, () => new Learners(client, randomUUID()))
    const load = everySecond(RATE, (turn) => learners[(turn >> 2) % learners.length]!.turn(turn))
    const samples: { rss: number; handles: number }[] = []
    for (let n = 0; n < SAMPLES; n++) {
      await sleep((1000 * seconds) / SAMPLES)
      samples.push({ rss: server.memory()!.now, handles: handles(server.pid) })
      server.emptyLog()
    }
    await load.stop()
    const answers = [...client.answers]
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
      onlyRefusals(answers),
      {
        must: 'memory is flat: ≤ 15 % more in the last fifth than in the second',
        seen: `${rssBefore} MB, then ${rss} MB`,
        holds: rss <= 1.15 * rssBefore,
      },
      {
        must: 'handles are flat',
        seen: `${handlesBefore}, then ${handlesAfter}`,
        holds: handlesAfter <= handlesBefore + 10,
      },
      running,
    ]
  },
}
