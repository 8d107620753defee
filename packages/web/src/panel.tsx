/** Everything about the selected task, and what a person can do with it. */
import type { Task } from '@aklp/task-client'
import { useComputed, useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { change, explainConflict, remove } from './actions.js'
import { deletionsOf, PutBack, titleOf } from './deleted.js'
import { Dialog, Form } from './dialog.js'
import { EditTask } from './edit.js'
import { History } from './history.js'
import { Countdown, TaskName } from './list.js'
import { type OpenPlan, stateOf } from './plan.js'
import { canWrite, client, keepsEvents } from './service.js'
import { StateIcon } from './state-icon.js'
import { t } from './text.js'
import { ago, clock, moment } from './time.js'

export function Panel({ plan, id }: { plan: OpenPlan; id: string }) {
  const ref = useRef<HTMLElement>(null)
  const task = plan.tasks.value.get(id)
  const close = () => {
    plan.selected.value = undefined
  }

  // The focus comes along with the selection, and goes back to where it was.
  useEffect(() => {
    const from = document.activeElement
    if (from !== document.body) ref.current!.querySelector('h2')!.focus({ preventScroll: true })
    return () => from instanceof HTMLElement && from.isConnected && from.focus({ preventScroll: true })
  }, [])

  return (
    <aside
      ref={ref}
      class="panel"
      aria-label={t('task')}
      onKeyDown={(event) => {
        if (event.key === 'Escape' && !(event.target as Element).closest('dialog')) close()
      }}
    >
      <button type="button" class="quiet close" onClick={close}>
        <span aria-hidden="true">✕</span> <span class="hidden">{t('close')}</span>
      </button>
      {task ? <Details plan={plan} task={task} /> : <Missing plan={plan} id={id} />}
      <Section title={t('history')}>
        <History plan={plan} id={id} />
      </Section>
    </aside>
  )
}

function Section({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section>
      <h3>{title}</h3>
      {children}
    </section>
  )
}

/** A task that was deleted, or was never in this plan. */
function Missing({ plan, id }: { plan: OpenPlan; id: string }) {
  useEffect(() => plan.loadEvents(), [plan])
  const deletion = useComputed(() => deletionsOf(plan).find(({ task_id }) => task_id === id))
  const event = deletion.value
  return (
    <>
      <h2 tabIndex={-1}>{event ? titleOf(event) : t('noSuchTask')}</h2>
      {event && (
        <p class="held">
          {t('deletedBy', {
            who: event.actor.worker ?? event.actor.caller ?? t('somebody'),
            ago: ago(event.at),
          })}{' '}
          {canWrite.value && <PutBack plan={plan} id={id} />}
        </p>
      )}
    </>
  )
}

function Details({ plan, task }: { plan: OpenPlan; task: Task }) {
  const { description, result, metadata, key } = task
  const state = stateOf(task, plan)
  const waiting = useComputed(() =>
    [...plan.tasks.value.values()].filter((it) => it.blocked_by.includes(task.id)),
  )
  const all = useComputed(() => plan.structure.value.heldUp(task.id).size)
  return (
    <>
      <p class={`state is-${state}`}>
        <StateIcon state={state} /> {t(state)}
        {key && <code>{key}</code>}
      </p>
      <h2 tabIndex={-1}>{task.title}</h2>
      <Holder task={task} />
      {canWrite.value && <Actions plan={plan} task={task} heldUp={waiting.value.length} />}
      {description && <p class="prose">{description}</p>}
      {result && (
        <Section title={t('result')}>
          <p class="prose">{result}</p>
        </Section>
      )}
      {task.blocked_by.length > 0 && (
        <Section title={t('waitsFor')}>
          <ul class="names">
            {task.blocked_by.map((id) => (
              <li key={id}>
                <TaskName plan={plan} id={id} />
              </li>
            ))}
          </ul>
        </Section>
      )}
      {waiting.value.length > 0 && (
        <Section title={t('holdsUp')}>
          <ul class="names">
            {waiting.value.map(({ id }) => (
              <li key={id}>
                <TaskName plan={plan} id={id} />
              </li>
            ))}
          </ul>
          {all.value > waiting.value.length && <p class="facts">{t('holdsUpInAll', { n: all.value })}</p>}
        </Section>
      )}
      <Facts task={task} />
      {Object.keys(metadata).length > 0 && (
        <Section title={t('metadata')}>
          <pre>{JSON.stringify(metadata, null, 2)}</pre>
        </Section>
      )}
      {canWrite.value && keepsEvents.value && <NoteForm plan={plan} task={task} />}
    </>
  )
}

/** Who works on it, and until when they have it. */
function Holder({ task: { status, claimed_by, lease_expires_at, is_ready } }: { task: Task }) {
  if (status !== 'in_progress') return null
  if (!claimed_by || !lease_expires_at) return <p class="held">{t('heldByNobody')}</p>
  if (is_ready)
    return <p class="held">{t('leaseExpired', { who: claimed_by, when: clock(lease_expires_at) })}</p>
  return (
    <p class="held">
      {t('heldBy', { who: claimed_by, when: clock(lease_expires_at) })} (
      <Countdown until={lease_expires_at} />)
    </p>
  )
}

function Facts({ task }: { task: Task }) {
  const { priority, due_date, not_before, attempts, created_at, updated_at, completed_at } = task
  const facts: [string, ComponentChildren][] = [
    [t('field_priority'), priority && t(priority)],
    [t('field_due_date'), due_date && moment(due_date)],
    [t('field_not_before'), not_before && moment(not_before)],
    [t('attempts'), attempts > 0 && attempts],
    [t('created'), moment(created_at)],
    [t('changed'), updated_at !== created_at && ago(updated_at)],
    [t('completedAt'), completed_at && moment(completed_at)],
  ]
  return (
    <dl>
      {facts
        .filter(([, value]) => value)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  )
}

type Question = 'complete' | 'reopen' | 'release' | 'edit' | 'delete'

function Actions({ plan, task, heldUp }: { plan: OpenPlan; task: Task; heldUp: number }) {
  const asked = useSignal<Question>()
  const state = stateOf(task, plan)
  const offers: Question[] = [
    ...(state === 'completed' ? (['reopen'] as const) : state === 'blocked' ? [] : (['complete'] as const)),
    ...(task.status === 'in_progress' ? (['release'] as const) : []),
    'edit',
    'delete',
  ]
  const close = () => {
    asked.value = undefined
  }
  return (
    <div class="actions">
      {offers.map((name) => (
        <button
          key={name}
          type="button"
          class={name === 'complete' ? 'primary' : name === 'delete' ? 'danger' : ''}
          onClick={() => {
            asked.value = name
          }}
        >
          {t(name)}
        </button>
      ))}
      {asked.value === 'edit' && <EditTask plan={plan} task={task} onClose={close} />}
      {asked.value && asked.value !== 'edit' && (
        <Ask plan={plan} task={task} question={asked.value} heldUp={heldUp} onClose={close} />
      )}
    </div>
  )
}

interface AskProps {
  plan: OpenPlan
  task: Task
  question: Exclude<Question, 'edit'>
  /** How many tasks wait for this one. */
  heldUp: number
  onClose: () => void
}

/** Asks before it is done, and says from whom it takes work. */
function Ask({ plan, task, question, heldUp, onClose }: AskProps) {
  const result = useSignal('')
  // The task as the question was asked: if it changes meanwhile, the service says so.
  const asked = useSignal(task)
  const { claimed_by, is_ready, status } = asked.value
  const takesWork = status === 'in_progress' && claimed_by !== null && !is_ready
  const actions = {
    complete: () =>
      change(plan, asked.value, {
        status: 'completed',
        ...(result.value.trim() && { result: result.value.trim() }),
      }),
    reopen: () => change(plan, asked.value, { status: 'pending' }),
    release: () => change(plan, asked.value, { status: 'pending' }),
    delete: () => remove(plan, asked.value),
  }
  return (
    <Dialog title={t(`ask_${question}`, { title: task.title })} onClose={onClose}>
      <Form
        action={t(question)}
        kind={question === 'delete' || takesWork ? 'danger' : 'primary'}
        submit={actions[question]}
        describe={async (error) => {
          const text = await explainConflict(plan, asked.value, error)
          asked.value = plan.tasks.peek().get(task.id) ?? asked.value
          return text
        }}
        onClose={onClose}
      >
        {takesWork && <p class="warning">{t('takesWork', { who: claimed_by })}</p>}
        {question === 'delete' && heldUp > 0 && <p class="warning">{t('deleteHoldsUp', { n: heldUp })}</p>}
        {question === 'complete' && (
          <label>
            {t('resultOptional')}
            <textarea
              rows={4}
              maxLength={4000}
              value={result}
              onInput={({ currentTarget }) => {
                result.value = currentTarget.value
              }}
            />
          </label>
        )}
      </Form>
    </Dialog>
  )
}

function NoteForm({ plan, task }: { plan: OpenPlan; task: Task }) {
  const note = useSignal('')
  return (
    <Section title={t('note')}>
      <Form
        action={t('addNote')}
        kind=""
        submit={async () => {
          if (!note.value.trim()) return
          // A note is no change: it does not matter who was faster.
          plan.put(await client.tasks.update(task.id, { note: note.value.trim() }))
          note.value = ''
        }}
      >
        <label>
          <span class="hidden">{t('noteHint')}</span>
          <textarea
            rows={2}
            maxLength={1000}
            required
            placeholder={t('noteHint')}
            value={note}
            onInput={({ currentTarget }) => {
              note.value = currentTarget.value
            }}
          />
        </label>
      </Form>
    </Section>
  )
}
