/** Follows what happens: first reads things as they are, then event after event, without a gap. */
import { AklpError, type Event } from '@aklp/task-client'
import { client, explain, keepsEvents } from './service.js'

interface Follow {
  /** Only events of this batch or session. */
  filter: { batch_id?: string; session_id?: string }
  /** Reads everything as it is now: at the beginning, and when events may have been missed. */
  load: () => Promise<void>
  receive: (event: Event) => void
  /** Called with the text of an error that lasts, and with undefined when it is over. */
  report: (text: string | undefined) => void
}

/** How many milliseconds pass between two reads where there are no events. */
const POLL = 3000
/** The same after an error. */
const PAUSE = 2000

/** Returns a function that ends it. A page in the background does not follow: a browser has few connections for all its tabs. */
export function follow({ filter, load, receive, report }: Follow): () => void {
  const end = new AbortController()

  /** The place in the order of events from which nothing is missing in what is read after this. */
  async function newest(): Promise<string | undefined> {
    if (!keepsEvents.peek()) return undefined
    const { items } = await client.events.list({ ...filter, order: 'desc', limit: 1 })
    return items[0]?.id ?? (await client.events.list({ ...filter, limit: 1 })).next!
  }

  async function followOnce(signal: AbortSignal) {
    const after = await newest()
    await load()
    report(undefined)
    if (after === undefined) return sleep(POLL, signal)
    for await (const event of client.events.watch({ ...filter, after, signal })) receive(event)
  }

  async function run() {
    while (!end.signal.aborted) {
      await visible(end.signal)
      const hidden = new AbortController()
      const hide = () => document.hidden && hidden.abort()
      document.addEventListener('visibilitychange', hide)
      try {
        await followOnce(AbortSignal.any([end.signal, hidden.signal]))
      } catch (error) {
        if (end.signal.aborted) return
        if (hidden.signal.aborted) continue
        const { error_code, status } = error instanceof AklpError ? error : {}
        if (error_code === 'events_off') keepsEvents.value = false
        // Some of what happened is gone: it begins anew with the tasks as they are.
        else if (error_code !== 'events_expired') {
          report(explain(error))
          // Another key begins it anew, and what does not exist will not.
          if (status === 401 || status === 404) return
          await sleep(PAUSE, end.signal)
        }
      } finally {
        document.removeEventListener('visibilitychange', hide)
      }
    }
  }

  void run()
  return () => end.abort()
}

/** Resolves after some milliseconds, or when `signal` aborts. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, milliseconds)
    signal?.addEventListener('abort', end)
  })
}

function visible(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (document.hidden && !signal.aborted) return
      document.removeEventListener('visibilitychange', check)
      resolve()
    }
    document.addEventListener('visibilitychange', check)
    signal.addEventListener('abort', check, { once: true })
    check()
  })
}
