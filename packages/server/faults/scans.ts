/** A few clients list everything repeatedly, in a table of a million tasks. */
import { isSuccess, onlyExpectedStatuses, percentile, type Scenario, startWithTasks } from './scenario.js'
import { Client, getTasks } from './traffic.js'

const SIZE = 1_000_000
const LISTERS = 8
const RATE = 300

export const scans: Scenario = {
  seconds: 15,
  async run({ cluster, seconds }) {
    const { server, sessions } = await startWithTasks(cluster, SIZE)
    const ids = sessions.flatMap(({ tasks }) => tasks)
    const measure = () => getTasks(server.base, ids, { rate: RATE, seconds, connections: 1000 })
    await measure()
    const alone = await measure()
    const lister = new Client(server.base)
    let stopped = false
    const list = async (n: number) => {
      while (!stopped)
        await lister.call('GET', `/api/v1/tasks?sort_by=${n % 2 ? 'priority' : 'updated_at'}&page=${n + 1}`)
    }
    const listers = Promise.all(Array.from({ length: LISTERS }, (_, n) => list(n)))
    const duringLists = await measure()
    stopped = true
    await listers
    lister.close()
    await server.stop()
    const latency = (results: typeof alone) => results.map(({ ms }) => ms)
    const [before, during] = [alone, duringLists].map((results) =>
      [50, 99].map((p) => percentile(latency(results), p)),
    )
    const failed = duringLists.filter(({ status }) => !isSuccess(status)).length
    return [
      {
        expected: 'get task during lists of everything: none rejected, p99 ≤ 250 ms',
        observed: `p50 and p99 alone ${before!.join(' and ')} ms, with ${LISTERS} listing clients ${during!.join(' and ')} ms; ${failed} rejected; ${lister.results.filter(({ status }) => isSuccess(status)).length} lists`,
        passed: failed === 0 && during![1]! <= 250,
      },
      onlyExpectedStatuses(lister.results),
    ]
  },
}
