/** The tasks that were deleted and can be restored. */
import type { Event } from '@aklp/task-client'
import { useComputed } from '@preact/signals'
import { putBack } from './actions.js'
import { notice } from './dialog.js'
import type { OpenPlan, Plan } from './plan.js'
import { canWrite, explain, keepsEvents } from './service.js'
import { t } from './text.js'
import { ago } from './time.js'

/** The title that a task had when it was deleted. */
export const titleOf = ({ changes }: Event) =>
  String(changes.find(({ field }) => field === 'title')?.from ?? '')

/** The last event of each task that is gone. */
export function deletionsOf(plan: Plan): Event[] {
  const last = new Map<string, Event>()
  for (const event of plan.events.value) if (event.type === 'task.deleted') last.set(event.task_id!, event)
  return [...last.values()].filter(({ task_id }) => !plan.tasks.value.has(task_id!)).reverse()
}

export function DeletedTasks({ plan }: { plan: OpenPlan }) {
  const deletions = useComputed(() => deletionsOf(plan))
  if (!keepsEvents.value) return null
  return (
    <details class="deleted" onToggle={() => plan.loadEvents()}>
      <summary>{t('deletedTasks')}</summary>
      {deletions.value.length === 0 && <p class="empty">{t('nothingDeleted')}</p>}
      <ul>
        {deletions.value.map((event) => (
          <li key={event.id}>
            <span>
              {titleOf(event)} <small>{ago(event.at)}</small>
            </span>
            {canWrite.value && <PutBack plan={plan} id={event.task_id!} />}
          </li>
        ))}
      </ul>
    </details>
  )
}

export function PutBack({ plan, id }: { plan: OpenPlan; id: string }) {
  const restore = async () => {
    try {
      await putBack(plan, id)
    } catch (error) {
      notice.value = { text: explain(error) }
    }
  }
  return (
    <button type="button" onClick={restore}>
      {t('putBack')}
    </button>
  )
}
