/** The service behind the page: the client, its key, and whether it can be reached. */
import { AklpError, createClient } from '@aklp/task-client'
import { batch, effect, signal } from '@preact/signals'
import { t } from './text.js'
import { setClock } from './time.js'

/** The storage of the tab: another tab and the next visit ask again. */
const KEY = 'aklp-key'

export const key = signal(sessionStorage.getItem(KEY) ?? '')
/** Why a key is asked for, if one is. */
export const asksForKey = signal<'missing' | 'wrong' | undefined>()
/** False as soon as the service has refused a change for want of the scope. */
export const canWrite = signal(true)
/** Whether the service cannot be reached at the moment. */
export const isLost = signal(false)
/** False if the service keeps no events: no history, no notes, and nothing that was deleted comes back. */
export const keepsEvents = signal(true)

export const client = createClient({
  baseUrl: new URL('.', location.href).href,
  token: () => key.peek(),
  fetch: observe,
})

/** What a header can hold as a key or token (RFC 6750). */
const BEARER = /^[\w.~+/-]+=*$/

/** Uses a key from now on; an empty one is forgotten. */
export function enterKey(value: string) {
  if (value && !BEARER.test(value)) {
    asksForKey.value = 'wrong'
    return
  }
  if (value) sessionStorage.setItem(KEY, value)
  else sessionStorage.removeItem(KEY)
  batch(() => {
    key.value = value
    asksForKey.value = value ? undefined : 'missing'
    canWrite.value = true
  })
}

// No response names the scopes of a key. Restoring a task that nobody has changes nothing, and needs the scope to write.
const NOBODY = '00000000-0000-0000-0000-000000000000'
effect(() => {
  if (key.value) client.tasks.restore([NOBODY]).catch(() => {})
})

/** Learns from each response what the whole page needs to know. */
async function observe(url: string, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(url, init)
    setClock(response.headers.get('date'))
    batch(() => {
      isLost.value = [502, 503, 504].includes(response.status)
      if (response.status === 401) asksForKey.value = key.peek() ? 'wrong' : 'missing'
      if (response.status === 403 && init.method !== 'GET') canWrite.value = false
    })
    return response
  } catch (error) {
    if (!init.signal?.aborted) isLost.value = true
    throw error
  }
}

addEventListener('offline', () => {
  isLost.value = true
})

/** What went wrong, for people. */
export function explain(error: unknown): string {
  if (!(error instanceof AklpError)) return t('unreachable')
  const { detail, errors } = error
  return errors.length > 0 ? errors.map(({ path, message }) => `${path} ${message}`).join('\n') : detail
}
