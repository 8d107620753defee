/** Ten times the request rate that the service can process, independent of responses. */
import postgres from 'postgres'
import { load } from '../bench/load.js'
import { isSuccess, percentile, type Scenario, startWithTasks, stillRuns } from './scenario.js'
import { Client } from './traffic.js'

const STEADY_CONNECTIONS = 32
const MAX_CONNECTIONS = 1000
const MAX_GROWTH_MB = 100

export const overload: Scenario = {
  seconds: 60,
  async run({ cluster, seconds }) {
    const { server, database, sessions } = await startWithTasks(cluster, 100_000)
    const sql = postgres(database, { max: 1, onnotice: () => {} })
    // Half of all tasks are in one session: its lists are expensive.
    const { id: large } = sessions[0]!
    await sql`update tasks set session_id = ${large} where position % 2 = 0`
    await sql`vacuum analyze tasks`
    await sql.end()
    const ids = sessions.flatMap(({ tasks }) => tasks)
    // Expensive calls keep the capacity low, so that the load generator on the same machine can send ten times as many.
    const requests = ids
      .slice(0, 1000)
      .map((id, turn) =>
        turn % 2 === 0
          ? { method: 'PUT', path: `/api/v1/tasks/${id}`, body: { title: `${turn}` } }
          : { method: 'GET', path: `/api/v1/tasks?session_id=${large}&page=${turn}` },
      )
    const { base } = server
    await load({ base, requests, connections: STEADY_CONNECTIONS, seconds: 3 })
    const steady = await load({ base, requests, connections: STEADY_CONNECTIONS, seconds: 5 })
    const rate = 10 * steady.perSecond

    const memory: number[] = []
    const sampling = setInterval(() => memory.push(server.memory()!.now), 250)
    const over = await load({ base, requests, connections: MAX_CONNECTIONS, seconds, rate })
    clearInterval(sampling)

    const client = new Client(base)
    const after: number[] = []
    for (let n = 0; n < 20; n++) {
      const { ms, status } = await client.call('GET', `/api/v1/tasks/${ids[n]}`)
      after.push(isSuccess(status) ? ms : Number.POSITIVE_INFINITY)
    }
    client.close()
    const [early, late] = [memory.slice(0, memory.length / 4), memory.slice(-memory.length / 4)].map((part) =>
      Math.max(...part),
    ) as [number, number]
    const rejections = [...over.statuses].filter(([kind]) => !/^20\d$/.test(kind))
    const findings = [
      {
        expected: `${STEADY_CONNECTIONS} clients that wait for each response are not rejected`,
        observed: `${steady.failures} of ${steady.responses} rejected`,
        passed: steady.failures === 0,
      },
      {
        expected: 'at ten times the capacity, every request gets a response',
        observed: `capacity ${Math.round(steady.perSecond)}/s, ${Math.round(over.perSecond)} responses/s`,
        passed: over.perSecond > 0.95 * rate,
      },
      {
        expected: 'excess requests get 503 or 429 with Retry-After',
        observed: [...over.statuses].map(([kind, count]) => `${count} × ${kind}`).join('; '),
        passed: rejections.length > 0 && rejections.every(([kind]) => /^(503|429), Retry-After$/.test(kind)),
      },
      {
        expected: 'p99 of accepted requests ≤ 1 s',
        observed: `${Math.round(over.p99OfSuccesses)} ms; ${Math.round((over.responses - over.failures) / seconds)}/s accepted`,
        passed: over.p99OfSuccesses <= 1000,
      },
      {
        expected: 'memory does not grow',
        observed: `peak ${early} MB in the first quarter, ${late} MB in the last`,
        passed: late - early <= MAX_GROWTH_MB,
      },
      {
        expected: 'recovers within 2 s',
        observed: `get task p99 ${percentile(after, 99)} ms immediately afterwards`,
        passed: percentile(after, 99) < 200,
      },
      stillRuns(server),
    ]
    await server.stop()
    return findings
  },
}
