/** Ten times as many requests as the service can answer, whether answers come or not. */
import postgres from 'postgres'
import { fill, readSessions } from '../bench/data.js'
import { load } from '../bench/load.js'
import { startService } from '../bench/processes.js'
import { isSuccess, percentile, type Scenario, stillRuns } from './scenario.js'
import { Client } from './traffic.js'

const STEADY_CONNECTIONS = 32
const MOST_CONNECTIONS = 1000
const MOST_GROWTH_MB = 100

export const overload: Scenario = {
  seconds: 60,
  async run({ cluster, seconds }) {
    const database = await cluster.newDatabase('faults')
    const server = await startService(database)
    const sql = postgres(database, { max: 1, onnotice: () => {} })
    await fill(sql, 100_000)
    const sessions = await readSessions(sql)
    // One session has half of all tasks.
    const { id: large } = sessions[0]!
    await sql`update tasks set session_id = ${large} where position % 2 = 0`
    await sql`vacuum analyze tasks`
    await sql.end()
    const ids = sessions.flatMap(({ tasks }) => tasks)
    // Half of the calls cost the database much: ten times as many are still few for who calls, and shares the machine.
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
    const watch = setInterval(() => memory.push(server.memory()!.now), 250)
    const over = await load({ base, requests, connections: MOST_CONNECTIONS, seconds, rate })
    clearInterval(watch)

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
    const refusals = [...over.statuses].filter(([kind]) => !/^20\d$/.test(kind))
    const findings = [
      {
        must: `${STEADY_CONNECTIONS} callers who wait for their answers are not refused`,
        seen: `${steady.failures} of ${steady.answers} refused`,
        holds: steady.failures === 0,
      },
      {
        must: 'ten times the capacity is answered',
        seen: `capacity ${Math.round(steady.perSecond)}/s, ${Math.round(over.perSecond)}/s answered`,
        holds: over.perSecond > 0.95 * rate,
      },
      {
        must: 'the excess is shed with 503 or 429 and Retry-After',
        seen: [...over.statuses].map(([kind, count]) => `${count} × ${kind}`).join('; '),
        holds: refusals.length > 0 && refusals.every(([kind]) => /^(503|429), Retry-After$/.test(kind)),
      },
      {
        must: 'p99 of what is accepted ≤ 1 s',
        seen: `${Math.round(over.p99OfSuccesses)} ms; ${Math.round((over.answers - over.failures) / seconds)}/s accepted`,
        holds: over.p99OfSuccesses <= 1000,
      },
      {
        must: 'memory is flat',
        seen: `at most ${early} MB in the first quarter, ${late} MB in the last`,
        holds: late - early <= MOST_GROWTH_MB,
      },
      {
        must: 'as before within 2 s',
        seen: `get task p99 ${percentile(after, 99)} ms, at once`,
        holds: percentile(after, 99) < 200,
      },
      stillRuns(server),
    ]
    await server.stop()
    return findings
  },
}
