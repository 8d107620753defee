/** Rate limits by caller. Each process counts in memory, for itself. */

const MINUTE_MS = 60_000

export interface Allowance {
  /** How many more calls are allowed; below zero when this one was not. */
  left: number
  /** The number of seconds until all calls are allowed again. */
  resetsIn: number
}

export interface LimitOptions {
  /** Most keys that are counted at a time; a further one evicts the oldest. */
  most?: number
  now?: () => number
}

/** Counts calls by key: `perMinute` of each are allowed until the minute ends. All keys share the same minute. */
export function createLimit(
  perMinute: number,
  { most = 100_000, now = Date.now }: LimitOptions = {},
): (key: string) => Allowance {
  // A Map keeps the order of insertion, so its first key is the oldest.
  const counts = new Map<string, number>()
  let ends = 0
  return (key) => {
    const time = now()
    if (time >= ends) {
      counts.clear()
      ends = time + MINUTE_MS
    }
    const count = (counts.get(key) ?? 0) + 1
    if (count === 1 && counts.size >= most) counts.delete(counts.keys().next().value!)
    counts.set(key, count)
    return { left: Math.max(perMinute - count, -1), resetsIn: Math.ceil((ends - time) / 1000) }
  }
}
