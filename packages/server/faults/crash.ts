/** The service is killed during writes and claims, repeatedly. Clients keep writing, and retry with the same key. */
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
  let retriedClaims = 0
  /** Tasks that were claimed out of turn. */
  const misled: string[] = []
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

  /** Claims once, however often the response is lost. */
  const claim = async (body: object) => {
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': randomUUID() },
      body: JSON.stringify({ worker: 'crash', ...body }),
    }
    for (;;) {
      const response = await fetch(`${server.base}/api/v1/tasks/claim`, init).catch(() => undefined)
      const answer = (await response?.json().catch(() => undefined)) as ClaimAnswer | undefined
      if (response?.status === 200 && answer !== undefined) return answer
      const isLasting = response !== undefined && response.status < 500 && answer !== undefined
      if (isLasting && answer.error_code !== 'idempotency_in_progress')
        throw new Error(`a claim returned ${response.status} ${answer.error_code}`)
      retriedClaims++
      await sleep(20)
    }
  }

  /** Works through a plan of three tasks that wait for each other: each claim completes the task before. */
  const workThrough = async (batch_id: string, titles: string[]) => {
    let done: object | undefined
    for (const title of titles) {
      const { task, lease } = await claim({ batch_id, done })
      if (task?.title !== title) misled.push(`${task?.title} in place of ${title}`)
      if (task === null) return
      done = { task_id: task.id, token: lease.token }
    }
    const { task } = await claim({ batch_id, done })
    if (task !== null) misled.push(`${task.title} in place of the end`)
  }

  const work = async () => {
    const session_id = randomUUID()
    const session = aklp.session(session_id)
    const titles: string[] = []
    acknowledged.set(session_id, titles)
    for (let turn = 0; !stopped; turn++) {
      if (turn % 3 === 0) {
        const steps = ['a', 'b', 'c'].map((key) => `step ${turn}, ${key}`)
        const { id } = await session.batches.create({
          tasks: [
            { key: 'a', title: steps[0]! },
            { key: 'b', title: steps[1]!, blocked_by: ['a'] },
            { key: 'c', title: steps[2]!, blocked_by: ['b'] },
          ],
        })
        titles.push(...steps)
        await workThrough(id, steps)
      } else if (turn % 3 === 1) {
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
  let [claimed, claimedAgain] = [0, 0]
  for (const [session_id, titles] of acknowledged) {
    const counts = new Map<string, number>()
    for await (const { title, status, attempts } of aklp.session(session_id).tasks.each()) {
      counts.set(title, (counts.get(title) ?? 0) + 1)
      if (/^(task|step)/.test(title) && status !== 'completed') open.push(title)
      claimed += attempts
      if (attempts > 1) claimedAgain++
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
      expected: `${on}: a claim that is retried claims one task, in the order of the plan`,
      observed: `${claimedAgain} of ${claimed} tasks claimed twice, ${misled.length} out of turn, in ${retriedClaims} retries`,
      passed: claimedAgain === 0 && misled.length === 0 && claimed > 0 && retriedClaims > 0,
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

interface ClaimAnswer {
  task: { id: string; title: string } | null
  lease: { token: string }
  error_code?: string
}
