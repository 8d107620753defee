/** The form for a new task and for changes of one. */
import type { Task } from '@aklp/task-client'
import { type Signal, useSignal } from '@preact/signals'
import { useMemo } from 'preact/hooks'
import { add, change, explainConflict } from './actions.js'
import { Dialog, Form } from './dialog.js'
import { type OpenPlan, stateOf } from './plan.js'
import { StateIcon } from './state-icon.js'
import { t } from './text.js'

type Fields = Pick<Task, 'title' | 'description' | 'priority' | 'due_date' | 'blocked_by'>
const NEW: Fields = { title: '', description: null, priority: null, due_date: null, blocked_by: [] }

/** Most tasks that can be chosen at once: the others are found by a part of their title. */
const MOST = 50

export function AddTask({ plan, onClose }: { plan: OpenPlan; onClose: () => void }) {
  const edits = useSignal<Partial<Fields>>({})
  return (
    <Dialog title={t('addTask')} onClose={onClose}>
      <Form action={t('add')} submit={() => add(plan, { ...NEW, ...edits.value })} onClose={onClose}>
        <Inputs plan={plan} edits={edits} base={NEW} />
      </Form>
    </Dialog>
  )
}

export function EditTask({ plan, task, onClose }: { plan: OpenPlan; task: Task; onClose: () => void }) {
  // What somebody else changes meanwhile is not overwritten by what the form has shown.
  const base = useSignal(task)
  const edits = useSignal<Partial<Fields>>({})
  return (
    <Dialog title={t('editTask')} onClose={onClose}>
      <Form
        action={t('save')}
        submit={async () => {
          if (Object.keys(edits.value).length > 0) await change(plan, base.value, edits.value)
        }}
        describe={async (error) => {
          const text = await explainConflict(plan, base.value, error)
          base.value = plan.tasks.peek().get(task.id) ?? base.value
          return text
        }}
        onClose={onClose}
      >
        <Inputs plan={plan} edits={edits} base={base.value} id={task.id} />
      </Form>
    </Dialog>
  )
}

interface InputsProps {
  plan: OpenPlan
  /** What was entered; the rest is as in `base`. */
  edits: Signal<Partial<Fields>>
  base: Fields
  /** The task itself, which cannot wait for itself. */
  id?: string
}

function Inputs({ plan, edits, base, id }: InputsProps) {
  const { title, description, priority, due_date, blocked_by } = { ...base, ...edits.value }
  const set = (changes: Partial<Fields>) => {
    edits.value = { ...edits.value, ...changes }
  }
  return (
    <>
      <label>
        {t('field_title')}
        <input
          required
          autofocus
          maxLength={255}
          value={title}
          onInput={({ currentTarget }) => set({ title: currentTarget.value })}
        />
      </label>
      <label>
        {t('field_description')}
        <textarea
          rows={4}
          maxLength={1000}
          value={description ?? ''}
          onInput={({ currentTarget }) => set({ description: currentTarget.value || null })}
        />
      </label>
      <div class="columns">
        <label>
          {t('field_priority')}
          <select
            value={priority ?? ''}
            onChange={({ currentTarget }) =>
              set({ priority: (currentTarget.value || null) as Fields['priority'] })
            }
          >
            <option value="">–</option>
            {(['high', 'medium', 'low'] as const).map((name) => (
              <option key={name} value={name}>
                {t(name)}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t('field_due_date')}
          <input
            type="datetime-local"
            value={due_date ? toLocal(due_date) : ''}
            onChange={({ currentTarget: { value } }) =>
              set({ due_date: value ? new Date(value).toISOString() : null })
            }
          />
        </label>
      </div>
      <Blockers plan={plan} id={id} chosen={blocked_by} choose={(blocked_by) => set({ blocked_by })} />
    </>
  )
}

interface BlockersProps {
  plan: OpenPlan
  id: string | undefined
  chosen: readonly string[]
  choose: (ids: string[]) => void
}

function Blockers({ plan, id, chosen, choose }: BlockersProps) {
  const search = useSignal('')
  // Those chosen at first are at the top; the others stay where they are when they are chosen.
  const first = useSignal(chosen).peek()
  // What waits for this task cannot be what it waits for.
  const heldUp = useMemo(() => (id === undefined ? undefined : plan.structure.peek().heldUp(id)), [id])
  const words = search.value.toLowerCase()
  const others = [...plan.tasks.value.values()].filter(
    (task) => task.id !== id && !first.includes(task.id) && !heldUp?.has(task.id),
  )
  const found = others.filter(({ title }) => title.toLowerCase().includes(words))
  const listed = new Set([...chosen, ...found.slice(0, MOST).map(({ id }) => id)])
  const shown = [...first, ...others.map(({ id }) => id).filter((id) => listed.has(id))]
  return (
    <fieldset>
      <legend>{t('waitsFor')}</legend>
      <input
        type="search"
        aria-label={t('findTask')}
        placeholder={t('findTask')}
        value={search}
        onInput={({ currentTarget }) => {
          search.value = currentTarget.value
        }}
      />
      <div class="options">
        {shown.map((taskId) => {
          const task = plan.find(taskId)
          const isChosen = chosen.includes(taskId)
          return (
            <label key={taskId} class="check">
              <input
                type="checkbox"
                checked={isChosen}
                onChange={() => choose(isChosen ? chosen.filter((it) => it !== taskId) : [...chosen, taskId])}
              />
              {task && <StateIcon state={stateOf(task, plan)} />}
              {task?.title ?? t('unknownTask')}
            </label>
          )
        })}
        {found.length > MOST && <p class="facts">{t('andMore', { n: found.length - MOST })}</p>}
      </div>
    </fieldset>
  )
}

/** As the browser's input writes it: the local time to the minute. */
function toLocal(iso: string): string {
  const at = new Date(iso)
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}
