/** What happened to a task, newest first, with notes. */
import type { Event } from '@aklp/task-client'
import { useComputed } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Plan } from './plan.js'
import { keepsEvents } from './service.js'
import { fieldName, type TextKey, t } from './text.js'
import { ago, moment } from './time.js'

export function History({ plan, id }: { plan: Plan; id: string }) {
  useEffect(() => plan.loadEvents(), [plan])
  const events = useComputed(() => {
    const key = plan.tasks.value.get(id)?.created_at
    return plan.events.value
      .filter(({ task_id, type, at }) => task_id === id || (type.startsWith('batch.') && at === key))
      .toReversed()
  })
  if (!keepsEvents.value) return <p class="empty">{t('noEvents')}</p>
  return (
    <ol class="history">
      {events.value.map((event) => (
        <li key={event.id}>
          <p>
            {event.actor.worker || event.actor.caller ? (
              <strong>{event.actor.worker ?? event.actor.caller}</strong>
            ) : null}{' '}
            {whatHappened(event)}{' '}
            <time dateTime={event.at} title={moment(event.at)}>
              {ago(event.at)}
            </time>
          </p>
          {event.note && <blockquote>{event.note}</blockquote>}
        </li>
      ))}
    </ol>
  )
}

/** What an event was, in words: `completed it`, `changed title, priority`. */
function whatHappened({ type, changes }: Event): string {
  const status = changes.find(({ field }) => field === 'status')
  if (type === 'task.updated' && status?.to === 'completed') return t('did_completed')
  if (type === 'task.updated' && status?.from === 'completed') return t('did_reopened')
  if (type === 'task.updated' && status?.from === 'in_progress') return t('did_released')
  if (type !== 'task.updated') return t(`did_${type.split('.')[1]}` as TextKey)
  const names = changes.map(({ field, from, to }) => {
    const name = fieldName(field)
    return field === 'priority' ? `${name} (${level(from)} → ${level(to)})` : name
  })
  return t('did_updated', { what: names.join(', ') })
}

const level = (value: unknown) => (typeof value === 'string' ? t(value as TextKey) : '–')
