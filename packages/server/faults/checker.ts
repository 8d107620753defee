/**
 * Finds whether one order explains the history of a session: a sequence of all its calls in which each takes effect at one
 * moment between its request and its response, and each response is what the rules of tasks and leases give at that moment. A
 * call without a response may have taken effect at any moment after its request, or never.
 *
 * It tries the calls that could come next, one after the other, and goes back where none fits (Wing and Gong, "Testing and
 * verifying concurrent objects", 1993), but tries no state twice with the same calls left (Lowe, "Testing for
 * linearizability", 2017).
 */
import { createHash } from 'node:crypto'

/** What a response shows of a task. */
export interface Seen {
  title: string
  status: string
  claimed_by: string | null
  attempts: number
  /** The version of the task. */
  updated_at: string
  blocked_by: string[]
}

/** One task's part in a call. `seen` is absent if there was no response, or it does not show the task. */
export type Step = { task: string; seen?: Seen } & (
  | { do: 'create'; seen: Seen }
  | { do: 'read'; seen: Seen }
  /** `token` is that of Lease-Token, `version` that of If-Match. */
  | { do: 'write'; title?: string; status?: string; token?: string; version?: string }
  /** Without `token`, nobody received it. */
  | { do: 'claim'; worker: string; token?: string }
  | { do: 'renew' | 'release'; token: string }
  /** The time of the lease is over. */
  | { do: 'expire' }
)

/** Why a task is left alone. */
export type Refusal = 'lease_lost' | 'task_changed' | 'task_blocked' | 'task_claimed'

export interface Call {
  /** What a report calls it. */
  name: string
  /** When the request was sent, and when the response had arrived: Infinity without a response. */
  sent: number
  received: number
  /** They take effect together, in this order. */
  steps: Step[]
  /** The response says that nothing took effect, and why. */
  refused?: Refusal
}

interface TaskState extends Seen {
  /** The token of its lease; an empty one if nobody received it. */
  token: string | null
  expired: boolean
  /** Whether `updated_at` is its version. Otherwise it is a later one: after a write without a response. */
  isExact: boolean
  /** When the write that reopened it was acknowledged. */
  reopened: number
}
type State = Readonly<Record<string, TaskState>>

class Mismatch {
  constructor(
    readonly why: string,
    readonly refusal?: Refusal,
  ) {}
}

/** The most states that are tried for one history. */
const MOST_STATES = 50_000

/** Why no order explains the calls: what fits none of the longest sequences that do; undefined if one does. */
export function findUnexplained(calls: readonly Call[]): string | undefined {
  const nth = new Map(calls.map((call, place) => [call, place]))
  const tried = new Set<string>()
  let fewestLeft = Number.POSITIVE_INFINITY
  let report = ''

  const isExplained = (state: State, left: readonly Call[]): boolean => {
    if (!left.some(isAnswered)) return true
    const horizon = Math.min(...left.map(({ received }) => received))
    const candidates = left.filter(({ sent }) => sent <= horizon)
    const results = candidates.map((call) => ({ call, result: apply(state, call) }))
    const without = (call: Call) => left.filter((other) => other !== call)
    // A call that only looks, and fits now, can come now whatever the order of the others.
    const looking = results.find(({ call, result }) => result === state && onlyLooks(call))
    if (looking) return isExplained(state, without(looking.call))

    const key = createHash('sha1')
      .update(JSON.stringify([left.map((call) => nth.get(call)), state]))
      .digest('base64')
    if (tried.has(key)) return false
    tried.add(key)
    if (tried.size > MOST_STATES) return false
    const count = left.filter(isAnswered).length
    if (count < fewestLeft) {
      fewestLeft = count
      report = results
        .flatMap(({ call, result }) => (result instanceof Mismatch ? `${call.name}: ${result.why}` : []))
        .slice(0, 5)
        .join('; ')
    }
    return results
      .sort((a, b) => a.call.received - b.call.received)
      .some(({ call, result }) => !(result instanceof Mismatch) && isExplained(result, without(call)))
  }

  if (
    isExplained(
      {},
      [...calls].sort((a, b) => a.sent - b.sent),
    )
  )
    return undefined
  return tried.size > MOST_STATES ? `undecided after ${MOST_STATES} states: ${report}` : report
}

const onlyLooks = ({ refused, steps }: Call) =>
  refused !== undefined || steps.every((step) => step.do === 'read')

const isAnswered = ({ received }: Call) => received !== Number.POSITIVE_INFINITY

/** The state after a call, or why the call does not fit this state. */
function apply(before: State, call: Call): State | Mismatch {
  const { steps, refused } = call
  let state = before
  for (const step of steps) {
    const changed = step.do === 'create' ? created(state, step) : after(state, step, call)
    if (changed instanceof Mismatch) {
      if (refused === undefined) return changed
      return refused === changed.refusal ? before : new Mismatch(`refused as ${refused}, but ${changed.why}`)
    }
    if (changed !== state[step.task]) state = { ...state, [step.task]: changed }
  }
  return refused ? new Mismatch(`refused as ${refused} without a reason`) : state
}

const created = (state: State, { task, seen }: Step & { do: 'create' }): TaskState | Mismatch =>
  state[task]
    ? new Mismatch('the task exists')
    : { ...seen, token: null, expired: false, isExact: true, reopened: 0 }

const noLease = { token: null, claimed_by: null, expired: false }

/** A task after a step. The rules are those of the service, in the order in which it checks them. */
function after(
  state: State,
  step: Exclude<Step, { do: 'create' }>,
  { sent, received, refused }: Call,
): TaskState | Mismatch {
  const task = state[step.task]
  if (task === undefined) return new Mismatch('the task does not exist')
  if ('token' in step && step.do !== 'claim' && step.token !== undefined && step.token !== task.token)
    return new Mismatch('the token is not that of the lease', 'lease_lost')
  // A blocker that is reopened at the same time may have been completed when it was looked at.
  const isBlocked = task.blocked_by.some((id) => {
    const blocker = state[id]
    return blocker && blocker.status !== 'completed' && (refused || blocker.reopened < sent)
  })
  const blocked = new Mismatch('a blocker is not completed', 'task_blocked')

  switch (step.do) {
    case 'read':
      return showing(task, step.seen)
    case 'expire':
      if (task.token === null) return new Mismatch('there is no lease')
      return task.expired ? task : { ...task, expired: true }
    case 'renew':
      return showing(task.expired ? { ...task, expired: false } : task, step.seen)
    case 'release':
      return rewritten(task, { status: 'pending', ...noLease }, step.seen)
    case 'claim': {
      const { worker, token = '', seen } = step
      const lease = { token, claimed_by: worker, expired: false }
      // With `resume`, a worker gets its own task back.
      if (task.token !== null && task.claimed_by === worker && seen?.attempts === task.attempts)
        return rewritten(task, lease, seen)
      const isFree = task.status === 'pending' || (task.token !== null && task.expired)
      if (!isFree) {
        const holder = task.token === null ? 'nobody' : `${task.claimed_by} with a live lease`
        return new Mismatch(`the task is ${task.status}, held by ${holder}`, 'task_claimed')
      }
      if (isBlocked) return blocked
      return rewritten(task, { ...lease, status: 'in_progress', attempts: task.attempts + 1 }, seen)
    }
    case 'write': {
      const { title = task.title, status = task.status, version } = step
      if (
        version !== undefined &&
        (version < task.updated_at || (task.isExact && version !== task.updated_at))
      )
        return new Mismatch(`its version is ${task.updated_at}, not ${version}`, 'task_changed')
      if (status !== 'pending' && status !== task.status && isBlocked) return blocked
      const endsLease = step.status !== undefined && (step.token === undefined || status !== 'in_progress')
      const reopened = task.status === 'completed' && status !== 'completed' ? received : task.reopened
      return rewritten(task, { title, status, reopened, ...(endsLease && noLease) }, step.seen)
    }
  }
}

/** A task with a new version. */
function rewritten(
  task: TaskState,
  changes: Partial<TaskState>,
  seen: Seen | undefined,
): TaskState | Mismatch {
  return showing({ ...task, ...changes, isExact: false }, seen)
}

/** The task, if it is what the response shows. */
function showing(task: TaskState, seen: Seen | undefined): TaskState | Mismatch {
  if (seen === undefined) return task
  for (const field of ['title', 'status', 'claimed_by', 'attempts'] as const)
    if (seen[field] !== task[field])
      return new Mismatch(`shows ${field} ${seen[field]}, which is ${task[field]}: a write is lost`)
  if (task.isExact && seen.updated_at !== task.updated_at)
    return new Mismatch(`shows version ${seen.updated_at}, which is ${task.updated_at}`)
  if (!task.isExact && seen.updated_at <= task.updated_at)
    return new Mismatch(`its version went from ${task.updated_at} to ${seen.updated_at}`)
  return task.isExact ? task : { ...task, updated_at: seen.updated_at, isExact: true }
}
