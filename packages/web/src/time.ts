/** The time, and how it is written. */
import { computed, signal } from '@preact/signals'
import { language, t } from './text.js'

/** How many milliseconds the clock of the service is ahead of that of this machine. */
let ahead = 0
let timer: ReturnType<typeof setInterval> | undefined
const read = () => Date.now() + ahead

/** The time of the service in milliseconds. It ticks each second, as long as something shows it. */
export const now = signal(read(), {
  watched() {
    now.value = read()
    timer = setInterval(() => {
      now.value = read()
    }, 1000)
  },
  unwatched: () => clearInterval(timer),
})

/** Leases end by the clock of the service. The header `Date` has whole seconds, so small differences say nothing. */
export function setClock(date: string | null) {
  const difference = Date.parse(date ?? '') - Date.now()
  if (!Number.isNaN(difference)) ahead = Math.abs(difference) > 2000 ? difference : 0
}

/** Milliseconds until then, now. */
export const until = (iso: string) => Date.parse(iso) - read()

/** Changes less often than {@link now}: what says how long ago something was is not rendered each second. */
const lately = computed(() => Math.floor(now.value / 10_000) * 10_000)

/** The time left, as `4:05`, or `2:04:05`; undefined if there is none. */
export function remaining(iso: string): string | undefined {
  const seconds = Math.ceil((Date.parse(iso) - now.value) / 1000)
  if (seconds <= 0) return undefined
  const two = (n: number) => String(n).padStart(2, '0')
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}

const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })
const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
] as const

/** How long ago it was or how soon it is, as `3 hours ago`. */
export function ago(iso: string): string {
  const distance = Date.parse(iso) - lately.value
  const unit = UNITS.find(([, length]) => Math.abs(distance) >= length)
  return unit ? relative.format(Math.trunc(distance / unit[1]), unit[0]) : t('justNow')
}

const date = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' })
const time = new Intl.DateTimeFormat(language, { timeStyle: 'short' })

/** The time of day; with the date if that is not today. */
export function clock(iso: string): string {
  const at = new Date(iso)
  return (at.toDateString() === new Date().toDateString() ? time : date).format(at)
}

/** The date and the time of day. */
export const moment = (iso: string) => date.format(new Date(iso))
