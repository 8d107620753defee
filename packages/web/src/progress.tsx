/** How far a plan is: a bar with a part for each state, and the same in words. */
import type { State } from './plan.js'
import { StateIcon } from './state-icon.js'
import { t } from './text.js'

const ORDER = ['completed', 'in_progress', 'ready', 'deferred', 'blocked'] as const satisfies State[]

export function ProgressBar({ counts }: { counts: Record<State, number> }) {
  const total = ORDER.reduce((sum, state) => sum + counts[state], 0)
  const shown = ORDER.filter((state) => counts[state] > 0)
  return (
    <div class="progress">
      <div class="bar" aria-hidden="true">
        {shown.map((state) => (
          <span key={state} class={`is-${state}`} style={{ flexGrow: counts[state] }} />
        ))}
      </div>
      <p class="counts">
        <strong>{t('doneOf', { done: counts.completed, total })}</strong>
        {shown
          .filter((state) => state !== 'completed')
          .map((state) => (
            <span key={state} class={`is-${state}`}>
              <StateIcon state={state} />
              {t('countOf', { n: counts[state], state: t(state) })}
            </span>
          ))}
      </p>
    </div>
  )
}
