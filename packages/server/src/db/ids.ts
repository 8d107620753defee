/** Ascending ids: UUIDs of version 7 (RFC 9562, section 5.7). New ones are close together in an index. */
import { randomUUID } from 'node:crypto'

let milliseconds = 0
let count = 0

/**
 * A new id, greater than all earlier ones of this process: the time in milliseconds, a counter of 12 bits within it
 * (section 6.2, method 1), and 62 random bits. If the counter is full, or the clock is set back, the time in the ids runs
 * ahead of the clock.
 */
export function newId(): string {
  const now = Date.now()
  if (now > milliseconds) {
    milliseconds = now
    count = 0
  } else if (++count > 0xfff) {
    milliseconds++
    count = 0
  }
  const time = milliseconds.toString(16).padStart(12, '0')
  const counter = count.toString(16).padStart(3, '0')
  // The end of a random UUID, which has the same variant.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}${randomUUID().slice(18)}`
}
