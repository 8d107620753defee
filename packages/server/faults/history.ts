/**
 * Workers share plans through kills of the server and restarts of PostgreSQL, and everything they send and receive is recorded.
 * A checker then finds whether one order explains it. First it must find planted faults: rules that the service is made to miss.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { folder, type Server, startService } from '../bench/processes.js'
import type { Database } from '../src/db/database.js'
import { openDatabase } from '../src/db/open.js'
import { type Call, findUnexplained, type Refusal, type Seen, type Step } from './checker.js'
import type { Context, Finding, Scenario } from './scenario.js'
import { Client } from './traffic.js'

const SESSIONS = 4
const WORKERS = 6
/** Calls and tasks of a session. */
const CALLS = 200
const TASKS = 12
const PLANTED_CALLS = 6000

const EXPIRE = `
  update tasks set lease_expires_at = now() - interval '1 second'
  where id = $1 and lease_token is not null returning id`

/** What is left out of the requests, although the history says that it was sent. */
const plants = {
  'a lease token is not checked': 'lease-token',
  'If-Match is not checked': 'if-match',
  'blockers are not checked': 'blocked_by',
  'a live lease is given to another worker': 'lease',
} as const
type Plant = (typeof plants)[keyof typeof plants]

export const history: Scenario = {
  seconds: 0,
  async run({ cluster, calls }) {
    const findings: Finding[] = []
    for (const [name, plant] of Object.entries(plants)) {
      const history = new History(await cluster.newDatabase(`plant_${plant.replace('-', '_')}`), plant)
      await history.record(PLANTED_CALLS)
      findings.push({
        expected: `found, when ${name}`,
        observed: history.unexplained ?? `not found in ${history.summary()}`,
        passed: history.unexplained !== undefined,
      })
    }
    const onPostgres = new History(await cluster.newDatabase('history'))
    await onPostgres.record(calls, cluster)
    const embedded = new History(`file:${join(folder, 'history')}`)
    await embedded.record(calls / 5)
    return [...findings, onPostgres.finding('PostgreSQL'), embedded.finding('embedded')]
  },
}

interface Session {
  id: string
  calls: Call[]
  /** The versions last seen, by task. */
  versions: Map<string, string>
}

/** What a worker believes to hold. */
interface Held {
  task: string
  token: string
}

type Task = Seen & { id: string }

/** The responses of all operations. */
interface Response extends Task {
  task: Task | null
  lease: { token: string }
  tasks: Task[]
  current?: Task
}

interface Request {
  method: string
  path: string
  body?: object
  headers?: Record<string, string>
  /** Repeated with the same Idempotency-Key until there is a response. */
  isRepeated?: boolean
  /** What the call does, by its response; undefined if there is none. */
  steps(response?: Response): Step[]
}

const pick = <T>(values: readonly T[]): T => values[Math.floor(values.length * Math.random())]!
const chance = (probability: number) => Math.random() < probability

const seen = (task: Task): Seen => ({
  title: task.title,
  status: task.status,
  claimed_by: task.claimed_by,
  attempts: task.attempts,
  updated_at: task.updated_at,
  blocked_by: task.blocked_by,
})

class History {
  unexplained: string | undefined
  #server!: Server
  #client!: Client
  /** Past the server; only one process can open the embedded database. */
  #direct: Database | undefined
  #sessions = new Set<Session>()
  #checked = 0
  #counts = { calls: 0, unanswered: 0, kills: 0, restarts: 0 }
  /** How often each step took effect, and each refusal. */
  readonly #kinds = new Map<string, number>()
  /** Tasks have unique titles, so that a lost write is seen. */
  #titles = 0

  constructor(
    readonly database: string,
    readonly plant?: Plant,
  ) {}

  /** @param cluster What is restarted, too. */
  async record(calls: number, cluster?: Context['cluster']) {
    await this.#start()
    const isOver = () => this.#counts.calls >= calls || this.unexplained !== undefined
    const plans = Array.from({ length: SESSIONS }, async () => {
      while (!isOver()) await this.#runSession()
    })
    let running = true
    const done = Promise.all(plans).finally(() => {
      running = false
    })
    const faults = async () => {
      for (let next = CALLS; running; await sleep(5)) {
        if (this.plant || this.#counts.calls < next) continue
        if (cluster && this.#counts.kills > 4 * this.#counts.restarts) {
          await cluster.stop()
          await cluster.start()
          this.#counts.restarts++
        } else await this.#killServer()
        next = this.#counts.calls + CALLS * (1 + 4 * Math.random())
      }
    }
    await Promise.all([done, faults()])
    this.#client.close()
    await this.#server.stop()
    await this.#direct?.close()
  }

  finding(on: string): Finding {
    const { unanswered, kills } = this.#counts
    return {
      expected: `${on}: one order explains every call and its response`,
      observed: this.unexplained ?? this.summary(),
      passed:
        this.unexplained === undefined &&
        unanswered > 0 &&
        kills > 0 &&
        ['write', 'claim', 'renew', 'release', 'expire', 'lease_lost', 'task_changed', 'task_blocked'].every(
          (kind) => this.#kinds.has(kind),
        ),
    }
  }

  summary() {
    const { calls, unanswered, kills, restarts } = this.#counts
    const kinds = [...this.#kinds].map(([kind, count]) => `${count} × ${kind}`).join(', ')
    return `${calls} calls in ${this.#checked} sessions, ${unanswered} without a response, ${kills} kills, ${restarts} restarts of PostgreSQL: ${kinds}`
  }

  async #start() {
    this.#server = await startService(this.database)
    this.#client = new Client(this.#server.base)
    if (this.#isPostgres) this.#direct ??= await this.#open()
  }

  /** While the server is down, every lease expires. */
  async #killServer() {
    process.kill(this.#server.pid, 'SIGKILL')
    while (this.#server.running()) await sleep(5)
    this.#client.close()
    this.#counts.kills++
    const database = this.#direct ?? (await this.#open())
    for (const session of this.#sessions) await this.#expire(database, session, [...session.versions.keys()])
    if (database !== this.#direct) await database.close()
    await this.#start()
  }

  get #isPostgres() {
    return this.database.startsWith('postgres')
  }

  #open() {
    return openDatabase(this.database, {
      poolSize: 1,
      statementTimeout: 0,
      lockTimeout: 10_000,
      startTimeout: 10_000,
    })
  }

  /** Ends the time of leases. */
  async #expire(database: Database, session: Session, ids: string[]) {
    for (const task of ids) {
      const sent = performance.now()
      const received = await database.db.run(EXPIRE, [task]).then(
        (rows) => (rows.length > 0 ? performance.now() : undefined),
        () => Number.POSITIVE_INFINITY,
      )
      if (received) this.#add(session, { name: 'expiry', sent, received, steps: [{ do: 'expire', task }] })
    }
  }

  #add(session: Session, call: Call) {
    session.calls.push(call)
    if (call.received === Number.POSITIVE_INFINITY) this.#counts.unanswered++
    else
      for (const kind of call.refused ? [call.refused] : call.steps.map((step) => step.do)) this.#count(kind)
    for (const { task, seen } of call.steps) if (seen) session.versions.set(task, seen.updated_at)
  }

  #count(kind: string) {
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1)
  }

  async #isReady() {
    while ((await this.#client.call('GET', '/readyz')).status !== 200) await sleep(20)
  }

  /** Sends a request and records it. Returns the body of a success. */
  async #send(session: Session, request: Request): Promise<Response | undefined> {
    const { method, path, body, isRepeated, steps } = request
    const headers = { ...request.headers, ...(isRepeated && { 'Idempotency-Key': randomUUID() }) }
    const sent = performance.now()
    this.#counts.calls++
    const name = `${method} ${path.slice(-45)} ${JSON.stringify({ ...body, ...request.headers })}`
    const add = (call: Pick<Call, 'steps'> & Partial<Call>) =>
      this.#add(session, { name, sent, received: performance.now(), ...call })
    for (;;) {
      const { status, code, ...result } = await this.#client.call(method, `/api/v1${path}`, body, headers)
      const response = result.body as Response
      if (status >= 200 && status < 300) {
        add({ steps: steps(response) })
        return response
      }
      const isRefused = (status === 409 || status === 412) && code !== 'idempotency_in_progress'
      if (isRefused) {
        const [first] = steps()
        const refused = (code === 'task_completed' ? 'task_claimed' : code) as Refusal
        if (first) add({ steps: [first], refused })
        const { current } = response
        if (current) add({ steps: [{ do: 'read', task: current.id, seen: seen(current) }] })
        return undefined
      }
      const isUnknown = status === 0 || status >= 500
      if (!isUnknown && code !== 'idempotency_in_progress') throw new Error(`${name}: ${status} ${code}`)
      await this.#isReady()
      // A refused connection is no request.
      if (isRepeated || code === 'ECONNREFUSED') continue
      if (steps().length > 0) add({ received: Number.POSITIVE_INFINITY, steps: steps() })
      return undefined
    }
  }

  /** A plan, its workers, and a last look at every task. */
  async #runSession() {
    const session: Session = { id: randomUUID(), calls: [], versions: new Map() }
    this.#sessions.add(session)
    const plan = Array.from({ length: TASKS }, (_, nth) => ({
      key: `${nth}`,
      title: this.#title(),
      blocked_by: nth > 2 ? [...new Set([pick([0, 1, 2]), nth - 1 - pick([0, 1])])].map(String) : [],
    }))
    const isLeftOut = this.plant === 'blocked_by'
    await this.#send(session, {
      method: 'POST',
      path: '/batches',
      body: {
        session_id: session.id,
        tasks: isLeftOut ? plan.map(({ blocked_by: _, ...task }) => task) : plan,
      },
      isRepeated: true,
      steps: (response) =>
        (response?.tasks ?? []).map((task, nth, tasks): Step => {
          const blocked_by = plan[nth]!.blocked_by.map((key) => tasks[Number(key)]!.id)
          return { do: 'create', task: task.id, seen: { ...seen(task), blocked_by } }
        }),
    })
    const end = this.#counts.calls + CALLS * SESSIONS
    await Promise.all(
      Array.from({ length: WORKERS }, async (_, nth) => {
        let held: Held | undefined
        while (session.calls.length < CALLS && this.#counts.calls < end)
          held = await this.#act(session, `worker ${nth}`, held)
      }),
    )
    for (const task of session.versions.keys()) await this.#read(session, task)
    this.#sessions.delete(session)
    this.unexplained ??= findUnexplained(session.calls)
    this.#checked++
  }

  #title() {
    return `title ${++this.#titles}`
  }

  #read(session: Session, task: string) {
    return this.#send(session, {
      method: 'GET',
      path: `/tasks/${task}`,
      steps: (response) => (response ? [{ do: 'read', task, seen: seen(response) }] : []),
    })
  }

  /** One thing that a worker, or somebody else, does. Returns what the worker believes to hold afterwards. */
  async #act(session: Session, worker: string, held: Held | undefined): Promise<Held | undefined> {
    const task = pick([...session.versions.keys()])
    if (chance(0.75)) return held ? this.#work(session, worker, held) : this.#claim(session, worker, task)
    if (chance(0.4)) await this.#read(session, task)
    else if (chance(0.15) && this.#direct) await this.#expire(this.#direct, session, [task])
    else await this.#interfere(session, task)
    return held
  }

  async #claim(session: Session, worker: string, task: string): Promise<Held | undefined> {
    if (chance(0.7))
      return this.#claimNext(session, worker, [], { session_id: session.id, resume: chance(0.3) })
    // Its lease expires, and the history does not say so.
    if (this.plant === 'lease') await this.#direct!.db.run(EXPIRE, [task])
    const response = await this.#send(session, {
      method: 'POST',
      path: `/tasks/${task}/claim`,
      body: { worker },
      steps: (response) => [
        {
          do: 'claim',
          task,
          worker,
          ...(response && { token: response.lease.token, seen: seen(response.task!) }),
        },
      ],
    })
    return response && { task, token: response.lease.token }
  }

  async #claimNext(session: Session, worker: string, first: Step[], body: object): Promise<Held | undefined> {
    const response = await this.#send(session, {
      method: 'POST',
      path: '/tasks/claim',
      body: { worker, ...body },
      isRepeated: true,
      steps(response) {
        if (!response?.task) return first
        const { task, lease } = response
        return [...first, { do: 'claim', task: task.id, worker, token: lease.token, seen: seen(task) }]
      },
    })
    return response?.task ? { task: response.task.id, token: response.lease.token } : undefined
  }

  async #work(session: Session, worker: string, held: Held): Promise<Held | undefined> {
    const { task, token } = held
    switch (pick(['renew', 'write', 'release', 'complete', 'done', 'done', 'forget'] as const)) {
      case 'renew':
        await this.#send(session, {
          method: 'POST',
          path: `/tasks/${task}/renew`,
          body: { token },
          steps: (response) => [
            { do: 'renew', task, token, ...(response && { seen: seen(response.task!) }) },
          ],
        })
        return held
      case 'release':
        await this.#send(session, {
          method: 'POST',
          path: `/tasks/${task}/release`,
          body: { token },
          steps: (response) => [{ do: 'release', task, token, ...(response && { seen: seen(response) }) }],
        })
        return undefined
      case 'write':
        await this.#write(session, task, { title: this.#title() }, { token })
        return held
      case 'complete':
        await this.#write(session, task, { status: 'completed' }, { token })
        return undefined
      case 'done':
        return this.#claimNext(session, worker, [{ do: 'write', task, status: 'completed', token }], {
          done: { task_id: task, token },
        })
      case 'forget':
        return undefined
    }
  }

  /** Somebody changes a task, or adds one. */
  async #interfere(session: Session, task: string) {
    const title = this.#title()
    switch (pick(['title', 'title', 'version', 'version', 'status', 'create'] as const)) {
      case 'title':
        return this.#write(session, task, { title })
      case 'version':
        return this.#write(session, task, { title }, { version: session.versions.get(task)! })
      case 'status':
        return this.#write(session, task, {
          status: pick(['pending', 'pending', 'in_progress', 'completed']),
        })
      case 'create':
        return this.#send(session, {
          method: 'POST',
          path: '/tasks',
          body: { session_id: session.id, title, blocked_by: [task] },
          isRepeated: true,
          steps: (response) => (response ? [{ do: 'create', task: response.id, seen: seen(response) }] : []),
        })
    }
  }

  #write(
    session: Session,
    task: string,
    changes: { title?: string; status?: string },
    { token, version }: { token?: string; version?: string } = {},
  ) {
    return this.#send(session, {
      method: 'PUT',
      path: `/tasks/${task}`,
      body: changes,
      headers: {
        ...(token && this.plant !== 'lease-token' && { 'Lease-Token': token }),
        ...(version && this.plant !== 'if-match' && { 'If-Match': `"${version}"` }),
      },
      steps: (response) => [
        {
          do: 'write',
          task,
          ...changes,
          ...(token && { token }),
          ...(version && { version }),
          ...(response && { seen: seen(response) }),
        },
      ],
    })
  }
}
