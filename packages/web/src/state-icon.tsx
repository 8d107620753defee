/** The sign of a state: a form of its own for each, since colour alone does not say enough. */
import type { State } from './plan.js'

const PATHS: Record<State, string> = {
  // A ring with a triangle, a half disc, a lock, a clock, and a disc with a check mark.
  ready: 'M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1zm0 1.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM6.4 5l5 3-5 3z',
  in_progress:
    'M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1zm0 1.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 4a4 4 0 0 1 0 8z',
  blocked:
    'M8 1a3.5 3.5 0 0 1 3.5 3.5V7h1.5v8H3V7h1.500V4.500A3.5 3.5 0 0 1 8 1zm0 1.500a2 2 0 0 0-2 2V7h4V4.500a2 2 0 0 0-2-2z',
  deferred:
    'M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1zm0 1.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM7.25 4h1.500v3.700l2.6 2.6-1.06 1.060L7.25 8.300z',
  completed: 'M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1zm3.3 3.900L7 9.2 4.9 7.1 3.8 8.2 7 11.400l5.4-5.400z',
}

export function StateIcon({ state }: { state: State }) {
  return (
    <svg class={`state-icon is-${state}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[state]} fill-rule="evenodd" />
    </svg>
  )
}
