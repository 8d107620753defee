/** The service is killed during writes, repeatedly. SDK clients keep writing and retry. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '../../client/src/index.js'
import { folder, type Server, startService } from '../bench/processes.js'
import type { Finding, Scenario } from './scenario.js'

const CLIENTS = 8

/** About one kill per second for `seconds`, on PostgreSQL and then on the embedded database. */
export const crash: Scenario = {
  seconds: 50,
  async run({ cluster, seconds }) {
    return [
      ...(await killRepeatedly('PostgreSQL', await cluster.newDatabase('crash'), seconds)),
      ...(await killRepeatedly('embedded', `file:${join(folder, 'crash')}`, seconds)),
    ]
  },
}

async function killRepeatedly(on: string, database: string, kills: number): Promise<Finding[]> {
  let server = await startService(database)
  let stopped = false
  let retries = 0
  /** Acknowledged titles by session. */
  const acknowledged = new Map<string, string[]>()

  const aklp = createClient({
    baseUrl: 'http://current-server',
    // Each start has another port.
    fetch: (url, init) => fetch(url.replace('http://current-server', server.base), init),
    retries: 1000,
    // A call may fail through many kills in a row.
    timeout: 600_000,
    onRetry: () => retries++,
  })

  const work = async () => {
    const session_id = randomUUID()
    const session = aklp.session(session_id)
    const titles: string[] = []
    acknowledged.set(session_id, titles)
    for (let turn = 0; !stopped; turn++) {
      if (turn % 2 === 0) {
        const task = await session.tasks.create({ title: `task ${turn}` })
        titles.push(task.title)
        await session.tasks.update(task.id, { status: 'completed' })
      } else {
        const tasks = Array.from({ length: 5 }, (_, nth) => ({ title: `batch ${turn}, ${nth}` }))
        const batch = await session.batches.create({ tasks })
        titles.push(...batch.tasks.map(({ title }) => title))
      }
    }
  }
  const workers = Array.from({ length: CLIENTS }, work)

  const starts: number[] = []
  for (let nth = 0; nth < kills; nth++) {
    await sleep(100 + 900 * Math.random())
    await kill(server)
    server = await startService(database)
    starts.push(server.startupMs)
  }
  stopped = true
  await Promise.all(workers)

  const [lost, duplicated, open, writes] = [[], [], [], []] as [string[], string[], string[], string[]]
  for (const [session_id, titles] of acknowledged) {
    const counts = new Map<string, number>()
    for await (const { title, status } of aklp.session(session_id).tasks.each()) {
      counts.set(title, (counts.get(title) ?? 0) + 1)
      if (title.startsWith('task') && status !== 'completed') open.push(title)
    }
    writes.push(...titles)
    lost.push(...titles.filter((title) => !counts.has(title)))
    duplicated.push(...[...counts].filter(([, count]) => count > 1).map(([title]) => title))
  }
  await server.stop()
  return [
    {
      expected: `${on}: no acknowledged write is lost`,
      observed: `${lost.length} of ${writes.length} tasks lost, ${open.length} completions lost, in ${kills} kills`,
      passed: lost.length === 0 && open.length === 0 && writes.length > 0,
    },
    {
      expected: `${on}: no retry creates a duplicate`,
      observed: `${duplicated.length} duplicates in ${retries} retries`,
      passed: duplicated.length === 0 && retries > 0,
    },
    {
      expected: `${on}: every restart succeeds`,
      observed: `${starts.length} starts, the slowest in ${Math.round(Math.max(...starts))} ms`,
      passed: starts.length === kills,
    },
  ]
}

async function kill({ pid, running }: Server) {
  process.kill(pid, 'SIGKILL')
  while (running()) await sleep(5)
}
