/** How many requests a minute: counted in memory, so by each process for itself. */

/** Most callers that are counted at a time; when there are more, all counts begin anew. */
const MOST_COUNTED = 100_000
const MINUTE_MS = 60_000

export interface Allowance {
  /** How many more are allowed; below zero when this one was not. */
  left: number
  /** In how many seconds all are allowed again. */
  resetsIn: number
}

/** Counts calls by their key: `perMinute` of each are allowed until the minute ends, which is the same one for all. */
export function createLimit(perMinute: number, now = Date.now): (key: string) => Allowance {
  const counts = new Map<string, number>()
  let ends = 0
  return (key) => {
    const time = now()
    if (time >= ends) {
      counts.clear()
      ends = time + MINUTE_MS
    }
    const count = (counts.get(key) ?? 0) + 1
    if (count === 1 && counts.size >= MOST_COUNTED) counts.clear()
    counts.set(key, count)
    return { left: Math.max(perMinute - count, -1), resetsIn: Math.ceil((ends - time) / 1000) }
  }
}
