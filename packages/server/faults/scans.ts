/** A few callers list everything, again and again, in a table of a million tasks. */
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { fill, readSessions } from '../bench/data.js'
import { startService } from '../bench/processes.js'
import { isSuccess, onlyRefusals, percentile, type Scenario } from './scenario.js'
import { Client, everySecond } from './traffic.js'

const SIZE = 1_000_000
const LISTERS = 8
const RATE = 300

export const scans: Scenario = {
  seconds: 15,
  async run({ cluster, seconds }) {
    const database = await cluster.newDatabase('faults')
    const server = await startService(database)
    const sql = postgres(database, { max: 1, onnotice: () => {} })
    await fill(sql, SIZE)
    const ids = (await readSessions(sql)).flatMap(({ tasks }) => tasks)
    await sql.end()
    const measure = async () => {
      const client = new Client(server.base, 1000)
      const load = everySecond(RATE, (turn) =>
        client.call('GET', `/api/v1/tasks/${ids[(turn * 7919) % ids.length]}`),
      )
      await sleep(1000 * seconds)
      await load.stop()
      client.close()
      return client.answers
    }
    await measure()
    const alone = await measure()
    const lister = new Client(server.base)
    let over = false
    const list = async (n: number) => {
      while (!over)
        await lister.call('GET', `/api/v1/tasks?sort_by=${n % 2 ? 'priority' : 'updated_at'}&page=${n + 1}`)
    }
    const listers = Promise.all(Array.from({ length: LISTERS }, (_, n) => list(n)))
    const beside = await measure()
    over = true
    await listers
    lister.close()
    await server.stop()
    const latency = (answers: typeof alone) => answers.map(({ ms }) => ms)
    const [before, during] = [alone, beside].map((answers) =>
      [50, 99].map((p) => percentile(latency(answers), p)),
    )
    const failed = beside.filter(({ status }) => !isSuccess(status)).length
    return [
      {
        must: 'get task goes on beside lists of everything: none refused, p99 ≤ 250 ms',
        seen: `p50 and p99 alone ${before!.join(' and ')} ms, beside ${LISTERS} listers ${during!.join(' and ')} ms; ${failed} refused; ${lister.answers.filter(({ status }) => isSuccess(status)).length} lists`,
        holds: failed === 0 && during![1]! <= 250,
      },
      onlyRefusals(lister.answers),
    ]
  },
}
