/** Controls that several views have. */
import type { Plan } from './plan.js'
import { t } from './text.js'

export function HideDone({ plan }: { plan: Plan }) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={plan.hidesDone}
        onChange={({ currentTarget }) => {
          plan.hidesDone.value = currentTarget.checked
        }}
      />
      {t('hideDone')}
    </label>
  )
}

interface ZoomProps {
  /** By how much a step enlarges. */
  step: number
  zoomBy: (factor: number) => void
  fit: () => void
}

export function Zoom({ step, zoomBy, fit }: ZoomProps) {
  return (
    <span class="zoom">
      <button type="button" aria-label={t('zoomOut')} onClick={() => zoomBy(1 / step)}>
        −
      </button>
      <button type="button" aria-label={t('zoomIn')} onClick={() => zoomBy(step)}>
        +
      </button>
      <button type="button" onClick={fit}>
        {t('fit')}
      </button>
    </span>
  )
}
