/** Ten thousand agents at work, each in a session of its own; then faster until something breaks, or slower until nothing does. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { type Server, startService } from '../bench/processes.js'
import {
  type Context,
  type Finding,
  isSuccess,
  onlyExpectedStatuses,
  percentile,
  type Scenario,
  stillRuns,
} from './scenario.js'
import { type CallResult, Client, sendAtRate } from './traffic.js'

const AGENTS = 10_000
/** Seconds from one call of an agent to its next. */
const PERIOD = 10
/** One of so many agents follows the events of its session. */
const AGENTS_FOR_A_STREAM = 100
/** Slower than this, an agent notices. */
const MAX_P99 = 1000
/** For what breaks first: how many times as fast, or as slow if that is too much, and the seconds of each step. */
const [FASTER, SLOWER, STEP] = [[1.5, 2, 3, 4, 6, 8], [0.8, 0.7, 0.6, 0.5, 0.4, 0.3], 20]

export const agents: Scenario = {
  seconds: 600,
  async run({ cluster, seconds }) {
    const database = await cluster.newDatabase('faults')
    const server = await startService(database)
    const everyone = Array.from({ length: AGENTS }, (_, n) => new Agent(n))
    await plan(server, everyone)
    const sql = postgres(database, { max: 1, onnotice: () => {} })
    // Autovacuum, which is off in these measurements, does this every minute.
    const maintain = () => sql`vacuum (analyze)`.catch(() => {})
    await maintain()
    const maintenance = setInterval(maintain, 60_000)
    const streams = everyone
      .filter((_, n) => n % AGENTS_FOR_A_STREAM === 0)
      .map(({ session }) => new Stream(server.base, session))
    const measure = (times: number, seconds: number) =>
      work({ server, everyone, processes: cluster.processes }, times, seconds)
    await measure(1, PERIOD)
    for (const stream of streams) stream.delays.length = 0

    const steady = await measure(1, seconds)
    const memory = server.memory()!
    const delays = streams.flatMap(({ delays }) => delays)
    const findings: Finding[] = [
      onlyExpectedStatuses(steady.results),
      {
        expected: `${AGENTS / PERIOD} calls per second: one in a hundred fails at most, p99 at most ${MAX_P99} ms`,
        observed: `${steady.speed}; ${steady.cores}`,
        passed: !isBroken(steady),
      },
      {
        expected: `an event is at the reader within a second (p99 of ${streams.length} streams)`,
        observed: `p50 ${percentile(delays, 50)} ms, p99 ${percentile(delays, 99)} ms of ${delays.length} events`,
        passed: percentile(delays, 99) <= 1000,
      },
      {
        expected: 'no stream is closed',
        observed: `${streams.filter(({ isOpen }) => isOpen).length} of ${streams.length} are open`,
        passed: streams.every(({ isOpen }) => isOpen),
      },
      {
        expected: 'memory of the server at most 512 MB',
        observed: `${memory.now} MB, at most ${memory.peak} MB`,
        passed: memory.peak <= 512,
      },
    ]

    const steps = [steady]
    const wasBroken = isBroken(steady)
    for (const times of wasBroken ? SLOWER : FASTER) {
      steps.push(await measure(times, STEP))
      if (isBroken(steps.at(-1)!) !== wasBroken) break
    }
    for (const step of steps.slice(1)) {
      const { observed } = onlyExpectedStatuses(step.results)
      findings.push({
        expected: `${step.times} times the load: what breaks is reported`,
        observed: `${isBroken(step) ? 'breaks' : 'works'}: ${step.speed}; ${observed}; ${step.cores}`,
        passed: true,
      })
    }
    findings.push(stillRuns(server))
    for (const stream of streams) stream.close()
    clearInterval(maintenance)
    await sql.end()
    await server.stop()
    return findings
  },
}

/** More than one call in a hundred fails or is slow. */
const isBroken = ({ results, p99 }: { results: CallResult[]; p99: number }) =>
  p99 > MAX_P99 || results.filter(({ status }) => !isSuccess(status)).length > 0.01 * results.length

/** Works through a plan of ten tasks, one call for each step, and then makes the next plan. */
class Agent {
  readonly session = randomUUID()
  readonly #worker: string
  #left = 0
  #plans = 0
  #done: { task_id: string; token: string } | undefined
  #isWaiting = false

  /** @param n The first plans are of different lengths, so that not all agents make the next one at the same time. */
  constructor(readonly n: number) {
    this.#worker = `agent-${n}`
  }

  async plan(client: Client) {
    const length = this.#plans++ === 0 ? 1 + (this.n % 10) : 10
    const tasks = Array.from({ length }, (_, step) => ({ title: `${step + 1}단계: Service 생성 및 테스트` }))
    const body = { session_id: this.session, reason: '네트워킹 학습', tasks }
    const { status } = await client.call('POST', '/api/v1/batches', body)
    if (isSuccess(status)) this.#left = length
  }

  /** Makes the next call, unless the one before has no response yet. Returns whether it did. */
  async step(client: Client): Promise<boolean> {
    if (this.#isWaiting) return false
    this.#isWaiting = true
    await this.#next(client)
    this.#isWaiting = false
    return true
  }

  /** The last claim of a plan completes its last task and returns none. */
  async #next(client: Client) {
    if (this.#left === 0 && this.#done === undefined) return this.plan(client)
    const done = this.#done && { ...this.#done, result: 'Pod nginx가 Running 상태입니다.' }
    const request = {
      worker: this.#worker,
      session_id: this.session,
      ...(done ? { done } : { resume: true }),
    }
    const { status, body } = await client.call('POST', '/api/v1/tasks/claim', request)
    // It resumes its task at its next call.
    this.#done = undefined
    if (!isSuccess(status)) return
    const { task, lease } = body as unknown as {
      task: { id: string } | null
      lease: { token: string } | null
    }
    if (task && lease) this.#done = { task_id: task.id, token: lease.token }
    this.#left = task ? Math.max(0, this.#left - 1) : 0
  }
}

/** The first plan of every agent. */
async function plan(server: Server, everyone: Agent[]) {
  const client = new Client(server.base, 16)
  const remaining = everyone.values()
  const planner = async () => {
    for (const agent of remaining) await agent.plan(client)
  }
  await Promise.all(Array.from({ length: 16 }, planner))
  client.close()
  server.truncateLog()
}

interface Place {
  server: Server
  everyone: Agent[]
  processes: Context['cluster']['processes']
}

/** Lets every agent make a call in each period. */
async function work({ server, everyone, processes }: Place, times: number, seconds: number) {
  const client = new Client(server.base, AGENTS)
  const busy = () => ({
    server: cpuSeconds([server.pid]),
    PostgreSQL: cpuSeconds(processes()),
    'load generator': (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
  })
  const before = busy()
  const start = performance.now()
  let late = 0
  const load = sendAtRate((times * AGENTS) / PERIOD, async (turn) => {
    if (!(await everyone[turn % AGENTS]!.step(client))) late++
  })
  while (performance.now() - start < 1000 * seconds) {
    await sleep(1000)
    server.truncateLog()
  }
  const after = busy()
  const elapsed = (performance.now() - start) / 1000
  await load.stop()
  client.close()
  const results: CallResult[] = client.results
  const latencies = results.map(({ ms }) => ms)
  const p99 = percentile(latencies, 99)
  const names = Object.keys(before) as (keyof typeof before)[]
  return {
    times,
    results,
    p99,
    speed: `${Math.round(results.length / elapsed)}/s, p50 ${percentile(latencies, 50)} ms, p99 ${p99} ms; ${late} calls not made, since the one before had no response`,
    cores: names
      .map((name) => `${name} ${((after[name] - before[name]) / elapsed).toFixed(2)} cores`)
      .join(', '),
  }
}

/** CPU time of processes and of their children that have ended. Linux only; a clock tick is 10 ms there. */
function cpuSeconds(pids: number[]): number {
  const ticks = pids.map((pid) => {
    // utime, stime, cutime and cstime: fields 14 to 17, counted from the state, which follows the name.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  })
  return ticks.reduce((sum, value) => sum + value, 0) / 100
}

/** Follows the events of a session, and records how many milliseconds after each change its event arrives. */
class Stream {
  readonly delays: number[] = []
  isOpen = false
  readonly #request

  constructor(base: string, session: string) {
    this.#request = get(`${base}/api/v1/events/stream?session_id=${session}`, { agent: false }, (response) =>
      this.#read(response),
    )
    this.#request.on('error', () => this.#ended())
  }

  #read(response: IncomingMessage) {
    this.isOpen = response.statusCode === 200
    response.setEncoding('utf8').on('data', (text: string) => {
      for (const [, at] of text.matchAll(/"at":"([^"]+)"/g)) this.delays.push(Date.now() - Date.parse(at!))
    })
    response.on('close', () => this.#ended())
  }

  #ended() {
    this.isOpen = false
  }

  close() {
    this.#request.destroy()
  }
}
