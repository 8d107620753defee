/** Up to 64 hostile connections, in the memory that a container has. */
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { type Server, startService } from '../bench/processes.js'
import { type Finding, isSuccess, percentile, type Scenario, startWithTasks, stillRuns } from './scenario.js'
import { Client, getTasks } from './traffic.js'

const LIVEZ_MS = 1000
/** Memory limits in MiB. Node gives a heap half of them. */
const POSTGRES_MIB = 512
const EMBEDDED_MIB = 1024
const heapOf = (mib: number) => ({ NODE_OPTIONS: `--max-old-space-size=${mib / 2}` })

const all = ['pipelining', 'bodies', 'headers', 'pages']

/** Hostile clients with shapes of these kinds. */
const attack = (kinds: string[], mib = POSTGRES_MIB): Scenario => ({
  seconds: 20,
  async run({ cluster, seconds, seed }) {
    const server =
      mib === EMBEDDED_MIB
        ? await startService('memory://', heapOf(mib))
        : (await startWithTasks(cluster, 20_000, heapOf(mib))).server
    const findings = await whileAttacked(server, kinds, seconds, seed, mib)
    await server.stop()
    return findings
  },
})

async function whileAttacked(
  server: Server,
  kinds: string[],
  seconds: number,
  seed: number,
  mib: number,
): Promise<Finding[]> {
  const clients = spawn(process.execPath, [
    ...['--import', import.meta.resolve('tsx')],
    ...[fileURLToPath(new URL('hostile-clients.ts', import.meta.url)), server.base, kinds.join(), `${seed}`],
  ])
  const probe = new Client(server.base, 1)
  for (const end = Date.now() + 1000 * seconds; Date.now() < end && server.running(); await sleep(20)) {
    // A new connection, as a probe of Kubernetes has.
    await probe.call('GET', '/livez', undefined)
    probe.close()
  }
  clients.kill('SIGKILL')
  const peak = server.running() ? server.memory()?.peak : undefined
  const times = probe.results.map(({ ms }) => ms)
  const slowest = Math.round(Math.max(...times))
  const average = Math.round(times.reduce((sum, ms) => sum + ms, 0) / times.length)
  const failed = probe.results.filter(({ status }) => status !== 200).length
  return [
    {
      expected: `/livez responds within ${LIVEZ_MS} ms`,
      observed: `slowest ${slowest} ms, on average ${average} ms of ${times.length}, ${failed} failed`,
      passed: failed === 0 && slowest <= LIVEZ_MS,
    },
    {
      expected: `at most ${mib} MiB of memory`,
      observed: `peak ${peak} MiB`,
      passed: peak !== undefined && peak <= mib,
    },
    stillRuns(server),
  ]
}

/** Lists of one large session: gets beside them are not delayed. */
async function largeSession({ cluster, seconds }: Parameters<Scenario['run']>[0]): Promise<Finding> {
  const { server, database, sessions } = await startWithTasks(cluster, 120_000, heapOf(POSTGRES_MIB))
  const sql = postgres(database, { max: 1, onnotice: () => {} })
  const { id: large } = sessions[0]!
  const [others, ids] = [sessions.slice(1, 101), sessions.slice(1, 101).flatMap(({ tasks }) => tasks)]
  await sql`update tasks set session_id = ${large} where not session_id = any(${others.map(({ id }) => id)}::uuid[])`
  await sql`vacuum analyze tasks`
  await sql.end()
  const measure = () => getTasks(server.base, ids, { rate: 100, seconds: seconds / 2, connections: 100 })
  await measure()
  const lister = new Client(server.base)
  let stopped = false
  const list = async () => {
    while (!stopped) {
      await lister.call('GET', `/api/v1/tasks?session_id=${large}&sort_by=priority&limit=100`)
      await sleep(1)
    }
  }
  const lists = Promise.all(Array.from({ length: 16 }, list))
  const gets = await measure()
  stopped = true
  await lists
  lister.close()
  await server.stop()
  const failed = gets.filter(({ status }) => !isSuccess(status)).length
  const p99 = percentile(
    gets.map(({ ms }) => ms),
    99,
  )
  return {
    expected: 'beside 16 lists of a session of 100 000 tasks, gets have a p99 ≤ 50 ms and none fails',
    observed: `p99 ${p99} ms, ${failed} of ${gets.length} failed`,
    passed: p99 <= 50 && failed === 0,
  }
}

export const pipelining = attack(['pipelining'])
export const bodies = attack(['bodies'])
export const headers = attack(['headers'])
export const pages: Scenario = {
  seconds: 20,
  run: async (context) => [await largeSession(context), ...(await attack(['pages']).run(context))],
}
export const hostile = attack(all)
export const hostileEmbedded = attack(all, EMBEDDED_MIB)
