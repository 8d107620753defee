/** Draws long lists over several frames, so that none takes long. */
import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'

/** The ids of the list, but with a limited number of new ones in each frame. */
export function useGradually(list: readonly string[], perFrame = 40): readonly string[] {
  const known = useRef<ReadonlySet<string>>(new Set())
  const frames = useSignal(0)
  // Read, so that the next frame renders again.
  const frame = frames.value
  let left = perFrame
  const shown = list.filter((it) => known.current.has(it) || left-- > 0)
  useEffect(() => {
    known.current = new Set(shown)
    if (shown.length === list.length) return
    const id = requestAnimationFrame(() => {
      frames.value = frame + 1
    })
    return () => cancelAnimationFrame(id)
  })
  return shown
}
