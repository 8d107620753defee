/** What the events of a plan say about work: who had which task from when to when, notes, and progress. Pure. */
import type { Event, Task } from '@aklp/task-client'

/** How a span ended; `expired` means that the lease ran out before the worker did anything. */
export type Outcome = 'running' | 'completed' | 'released' | 'expired'

export interface Span {
  task: string
  start: number
  /** Undefined while it lasts. */
  end: number | undefined
  outcome: Outcome
}

export interface Note {
  id: string
  at: number
  task: string | undefined
  author: string
  text: string
}

export interface Lane {
  /** The name of a worker, or of a caller who changed tasks without a lease. */
  name: string
  isWorker: boolean
  /** In the order of their starts. */
  spans: Span[]
  /** Oldest first. */
  notes: Note[]
}

/** How many tasks there were and how many of them were completed, from a moment on. */
export interface Step {
  at: number
  total: number
  completed: number
}

type Change = Event['changes'][number]
const changeOf = (event: Event, field: string): Change | undefined =>
  event.changes.find((change) => change.field === field)

export function lanesOf(events: readonly Event[], tasks: ReadonlyMap<string, Task>): Lane[] {
  const lanes = new Map<string, Lane>()
  const open = new Map<string, Span>()
  const laneOf = ({ actor }: Event, worker = actor.worker): Lane => {
    const name = worker ?? actor.caller ?? ''
    const isWorker = worker !== null
    const key = `${isWorker} ${name}`
    if (!lanes.has(key)) lanes.set(key, { name, isWorker, spans: [], notes: [] })
    return lanes.get(key)!
  }
  const begin = (event: Event, outcome: Outcome, worker?: string) => {
    const at = Date.parse(event.at)
    const span: Span = {
      task: event.task_id!,
      start: at,
      end: outcome === 'running' ? undefined : at,
      outcome,
    }
    laneOf(event, worker).spans.push(span)
    if (outcome === 'running') open.set(span.task, span)
  }

  for (const event of events) {
    const { id, at, task_id, note } = event
    if (note !== null) {
      const lane = laneOf(event)
      lane.notes.push({ id, at: Date.parse(at), task: task_id ?? undefined, author: lane.name, text: note })
    }
    if (!task_id) continue
    const holder = changeOf(event, 'claimed_by')
    const status = changeOf(event, 'status')
    const isCompleted = status?.to === 'completed' && event.type !== 'task.restored'
    const span = open.get(task_id)
    if (span && (holder || status)) {
      open.delete(span.task)
      span.outcome = isCompleted ? 'completed' : event.type === 'task.claimed' ? 'expired' : 'released'
      span.end = Date.parse(at)
      // Another worker may claim it long after the lease ended.
      const expiry = changeOf(event, 'lease_expires_at')?.from
      if (span.outcome === 'expired' && typeof expiry === 'string')
        span.end = Math.min(span.end, Date.parse(expiry))
    } else if (isCompleted) begin(event, 'completed')
    if (typeof holder?.to === 'string') begin(event, 'running', holder.to)
    else if (status?.to === 'in_progress' && !holder) begin(event, 'running')
  }

  // A lease that was renewed has no event, and one that ended has none either: the tasks know.
  for (const span of open.values()) {
    const task = tasks.get(span.task)
    if (!task?.is_ready || !task.lease_expires_at) continue
    span.outcome = 'expired'
    span.end = Math.max(span.start, Date.parse(task.lease_expires_at))
  }
  return [...lanes.values()]
}

/**
 * Goes back from what there is now, since the tasks that were created with the batch have no events of their own, and old events
 * may have been removed.
 */
export function progressOf(events: readonly Event[], tasks: ReadonlyMap<string, Task>): Step[] {
  let total = tasks.size
  let completed = 0
  for (const { status } of tasks.values()) if (status === 'completed') completed++
  const steps: Step[] = []
  for (const event of events.toReversed()) {
    const status = changeOf(event, 'status')
    const done = Number(status?.to === 'completed') - Number(status?.from === 'completed')
    const added = addedBy(event)
    if (done === 0 && added === 0 && event.type !== 'batch.created') continue
    steps.push({ at: Date.parse(event.at), total, completed })
    total -= added
    completed -= done
  }
  return steps.reverse()
}

function addedBy(event: Event): number {
  if (event.type === 'task.created' || event.type === 'task.restored') return 1
  if (event.type === 'task.deleted') return -1
  const added = event.type === 'batch.extended' && changeOf(event, 'tasks')?.to
  return Array.isArray(added) ? added.length : 0
}
