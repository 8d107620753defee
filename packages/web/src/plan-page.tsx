/** A plan: what it is for, how far it is, its tasks in one of four views, and beside them the selected task. */
import { useComputed, useSignal } from '@preact/signals'
import type { FunctionComponent } from 'preact'
import { useEffect, useMemo } from 'preact/hooks'
import { address, hrefOf, VIEWS, type View } from './address.js'
import { AddTask } from './edit.js'
import { lazy } from './lazy.js'
import { List } from './list.js'
import { Panel } from './panel.js'
import { countStates, type OpenPlan, openPlan, type Plan } from './plan.js'
import { ProgressBar } from './progress.js'
import { canWrite } from './service.js'
import { t } from './text.js'
import { ago } from './time.js'

const views: Record<View, FunctionComponent<{ plan: OpenPlan }>> = {
  list: List,
  graph: lazy(async () => (await import('./graph/graph.js')).Graph),
  board: lazy(async () => (await import('./board.js')).Board),
  timeline: lazy(async () => (await import('./timeline/timeline.js')).Timeline),
}

/** Where a graph has no room, the list is shown first. */
const isNarrow = matchMedia('(max-width: 799px)')

export function PlanPage({ id }: { id: string }) {
  const plan = useMemo(() => openPlan(id), [id])
  useEffect(() => plan.close, [plan])
  const isLoaded = useComputed(() => plan.batch.value !== undefined)
  const view = address.value.view ?? (isNarrow.matches ? 'list' : 'graph')
  const Shown = views[view]
  return (
    <main id="main" class="plan-page">
      <Head plan={plan} view={view} />
      {plan.error.value && (
        <p class="error" role="alert">
          {plan.error.value}
        </p>
      )}
      {isLoaded.value ? (
        <div class={`body ${plan.selected.value ? 'has-panel' : ''}`}>
          <section class="view" aria-label={t(view)}>
            <Shown plan={plan} />
          </section>
          {plan.selected.value && <Panel key={plan.selected.value} plan={plan} id={plan.selected.value} />}
        </div>
      ) : (
        !plan.error.value && <p class="loading">{t('loading')}</p>
      )}
    </main>
  )
}

function Head({ plan, view }: { plan: OpenPlan; view: View }) {
  const counts = useComputed(() => countStates(plan))
  const isAdding = useSignal(false)
  const batch = plan.batch.value
  const { completed } = counts.value
  const total = plan.tasks.value.size
  const reason = batch && (batch.reason?.trim() || t('noReason'))

  useEffect(() => {
    const percent = total && Math.floor((completed / total) * 100)
    document.title = reason ? `${percent}% · ${reason.slice(0, 80)} · AKLP` : 'AKLP'
  }, [reason, completed, total])

  return (
    <header class="head">
      <div class="above">
        <p class="facts">
          <a href={hrefOf({})}>← {t('allPlans')}</a>
          {batch?.session_id && (
            <a href={hrefOf({ session: batch.session_id })} title={batch.session_id}>
              {t('session')} <code>{batch.session_id.slice(0, 8)}</code>
            </a>
          )}
          <LastActivity plan={plan} />
        </p>
        {canWrite.value && batch && (
          <button type="button" class="primary" onClick={() => (isAdding.value = true)}>
            {t('addTask')}
          </button>
        )}
      </div>
      {reason && <Reason text={reason} />}
      {batch && <ProgressBar counts={counts.value} />}
      <nav aria-label={t('views')}>
        {VIEWS.map((name) => (
          <a
            key={name}
            href={hrefOf({ ...address.value, view: name })}
            aria-current={name === view ? 'page' : undefined}
          >
            {t(name)}
          </a>
        ))}
      </nav>
      {isAdding.value && <AddTask plan={plan} onClose={() => (isAdding.value = false)} />}
    </header>
  )
}

/** A reason has up to 10 000 characters: a title shows the beginning. */
function Reason({ text }: { text: string }) {
  const isOpen = useSignal(false)
  const isLong = text.length > 160 || text.includes('\n')
  return (
    <div class="reason">
      <h1 class={isLong && !isOpen.value ? 'clamped' : ''}>{text}</h1>
      {isLong && (
        <button
          type="button"
          class="quiet"
          aria-expanded={isOpen.value}
          onClick={() => {
            isOpen.value = !isOpen.value
          }}
        >
          {isOpen.value ? t('less') : t('more')}
        </button>
      )}
    </div>
  )
}

function LastActivity({ plan }: { plan: Plan }) {
  const latest = useComputed(() =>
    [...plan.tasks.value.values()].reduce((max, { updated_at }) => (updated_at > max ? updated_at : max), ''),
  )
  return latest.value ? <span>{t('lastActivity', { ago: ago(latest.value) })}</span> : null
}
