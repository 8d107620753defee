/** The tasks as text, in the order in which they can be done: the form for narrow screens and screen readers. */
import type { Task } from '@aklp/task-client'
import { useComputed } from '@preact/signals'
import { address, hrefOf } from './address.js'
import { HideDone } from './controls.js'
import { DeletedTasks } from './deleted.js'
import { useGradually } from './gradually.js'
import { type OpenPlan, type Plan, stateOf } from './plan.js'
import { StateIcon } from './state-icon.js'
import { t } from './text.js'
import { clock, remaining } from './time.js'

/** Most blockers that a row names. */
const MOST = 3

export function List({ plan }: { plan: OpenPlan }) {
  const layers = useComputed(() =>
    plan.hidesDone.value
      ? plan.structure.value.layers.map((ids) =>
          ids.filter((id) => plan.tasks.value.get(id)?.status !== 'completed'),
        )
      : plan.structure.value.layers,
  )
  const shown = new Set(useGradually(layers.value.flat(), 10))
  // The same for all rows, so that they are not rendered again when another one is selected.
  const link = useComputed(() => hrefOf({ ...address.value, view: 'list', task: undefined }))
  const isEmpty = useComputed(() => plan.tasks.value.size === 0)
  return (
    <div class="list">
      <HideDone plan={plan} />
      {isEmpty.value && <p class="empty">{t('noTasks')}</p>}
      {!isEmpty.value && layers.value.every((ids) => ids.length === 0) && <p class="empty">{t('allDone')}</p>}
      {layers.value.map(
        (ids, nth) =>
          ids.some((id) => shown.has(id)) && (
            <section key={nth} class="layer" aria-labelledby={`layer-${nth}`}>
              <h2 id={`layer-${nth}`}>
                {t('step', { n: nth + 1 })}
                <small>{nth === 0 ? t('waitsForNothing') : t('tasksOf', { n: ids.length })}</small>
              </h2>
              <ul>
                {ids
                  .filter((id) => shown.has(id))
                  .map((id) => (
                    <Row key={id} plan={plan} id={id} link={link.value} />
                  ))}
              </ul>
            </section>
          ),
      )}
      <DeletedTasks plan={plan} />
    </div>
  )
}

/** Rendered again only when its own task changes: a plan has hundreds of rows. */
function Row({ plan, id, link }: { plan: Plan; id: string; link: string }) {
  const shown = useComputed(() => plan.tasks.value.get(id))
  const shownState = useComputed(() => shown.value && stateOf(shown.value, plan))
  const isSelected = useComputed(() => plan.selected.value === id)
  const task = shown.value
  const state = shownState.value
  if (!task || !state) return null
  const { title, priority, due_date, not_before, claimed_by, lease_expires_at } = task
  const isOpen = state !== 'completed'
  return (
    <li class={`row is-${state} ${isSelected.value ? 'selected' : ''}`}>
      <StateIcon state={state} />
      <div>
        <a href={`${link}&task=${id}`} aria-current={isSelected.value ? 'true' : undefined}>
          {title}
        </a>
        <p class="facts">
          <span class="state">{t(state)}</span>
          {state === 'in_progress' && claimed_by && lease_expires_at && (
            <span>
              {claimed_by} · <Countdown until={lease_expires_at} />
            </span>
          )}
          {state === 'deferred' && not_before && <span>{t('from', { when: clock(not_before) })}</span>}
          {isOpen && priority && (
            <span class={`priority-${priority}`}>{t('priorityIs', { priority: t(priority) })}</span>
          )}
          {isOpen && due_date && <Due at={due_date} />}
        </p>
        {state === 'blocked' && <Blockers plan={plan} task={task} />}
      </div>
    </li>
  )
}

/** What a task still waits for, each with its own state. */
function Blockers({ plan, task }: { plan: Plan; task: Task }) {
  // A text is compared by what it says: most changes of the plan leave it alone.
  const open = useComputed(() =>
    task.blocked_by.filter((id) => plan.find(id)?.status !== 'completed').join(' '),
  )
  const ids = open.value.split(' ').filter(Boolean)
  return (
    <p class="blockers">
      {t('waitsFor')}{' '}
      {ids.slice(0, MOST).map((id) => (
        <TaskName key={id} plan={plan} id={id} />
      ))}
      {ids.length > MOST && t('andMore', { n: ids.length - MOST })}
    </p>
  )
}

/** A task in the text of another one: its state and its title. */
export function TaskName({ plan, id }: { plan: Plan; id: string }) {
  const found = useComputed(() => plan.find(id))
  const foundState = useComputed(() => found.value && stateOf(found.value, plan))
  const link = useComputed(() => {
    const plan = found.value?.batch_id ?? undefined
    return hrefOf({ ...(plan === address.value.plan && address.value), plan, task: id })
  })
  const task = found.value
  const state = foundState.value
  if (!task || !state) return <span>{t('unknownTask')}</span>
  const name = (
    <>
      {task.title} <span class="hidden">({t(state)})</span>
    </>
  )
  return (
    <span class={`task-name is-${state}`}>
      <StateIcon state={state} />
      {/* A task without a plan has no page. */}
      {task.batch_id ? <a href={link}>{name}</a> : <span>{name}</span>}
    </span>
  )
}

/** The time that is left, counting down. Screen readers read it where they meet it, not each second. */
export function Countdown({ until }: { until: string }) {
  const time = remaining(until)
  return (
    <time dateTime={until} class="countdown">
      {time ? t('left', { time }) : t('over')}
    </time>
  )
}

function Due({ at }: { at: string }) {
  const isOver = Date.parse(at) < Date.now()
  return <span class={isOver ? 'overdue' : ''}>{t(isOver ? 'overdue' : 'due', { when: clock(at) })}</span>
}
