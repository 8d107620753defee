/** What a person can do with a task. Each is refused if somebody changed the task since it was shown. */
import { ConflictError, type Task, type TaskUpdate } from '@aklp/task-client'
import { notice } from './dialog.js'
import type { OpenPlan } from './plan.js'
import { client, explain, keepsEvents } from './service.js'
import { fieldName, t } from './text.js'

/** Changes a task as it is shown. */
export async function change(plan: OpenPlan, { id, updated_at }: Task, changes: TaskUpdate): Promise<void> {
  plan.put(await client.tasks.update(id, changes, { ifUnchangedSince: updated_at }))
}

export async function remove(plan: OpenPlan, { id, title, updated_at }: Task): Promise<void> {
  await client.tasks.delete(id, { ifUnchangedSince: updated_at })
  plan.selected.value = undefined
  plan.refresh([id])
  notice.value = {
    text: t('wasDeleted', { title }),
    ...(keepsEvents.peek() && { undo: () => putBack(plan, id) }),
  }
}

export async function putBack(plan: OpenPlan, id: string): Promise<void> {
  const { not_found } = await client.tasks.restore([id])
  plan.refresh()
  if (not_found.length > 0) notice.value = { text: t('notKept') }
  else plan.selected.value = id
}

/** Adds tasks at the end of the plan. Returns the id of the new one. */
export async function add(plan: OpenPlan, task: Parameters<typeof client.batches.extend>[1][number]) {
  const { id } = plan.batch.peek()!
  const { tasks } = await client.batches.extend(id, [task])
  const added = tasks.at(-1)!
  plan.put(added)
  plan.selected.value = added.id
}

const FIELDS = ['title', 'description', 'status', 'priority', 'due_date', 'blocked_by', 'result'] as const

/**
 * The text of an error. If somebody was faster, it says who, and what they changed; what is shown is then the task as it is now.
 */
export async function explainConflict(plan: OpenPlan, shown: Task, error: unknown): Promise<string> {
  if (!(error instanceof ConflictError)) return explain(error)
  const { current } = error
  if (!current) return explain(error)
  plan.put(current)
  const changed = FIELDS.filter((field) => JSON.stringify(shown[field]) !== JSON.stringify(current[field]))
  const what = changed.map(fieldName).join(', ')
  return t('wasFaster', { who: await lastActor(current), what: what || t('something') })
}

/** Who changed the task last. */
async function lastActor({ id, claimed_by }: Task): Promise<string> {
  if (keepsEvents.peek()) {
    const { items } = await client.events
      .list({ task_id: id, order: 'desc', limit: 1 })
      .catch(() => ({ items: [] }))
    const { worker, caller } = items[0]?.actor ?? {}
    if (worker || caller) return (worker || caller)!
  }
  return claimed_by ?? t('somebody')
}
