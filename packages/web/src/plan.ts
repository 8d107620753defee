/** The plan that is open: its tasks as they are now, and what happened. */
import type { Batch, Event, Task } from '@aklp/task-client'
import { batch, computed, effect, type ReadonlySignal, type Signal, signal } from '@preact/signals'
import { go, tie } from './address.js'
import { follow, sleep } from './live.js'
import { client, keepsEvents } from './service.js'
import { type Structure, structureOf } from './structure.js'
import { until } from './time.js'

/** What a task is at the moment. */
export type State = 'ready' | 'in_progress' | 'blocked' | 'deferred' | 'completed'

export interface Plan {
  /** Undefined until it is read. Without its tasks and progress, which {@link tasks} has. */
  batch: ReadonlySignal<Omit<Batch, 'tasks' | 'progress'> | undefined>
  /** The tasks of the batch by id, in the order of the plan. A task that did not change keeps its identity. */
  tasks: ReadonlySignal<ReadonlyMap<string, Task>>
  /** Computed again only when tasks come, go or wait for others, not when their status changes. */
  structure: ReadonlySignal<Structure>
  /** A task of the plan, or one of another plan that a task of this one waits for. */
  find(id: string): Task | undefined
  /** Oldest first; empty until {@link loadEvents} was called. */
  events: ReadonlySignal<readonly Event[]>
  /** Reads the events, once, and follows them from then on. */
  loadEvents(): void
  /** The id of the task that is selected, kept in the address. */
  selected: Signal<string | undefined>
  /** Whether completed tasks are hidden, kept in the address. */
  hidesDone: Signal<boolean>
}

/** The state of a task. The clock is left to the service: tasks are read again when a lease or a wait ends. */
export function stateOf(task: Task, plan: Pick<Plan, 'find'>): State {
  if (task.status === 'completed') return 'completed'
  // Also of a task whose lease has expired.
  if (task.is_ready) return 'ready'
  if (task.status === 'in_progress') return 'in_progress'
  const isBlocked = task.blocked_by.some((id) => plan.find(id)?.status !== 'completed')
  return isBlocked ? 'blocked' : 'deferred'
}

/** How many tasks are in each state. */
export function countStates(plan: Plan): Record<State, number> {
  const counts = { completed: 0, in_progress: 0, ready: 0, blocked: 0, deferred: 0 }
  for (const task of plan.tasks.value.values()) counts[stateOf(task, plan)]++
  return counts
}

/** A plan with what only its page uses. */
export interface OpenPlan extends Plan {
  /** Why it cannot be shown, if so. */
  error: ReadonlySignal<string | undefined>
  /** Takes over a task that the service returned, at once. */
  put(task: Task): void
  /** Reads these tasks again, with those that wait for them; without ids, all. */
  refresh(ids?: Iterable<string>): void
  close(): void
}

/** Most ids of one request. */
const MOST_IDS = 100
/** Milliseconds between two reads: what happens meanwhile is read in one go. */
const GAP = 80
/** Milliseconds between two reads of the tasks of other plans. */
const OTHERS = 5000
/** A timer of a browser takes no longer ones. */
const LONGEST = 2 ** 31 - 1

export function openPlan(id: string): OpenPlan {
  const head = signal<Omit<Batch, 'tasks' | 'progress'>>()
  const tasks = signal<ReadonlyMap<string, Task>>(new Map())
  /** Tasks of other plans that some of this one wait for. */
  const others = signal<ReadonlyMap<string, Task>>(new Map())
  const events = signal<readonly Event[]>([])
  const error = signal<string>()
  const [selected, untieSelected] = tie(
    ({ task }) => task,
    (task) => go({ task }),
  )
  const [hidesDone, untieHidesDone] = tie(
    ({ done }) => done === 'hidden',
    (isHidden) => go({ done: isHidden ? 'hidden' : undefined }, 'replace'),
  )

  const shape = computed(() =>
    JSON.stringify([...tasks.value.values()].map(({ id, blocked_by }) => [id, ...blocked_by])),
  )
  const structure = computed(() => {
    shape.value
    return structureOf(tasks.peek().values())
  })
  const find = (id: string) => tasks.value.get(id) ?? others.value.get(id)

  // --- Reading: one read at a time, so that none overtakes another.

  const touched = new Set<string>()
  let readsAll = false
  let reading: Promise<void> | undefined
  let isClosed = false

  /** Reads what has been touched, until there is nothing left. */
  function read(): Promise<void> {
    reading ??= (async () => {
      try {
        while (!isClosed && (readsAll || touched.size > 0)) {
          const ids = readsAll ? undefined : [...touched]
          readsAll = false
          touched.clear()
          await (ids && ids.length <= MOST_IDS ? readSome(ids) : readAll())
          await readOthers()
          await sleep(GAP)
        }
      } finally {
        reading = undefined
      }
    })()
    return reading
  }

  async function readAll() {
    const { tasks: found, progress, ...rest } = await client.batches.get(id)
    batch(() => {
      if (JSON.stringify(rest) !== JSON.stringify(head.peek())) head.value = rest
      tasks.value = merge(tasks.peek(), new Map(found.map((task) => [task.id, task])))
    })
  }

  async function readSome(ids: string[]) {
    const { items } = await client.tasks.list({ ids, limit: MOST_IDS })
    const found = new Map(items.map((task) => [task.id, task]))
    const apply = (known: ReadonlyMap<string, Task>) => {
      const next = new Map(known)
      for (const id of ids) {
        if (!next.has(id)) continue
        const task = found.get(id)
        if (task) next.set(id, task)
        else next.delete(id)
      }
      return merge(known, next)
    }
    batch(() => {
      tasks.value = apply(tasks.peek())
      others.value = apply(others.peek())
    })
  }

  /** Reads the tasks of other plans that are not known yet. */
  async function readOthers() {
    const known = tasks.peek()
    const blockers = new Set([...known.values()].flatMap(({ blocked_by }) => blocked_by))
    const ids = [...blockers].filter((id) => !known.has(id) && !others.peek().has(id))
    for (let from = 0; from < ids.length; from += MOST_IDS) {
      const page = await client.tasks.list({ ids: ids.slice(from, from + MOST_IDS), limit: MOST_IDS })
      others.value = new Map([...others.peek(), ...page.items.map((task) => [task.id, task] as const)])
    }
  }

  function refresh(ids?: Iterable<string>) {
    if (ids === undefined) readsAll = true
    for (const id of ids ?? []) {
      touched.add(id)
      // A task becomes ready without an event of its own.
      for (const task of tasks.peek().values()) if (task.blocked_by.includes(id)) touched.add(task.id)
    }
    // The next event or timer would come too late for what could not be read.
    read().catch(() => isClosed || setTimeout(refresh, 1000))
  }

  // A lease is renewed without an event and ends without one, as does a wait, and tasks of other plans have their events there.
  const checks = signal(0)
  const endTimer = effect(() => {
    checks.value
    const due: { id: string; left: number }[] = []
    for (const { id, is_ready, status, lease_expires_at, not_before } of tasks.value.values()) {
      const at = status === 'in_progress' ? lease_expires_at : status === 'pending' ? not_before : null
      // One that still waits for another task when its time has come changes with that one.
      if (at !== null && !is_ready && until(at) > -5000) due.push({ id, left: until(at) + 200 })
    }
    for (const { id, status } of others.value.values())
      if (status !== 'completed') due.push({ id, left: OTHERS })
    if (due.length === 0) return undefined
    const next = Math.max(1000, Math.min(...due.map(({ left }) => left)))
    const timer = setTimeout(
      () => {
        refresh(due.filter(({ left }) => left <= next).map(({ id }) => id))
        checks.value++
      },
      Math.min(next, LONGEST),
    )
    return () => clearTimeout(timer)
  })

  // --- Events

  let areEventsLoaded = false
  async function loadEvents() {
    if (areEventsLoaded || !keepsEvents.peek()) return
    areEventsLoaded = true
    try {
      const found: Event[] = []
      for await (const event of client.events.each({ batch_id: id })) found.push(event)
      const last = found.at(-1)?.id ?? ''
      // Those that happened meanwhile.
      events.value = [...found, ...events.peek().filter((event) => event.id > last)]
    } catch {
      areEventsLoaded = false
      if (!isClosed) setTimeout(loadEvents, 1000)
    }
  }

  /** Events that have arrived and are not shown: several agents have many in a moment, and each would draw everything again. */
  const arrived: Event[] = []
  function receive(event: Event) {
    if (arrived.push(event) === 1) setTimeout(take, GAP)
  }

  function take() {
    const own = arrived
      .splice(0)
      .filter(({ batch_id, task_id }) => batch_id === id || others.peek().has(task_id ?? ''))
    if (areEventsLoaded) {
      // The page of events that was read meanwhile has some of them.
      const last = events.peek().at(-1)?.id ?? ''
      events.value = [...events.peek(), ...own.filter((event) => event.batch_id === id && event.id > last)]
    }
    const isNew = ({ type, task_id }: Event) =>
      type === 'batch.extended' || type === 'task.restored' || type === 'task.created' || task_id === null
    if (own.some(isNew)) refresh()
    else refresh(own.map(({ task_id }) => task_id!))
  }

  const stop = follow({
    filter: { batch_id: id },
    load: () => {
      readsAll = true
      if (areEventsLoaded) {
        areEventsLoaded = false
        void loadEvents()
      }
      return read()
    },
    receive,
    report: (text) => {
      error.value = text
    },
  })

  return {
    batch: head,
    tasks,
    structure,
    find,
    events,
    loadEvents,
    selected,
    hidesDone,
    error,
    refresh,
    put: (task) => {
      tasks.value = merge(tasks.peek(), new Map(tasks.peek()).set(task.id, task))
      refresh([task.id])
    },
    close: () => {
      isClosed = true
      for (const end of [stop, endTimer, untieSelected, untieHidesDone]) end()
    },
  }
}

/** What is known and what was read: tasks that did not change keep their identity, and the map as well if none did. */
function merge(
  known: ReadonlyMap<string, Task>,
  found: ReadonlyMap<string, Task>,
): ReadonlyMap<string, Task> {
  let isSame = known.size === found.size
  const merged = new Map<string, Task>()
  for (const [id, task] of found) {
    const before = known.get(id)
    // An answer to a read that began before a change can come after it.
    const isKnown =
      before === task ||
      (before && (task.updated_at < before.updated_at || JSON.stringify(task) === JSON.stringify(before)))
    merged.set(id, isKnown ? before : task)
    isSame &&= Boolean(isKnown)
  }
  return isSame ? known : merged
}
