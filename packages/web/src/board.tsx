/** The plan as a board: what can be done, what is done now and by whom, what waits and for what, and what is done. */
import type { Task } from '@aklp/task-client'
import { useComputed, useSignal } from '@preact/signals'
import { type Plan, type State, stateOf } from './plan.js'
import { StateIcon } from './state-icon.js'
import { t } from './text.js'
import { ago, clock, remaining } from './time.js'

/** How many cards a column has at first, and how many more each time. */
const PAGE = 20
/** How many blockers a card names. */
const NAMED = 3

const PRIORITIES = ['high', 'medium', 'low', null]

/** The order of the cards of a column; `undefined` is that of the plan. */
const ORDERS: Record<State, ((a: Task, b: Task) => number) | undefined> = {
  ready: (a, b) => PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority),
  in_progress: (a, b) => (a.lease_expires_at ?? '~').localeCompare(b.lease_expires_at ?? '~'),
  blocked: undefined,
  deferred: (a, b) => (a.not_before ?? '').localeCompare(b.not_before ?? ''),
  completed: (a, b) => (b.completed_at ?? '').localeCompare(a.completed_at ?? ''),
}

export function Board({ plan }: { plan: Plan }) {
  const columns = useComputed(() => {
    const columns: Record<State, Task[]> = {
      ready: [],
      in_progress: [],
      blocked: [],
      deferred: [],
      completed: [],
    }
    for (const layer of plan.structure.value.layers)
      for (const id of layer) {
        const task = plan.tasks.value.get(id)
        if (task) columns[stateOf(task, plan)].push(task)
      }
    for (const [state, order] of Object.entries(ORDERS)) if (order) columns[state as State].sort(order)
    return columns
  })
  const column = (...states: State[]) => (
    <section class="board-column">
      {states.map(
        (state, i) =>
          (i === 0 || columns.value[state].length > 0) && (
            <Group key={state} state={state} tasks={columns.value[state]} plan={plan} />
          ),
      )}
    </section>
  )
  return (
    <div class="board">
      {column('ready')}
      {column('in_progress')}
      {column('blocked', 'deferred')}
      {!plan.hidesDone.value && column('completed')}
    </div>
  )
}

function Group({ state, tasks, plan }: { state: State; tasks: readonly Task[]; plan: Plan }) {
  const limit = useSignal(PAGE)
  const left = tasks.length - limit.value
  return (
    <>
      <h2 class="board-head">
        <StateIcon state={state} />
        {t(state)} <span class="board-count">{tasks.length}</span>
      </h2>
      {tasks.length === 0 ? (
        <p class="board-none">{t('boardNone')}</p>
      ) : (
        <ul class="board-cards">
          {tasks.slice(0, limit.value).map((task) => (
            <Card key={task.id} task={task} state={state} plan={plan} />
          ))}
        </ul>
      )}
      {left > 0 && (
        <button
          type="button"
          class="board-more"
          onClick={() => {
            limit.value += Math.max(PAGE, tasks.length > 200 ? 100 : 0)
          }}
        >
          {t('showMore', { n: left })}
        </button>
      )}
    </>
  )
}

function Card({ task, state, plan }: { task: Task; state: State; plan: Plan }) {
  const isSelected = useComputed(() => plan.selected.value === task.id)
  return (
    <li class={`card is-${state}`} data-task={task.id}>
      {/* The button covers the card; what else can be pressed lies above it. */}
      <button
        type="button"
        class="card-title"
        aria-pressed={isSelected.value}
        onClick={() => {
          plan.selected.value = task.id
        }}
      >
        {task.title}
      </button>
      {state === 'in_progress' && <Holder task={task} />}
      {state === 'blocked' && <Blockers task={task} plan={plan} />}
      <Facts task={task} state={state} />
    </li>
  )
}

/** What says how urgent or difficult a task is, and when it was or will be. */
function Facts({ task, state }: { task: Task; state: State }) {
  const { key, priority, attempts, due_date, not_before, completed_at, lease_expires_at } = task
  const isOpen = state !== 'completed'
  const facts = [
    completed_at && ago(completed_at),
    state === 'deferred' && not_before && t('boardNotBefore', { time: clock(not_before) }),
    isOpen && priority === 'high' && t('boardPriority'),
    isOpen && due_date && t('due', { when: clock(due_date) }),
    attempts > 1 && t('boardAttempts', { n: attempts }),
    // Ready again, since the one that held it did not go on.
    state === 'ready' && lease_expires_at && t('boardExpired', { time: clock(lease_expires_at) }),
  ].filter((fact) => typeof fact === 'string')
  if (!key && facts.length === 0) return null
  return (
    <p class="card-facts">
      {key && <code>{key}</code>}
      {facts.map((fact) => (
        <span key={fact}>{fact}</span>
      ))}
    </p>
  )
}

function Holder({ task: { claimed_by, lease_expires_at } }: { task: Task }) {
  return (
    <p class="card-line card-holder">
      <strong>{claimed_by ?? t('boardNoWorker')}</strong>
      {lease_expires_at && (
        <span>
          {t('boardUntil', { time: clock(lease_expires_at) })} <Countdown end={lease_expires_at} />
        </span>
      )}
    </p>
  )
}

/** Only this is rendered each second. */
function Countdown({ end }: { end: string }) {
  const left = useComputed(() => remaining(end))
  return <span class="card-countdown">{left.value ?? t('boardOver')}</span>
}

function Blockers({ task, plan }: { task: Task; plan: Plan }) {
  const open = useComputed(() =>
    task.blocked_by
      .map((id) => ({ id, task: plan.find(id) }))
      .filter(({ task }) => task?.status !== 'completed'),
  )
  return (
    <>
      <ul class="card-blockers" aria-label={t('waitsFor')}>
        {open.value.slice(0, NAMED).map(({ id, task: blocker }) => (
          <li key={id}>{blocker ? <Blocker task={blocker} plan={plan} /> : t('unknownTask')}</li>
        ))}
      </ul>
      {open.value.length > NAMED && <p class="card-line">{t('andMore', { n: open.value.length - NAMED })}</p>}
    </>
  )
}

function Blocker({ task, plan }: { task: Task; plan: Plan }) {
  const state = stateOf(task, plan)
  const holder = state === 'in_progress' && task.claimed_by
  return (
    <button
      type="button"
      class="card-blocker"
      onClick={() => {
        plan.selected.value = task.id
      }}
    >
      <StateIcon state={state} />
      <span class="card-blocker-title">{task.title}</span>
      <span class={`card-blocker-state is-${state}`}>
        {t(state)}
        {holder && ` · ${holder}`}
      </span>
    </button>
  )
}
