/** What of the graph is in view: moved by dragging, zoomed by the wheel, by two fingers and by buttons. */
import { batch, computed, effect, signal } from '@preact/signals'
import type { Box } from './placed.js'

const MIN_ZOOM = 0.04
const MAX_ZOOM = 2
const MARGIN = 24
/** Below that, titles cannot be read: only states are drawn. */
export const READABLE = 0.55
/** A smaller move is a click. */
const CLICK = 4

export function createView() {
  const zoom = signal(1)
  /** Where the left upper corner of the graph is on the screen. */
  const origin = signal({ x: MARGIN, y: MARGIN })
  const size = signal({ width: 0, height: 0 })

  const visible = (): Box => {
    const left = -origin.value.x / zoom.value
    const top = -origin.value.y / zoom.value
    return {
      left,
      top,
      right: left + size.value.width / zoom.value,
      bottom: top + size.value.height / zoom.value,
    }
  }

  /** What is drawn: more than is visible, so that it is seldom drawn again while the graph is moved. */
  const drawn = signal<Box>({ left: 0, top: 0, right: 0, bottom: 0 })
  const stopDrawing = effect(() => {
    const seen = visible()
    const width = seen.right - seen.left
    const height = seen.bottom - seen.top
    const now = drawn.peek()
    const isInside =
      now.left <= seen.left && now.top <= seen.top && now.right >= seen.right && now.bottom >= seen.bottom
    if (isInside && now.right - now.left < 3 * width) return
    drawn.value = {
      left: seen.left - width / 4,
      top: seen.top - height / 4,
      right: seen.right + width / 4,
      bottom: seen.bottom + height / 4,
    }
  })

  /** Zooms to a factor; the point of the screen stays where it is. */
  function zoomTo(factor: number, x = size.value.width / 2, y = size.value.height / 2) {
    const to = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, factor))
    const ratio = to / zoom.value
    batch(() => {
      zoom.value = to
      origin.value = { x: x - (x - origin.value.x) * ratio, y: y - (y - origin.value.y) * ratio }
    })
  }

  /** Moves along with a task that has a new place, so that it stays where it is on the screen. */
  function follow(from: Box, to: Box) {
    const { x, y } = origin.value
    origin.value = { x: x + (from.left - to.left) * zoom.value, y: y + (from.top - to.top) * zoom.value }
  }

  function centre({ left, top, right, bottom }: Box, factor = zoom.value) {
    batch(() => {
      zoom.value = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, factor))
      origin.value = {
        x: size.value.width / 2 - ((left + right) / 2) * zoom.value,
        y: size.value.height / 2 - ((top + bottom) / 2) * zoom.value,
      }
    })
  }

  /** The zoom at which all of a box is visible. */
  const fitting = ({ left, top, right, bottom }: Box) =>
    Math.min(
      1,
      (size.value.width - 2 * MARGIN) / Math.max(1, right - left),
      (size.value.height - 2 * MARGIN) / Math.max(1, bottom - top),
    )

  /** Moves as little as needed for a box to be visible. */
  function reveal(box: Box) {
    if (size.value.width === 0) return
    const seen = visible()
    const margin = MARGIN / zoom.value
    const right = Math.max(0, box.right + margin - seen.right) - Math.max(0, seen.left - box.left + margin)
    const down = Math.max(0, box.bottom + margin - seen.bottom) - Math.max(0, seen.top - box.top + margin)
    if (right || down)
      origin.value = { x: origin.value.x - right * zoom.value, y: origin.value.y - down * zoom.value }
  }

  const pointIn = (event: MouseEvent, element: HTMLElement) => {
    const { left, top } = element.getBoundingClientRect()
    return { x: event.clientX - left, y: event.clientY - top }
  }
  /** The point of the graph under the pointer. */
  const pointOf = (event: MouseEvent, element: HTMLElement) => {
    const { x, y } = pointIn(event, element)
    return { x: (x - origin.value.x) / zoom.value, y: (y - origin.value.y) / zoom.value }
  }

  /** Listens to the pointer and the wheel; returns what ends that. */
  function attach(element: HTMLElement): () => void {
    const controller = new AbortController()
    const options = { signal: controller.signal }
    const at = (event: MouseEvent) => pointIn(event, element)
    const observer = new ResizeObserver(() => {
      size.value = { width: element.clientWidth, height: element.clientHeight }
    })
    observer.observe(element)

    const fingers = new Map<number, { x: number; y: number }>()
    let moved = 0
    element.addEventListener(
      'pointerdown',
      (event) => {
        if (event.button !== 0) return
        if (fingers.size === 0) moved = 0
        fingers.set(event.pointerId, at(event))
      },
      options,
    )
    element.addEventListener(
      'pointermove',
      (event) => {
        const before = fingers.get(event.pointerId)
        if (!before) return
        const now = at(event)
        moved += Math.hypot(now.x - before.x, now.y - before.y)
        if (moved < CLICK) return
        // Only now: a captured pointer clicks no task.
        element.setPointerCapture(event.pointerId)
        const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1]
        fingers.set(event.pointerId, now)
        if (other) {
          const distance = (point: { x: number; y: number }) =>
            Math.hypot(point.x - other.x, point.y - other.y)
          zoomTo((zoom.value * distance(now)) / Math.max(1, distance(before)), other.x, other.y)
        } else origin.value = { x: origin.value.x + now.x - before.x, y: origin.value.y + now.y - before.y }
      },
      options,
    )
    for (const type of ['pointerup', 'pointercancel', 'lostpointercapture'] as const)
      element.addEventListener(type, (event) => fingers.delete(event.pointerId), options)
    element.addEventListener(
      'wheel',
      (event) => {
        event.preventDefault()
        const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1
        // A pinch on a trackpad is a wheel with Ctrl, in small steps.
        const speed = event.ctrlKey ? 0.01 : 0.0015
        const { x, y } = at(event)
        zoomTo(zoom.value * Math.exp(-event.deltaY * lines * speed), x, y)
      },
      { ...options, passive: false },
    )
    // What follows a drag is no click.
    element.addEventListener(
      'click',
      (event) => {
        if (moved >= CLICK && event.detail > 0) event.stopPropagation()
        moved = 0
      },
      { ...options, capture: true },
    )
    return () => {
      controller.abort()
      observer.disconnect()
      stopDrawing()
    }
  }

  const isFar = computed(() => zoom.value < READABLE)
  return { zoom, origin, size, drawn, isFar, zoomTo, centre, fitting, reveal, follow, pointOf, attach }
}

export const touches = (a: Box, b: Box) =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
