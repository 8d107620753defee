/**
 * A scale from time to pixels. A plan is worked on for minutes, with hours or days between: long pauses have a small fixed width.
 * Pure.
 */

export type Interval = readonly [start: number, end: number]

export interface Scale {
  width: number
  x(time: number): number
  /** Where a pause is shortened. */
  pauses: { x: number; width: number; duration: number }[]
  ticks: { x: number; time: number; isNewDay: boolean }[]
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const PAUSE_WIDTH = 44
const TICK_WIDTH = 84
const STEPS = [
  1000,
  5000,
  15_000,
  30_000,
  ...[1, 2, 5, 10, 15, 30].map((it) => it * MINUTE),
  ...[1, 2, 3, 6, 12, 24].map((it) => it * HOUR),
]

/** A time without a long pause, and where it is. */
interface Piece {
  start: number
  end: number
  left: number
  right: number
}

/** @param width The width to fill. More than that is taken if the pauses alone need it. */
export function scaleOf(intervals: readonly Interval[], width: number): Scale {
  const parts = joined(intervals)
  const pauses = parts.length - 1
  const duration = parts.reduce((sum, [start, end]) => sum + end - start, 0)
  const perMs = Math.max(width - pauses * PAUSE_WIDTH, width / 4, parts.length * 24) / Math.max(1, duration)

  const pieces: Piece[] = []
  let left = 0
  for (const [start, end] of parts) {
    pieces.push({ start, end, left, right: left + (end - start) * perMs })
    left = pieces.at(-1)!.right + PAUSE_WIDTH
  }
  const x = (time: number) => {
    const piece = pieces.findLast(({ start }) => start <= time) ?? pieces[0]
    if (!piece) return 0
    if (time <= piece.end) return piece.left + Math.max(0, time - piece.start) * perMs
    const next = pieces[pieces.indexOf(piece) + 1]
    return next ? piece.right + (PAUSE_WIDTH * (time - piece.end)) / (next.start - piece.end) : piece.right
  }
  return {
    width: pieces.at(-1)?.right ?? 0,
    x,
    pauses: pieces.slice(1).map(({ start, left }, i) => ({
      x: pieces[i]!.right,
      width: left - pieces[i]!.right,
      duration: start - pieces[i]!.end,
    })),
    ticks: ticksOf(pieces, perMs),
  }
}

/** The intervals with what is close together as one: pauses of more than a quarter of the time of work are left out. */
function joined(intervals: readonly Interval[]): Interval[] {
  const merge = (list: readonly Interval[], gap: number) => {
    const result: [number, number][] = []
    for (const [start, end] of list.toSorted((a, b) => a[0] - b[0])) {
      const last = result.at(-1)
      if (last && start - last[1] <= gap) last[1] = Math.max(last[1], end)
      else result.push([start, end])
    }
    return result
  }
  const work = merge(intervals, MINUTE)
  const duration = work.reduce((sum, [start, end]) => sum + end - start, 0)
  const parts = merge(work, Math.max(2 * MINUTE, duration / 4))
  // A little time on both sides, so that something which took none is not at the edge.
  const margin = Math.max(500, duration / 60)
  return parts.map(([start, end]) => [start - margin, end + margin])
}

/** Round times of the local clock. */
function ticksOf(pieces: readonly Piece[], perMs: number) {
  const step = STEPS.find((it) => it * perMs >= TICK_WIDTH) ?? STEPS.at(-1)!
  const ticks: Scale['ticks'] = []
  let day = ''
  for (const { start, end, left } of pieces) {
    const offset = new Date(start).getTimezoneOffset() * MINUTE
    let first = Math.ceil((start - offset) / step) * step + offset
    // Every piece has a time, also a short one between two pauses.
    if (first > end) first = start
    for (let time = first; time <= end; time += step) {
      const x = left + (time - start) * perMs
      const date = new Date(time).toDateString()
      const last = ticks.at(-1)
      if (last && x - last.x < TICK_WIDTH * (date === day ? 0.7 : 1)) continue
      ticks.push({ x, time, isNewDay: date !== day })
      day = date
    }
  }
  return ticks
}
