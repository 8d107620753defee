/** Ten times as many requests as the service can answer, whether answers come or not. */
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { fill, readSessions } from '../bench/data.js'
import { startService } from '../bench/processes.js'
import { isSuccess, onlyRefusals, percentile, type Scenario, stillRuns } from './scenario.js'
import { Client, everySecond } from './traffic.js'

const CAPACITY_CONNECTIONS = 32
const MOST_GROWTH_MB = 150

export const overload: Scenario = {
  seconds: 60,
  async run({ cluster, seconds }) {
    const database = await cluster.newDatabase('faults')
    const server = await startService(database)
    const sql = postgres(database, { max: 1, onnotice: () => {} })
    await fill(sql, 20_000)
    const sessions = await readSessions(sql)
    await sql.end()
    // Calls that cost the service much and the caller little: this process shares the machine with it.
    const ids = sessions.flatMap(({ tasks }) => tasks)
    const call = (client: Client) => (turn: number) =>
      turn % 2 === 0
        ? client.call('PUT', '/api/v1/tasks/bulk', {
            tasks: Array.from({ length: 100 }, (_, n) => ({
              id: ids[(turn * 100 + n) % ids.length],
              title: `${turn}`,
            })),
          })
        : client.call('GET', `/api/v1/batches?limit=20&session_id=${sessions[turn % sessions.length]!.id}`)

    const steady = new Client(server.base, CAPACITY_CONNECTIONS)
    let turn = 0
    const end = performance.now() + 5000
    const worker = async () => {
      while (performance.now() < end) await call(steady)(turn++)
    }
    await Promise.all(Array.from({ length: CAPACITY_CONNECTIONS }, worker))
    const capacity = turn / 5
    const refusedSteady = steady.answers.filter(({ status }) => !isSuccess(status)).length
    steady.close()

    const client = new Client(server.base, 5000)
    const memory: number[] = []
    const watch = setInterval(() => memory.push(server.memory()!.now), 500)
    const begin = performance.now()
    const load = everySecond(10 * capacity, call(client))
    await sleep(1000 * seconds)
    clearInterval(watch)
    const over = performance.now()
    const stopping = load.stop()
    const calm = new Client(server.base)
    await sleep(2000)
    const probes: number[] = []
    for (let n = 0; n < 20; n++) {
      const { ms, status } = await calm.call('GET', `/api/v1/tasks/${ids[n]}`)
      probes.push(isSuccess(status) ? ms : Number.POSITIVE_INFINITY)
    }
    calm.close()
    await stopping
    const { answers } = client
    const offered = answers.length / ((over - begin) / 1000)
    const accepted = answers.filter(({ status }) => isSuccess(status))
    const p99 = percentile(
      accepted.map(({ ms }) => ms),
      99,
    )
    const early = Math.max(...memory.slice(0, Math.ceil(memory.length / 4)))
    const late = Math.max(...memory.slice(-Math.ceil(memory.length / 4)))
    const findings = [
      {
        must: '32 callers who wait for their answers are not refused',
        seen: `${refusedSteady} of ${turn} refused`,
        holds: refusedSteady === 0,
      },
      {
        must: 'ten times the capacity is offered',
        seen: `${Math.round(offered)}/s, capacity ${Math.round(capacity)}/s`,
        holds: offered > 9.5 * capacity,
      },
      onlyRefusals(answers),
      {
        must: 'p99 of what is accepted ≤ 1 s',
        seen: `${p99} ms; ${Math.round(accepted.length / ((over - begin) / 1000))}/s accepted`,
        holds: p99 <= 1000,
      },
      {
        must: 'memory is flat',
        seen: `at most ${early} MB in the first quarter, ${late} MB in the last`,
        holds: late - early <= MOST_GROWTH_MB,
      },
      {
        must: 'as before within 2 s',
        seen: `get task p99 ${percentile(probes, 99)} ms`,
        holds: percentile(probes, 99) < 200,
      },
      stillRuns(server),
    ]
    client.close()
    await server.stop()
    return findings
  },
}
