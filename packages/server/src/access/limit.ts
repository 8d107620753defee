/** How many requests a minute: counted in memory, so by each process for itself. */

/** Most callers that are counted at a time; the one counted longest is forgotten first. */
const MOST_COUNTED = 100_000
const MINUTE_MS = 60_000

export interface Allowance {
  /** How many more are allowed; below zero when this one was not. */
  left: number
  /** In how many seconds all are allowed again. */
  resetsIn: number
}

/** Counts calls by their key: `perMinute` are allowed in the minute that begins with the first. */
export function createLimit(perMinute: number, now = Date.now): (key: string) => Allowance {
  // A minute that begins anew is set anew, so that the map stays in the order in which the minutes end.
  const minutes = new Map<string, { left: number; ends: number }>()
  return (key) => {
    const time = now()
    let minute = minutes.get(key)
    if (minute === undefined || minute.ends <= time) {
      minutes.delete(key)
      for (const [old, { ends }] of minutes) {
        if (ends > time && minutes.size < MOST_COUNTED) break
        minutes.delete(old)
      }
      minute = { left: perMinute, ends: time + MINUTE_MS }
      minutes.set(key, minute)
    }
    minute.left = Math.max(minute.left - 1, -1)
    return { left: minute.left, resetsIn: Math.ceil((minute.ends - time) / 1000) }
  }
}
