/** The service is killed in the midst of writes, again and again, while clients of the SDK go on and try again. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '../../client/src/index.js'
import { folder, type Server, startService } from '../bench/processes.js'
import type { Finding, Scenario } from './scenario.js'

const CLIENTS = 8

/** A kill about every second, on PostgreSQL and then as many on the embedded database. */
export const crash: Scenario = {
  seconds: 50,
  async run({ cluster, seconds }) {
    return [
      ...(await killAgainAndAgain('PostgreSQL', await cluster.newDatabase('crash'), seconds)),
      ...(await killAgainAndAgain('embedded', `file:${join(folder, 'crash')}`, seconds)),
    ]
  },
}

async function killAgainAndAgain(on: string, database: string, kills: number): Promise<Finding[]> {
  let server = await startService(database)
  let over = false
  let retries = 0
  /** The sessions' titles that were acknowledged. */
  const acknowledged = new Map<string, string[]>()

  const aklp = createClient({
    baseUrl: 'http://wherever-it-runs-now',
    // Each start has a port of its own.
    fetch: (url, init) => fetch(url.replace('http://wherever-it-runs-now', server.base), init),
    retries: 1000,
    // A call may miss many of the short times between two kills.
    timeout: 600_000,
    onRetry: () => retries++,
  })

  const work = async () => {
    const session_id = randomUUID()
    const session = aklp.session(session_id)
    const titles: string[] = []
    acknowledged.set(session_id, titles)
    for (let turn = 0; !over; turn++) {
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
    await killed(server)
    server = await startService(database)
    starts.push(server.startedIn)
  }
  over = true
  await Promise.all(workers)

  const [lost, doubled, open, writes] = [[], [], [], []] as [string[], string[], string[], string[]]
  for (const [session_id, titles] of acknowledged) {
    const counts = new Map<string, number>()
    for await (const { title, status } of aklp.session(session_id).tasks.each()) {
      counts.set(title, (counts.get(title) ?? 0) + 1)
      if (title.startsWith('task') && status !== 'completed') open.push(title)
    }
    writes.push(...titles)
    lost.push(...titles.filter((title) => !counts.has(title)))
    doubled.push(...[...counts].filter(([, count]) => count > 1).map(([title]) => title))
  }
  await server.stop()
  return [
    {
      must: `${on}: every acknowledged write is there`,
      seen: `${lost.length} of ${writes.length} tasks lost, ${open.length} completions lost, in ${kills} kills`,
      holds: lost.length === 0 && open.length === 0 && writes.length > 0,
    },
    {
      must: `${on}: no retry is doubled`,
      seen: `${doubled.length} doubled by ${retries} retries`,
      holds: doubled.length === 0 && retries > 0,
    },
    {
      must: `${on}: it starts again by itself`,
      seen: `${starts.length} starts, the slowest in ${Math.round(Math.max(...starts))} ms`,
      holds: starts.length === kills,
    },
  ]
}

async function killed({ pid, running }: Server) {
  process.kill(pid, 'SIGKILL')
  while (running()) await sleep(5)
}
