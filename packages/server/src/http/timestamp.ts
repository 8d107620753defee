/** Times in requests. */

const TIMESTAMP =
  /^(\d{4}-\d\d-\d\d)(?:[Tt ]((?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d|60)(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)?)?$/

/**
 * Parses RFC 3339 (section 5.6, including leap seconds), RFC 3339 without an offset (as UTC), or a date alone (midnight
 * UTC). Returns UTC with milliseconds, truncated; undefined for anything else, for days that do not exist, and for times
 * outside the years 0001 to 9999.
 */
export function toTimestamp(text: string): string | undefined {
  const [matched, date, minute = '00:00', second = '00', fraction = '', offset = 'Z'] =
    TIMESTAMP.exec(text) ?? []
  if (matched === undefined) return undefined
  const midnight = new Date(`${date}T00:00:00Z`)
  // Date turns 30 February into a day in March; only a day that exists stays the same.
  if (Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(`${date}T`)) return undefined

  const leap = second === '60'
  const time = new Date(
    `${date}T${minute}:${leap ? '59' : second}${fraction.slice(0, 4)}${offset.toUpperCase()}`,
  )
  if (leap) {
    // RFC 3339 allows a leap second only at the end of a UTC day. It becomes the first second of the next day.
    if (time.getUTCHours() !== 23 || time.getUTCMinutes() !== 59) return undefined
    time.setUTCSeconds(60, 0)
  }
  const utc = time.toISOString()
  // Years before 0001 and after 9999 are written with a sign, or as 0000.
  return /^(?!0000)\d{4}-/.test(utc) ? utc : undefined
}
