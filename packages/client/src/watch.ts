/** Follows events as they happen: reads the stream, and connects again whenever it ends. */
import { AbortError, AklpError, errorOf } from './errors.js'
import type { Event } from './generated/schema.js'
import { backoff, isRetryable, type Open } from './transport.js'

/** Options of `events.watch`: which events, and from where on. */
export interface WatchOptions {
  /** Only events of this batch and its tasks. */
  batch_id?: string | undefined
  /** Only events of this task. */
  task_id?: string | undefined
  /** Only events of these types. */
  types?: readonly Event['type'][] | undefined
  /** The `id` of the last event that was seen, or the `next` of a page; by default, what happens from now on. */
  after?: string | undefined
  /** Ends the iteration with an AbortError. */
  signal?: AbortSignal | undefined
}

/** The service sends a comment every 15 seconds. A connection without one for so many milliseconds is lost. */
const SILENCE = 40_000

const PATH = '/api/v1/events/stream'
const STREAM = 'text/event-stream'

/**
 * Yields each event once and in order.
 *
 * @param scope Sent with the query.
 * @param onOpen Called whenever something arrives, at the latest when the stream begins.
 */
export async function* watch(
  open: Open,
  scope: { session_id?: string },
  { after, signal, ...filters }: WatchOptions & { session_id?: string | undefined } = {},
  onOpen: () => void = () => {},
): AsyncGenerator<Event, void, undefined> {
  let wasOpen = false
  for (let failures = 0; ; failures++) {
    const connection = new AbortController()
    const onAbort = () => connection.abort(signal!.reason)
    signal?.addEventListener('abort', onAbort)
    let silence: ReturnType<typeof setTimeout> | undefined
    let failure: unknown
    try {
      signal?.throwIfAborted()
      const headers: Record<string, string> = { accept: STREAM }
      const query = { ...filters, ...scope, after }
      const response = await open(PATH, query, { headers, signal: connection.signal })
      if (!response.headers.get('content-type')?.startsWith(STREAM)) throw errorOf(response, '')
      const listen = () => {
        clearTimeout(silence)
        silence = setTimeout(() => connection.abort(), SILENCE)
      }
      wasOpen = true
      for await (const { id, data } of blocksOf(response.body!, listen)) {
        onOpen()
        failures = 0
        if (data) yield JSON.parse(data)
        after = id || after
      }
    } catch (error) {
      failure = error
    } finally {
      clearTimeout(silence)
      signal?.removeEventListener('abort', onAbort)
      connection.abort()
    }
    if (signal?.aborted) {
      const cause = signal.reason
      throw new AbortError(`The watch was aborted: ${cause?.message ?? cause}`, { cause })
    }
    const isRefused = failure instanceof AklpError && !isRetryable(failure, true)
    // A service that was never reached is not out for a moment: its URL is wrong, or it does not run.
    if (isRefused || (failure && !wasOpen && failures >= 2)) throw failure
    await new Promise((resolve) => setTimeout(resolve, backoff(failures + 1, failure)))
  }
}

/** The blocks of a stream, each with its fields. */
async function* blocksOf(
  body: ReadableStream<Uint8Array>,
  onRead: () => void,
): AsyncGenerator<Record<string, string>> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  for (let text = ''; ; ) {
    onRead()
    const { done, value } = await reader.read()
    if (done) return
    const blocks = (text + decoder.decode(value, { stream: true })).split('\n\n')
    text = blocks.pop()!
    for (const block of blocks)
      yield Object.fromEntries(block.split('\n').map((line) => line.split(/: ?(.*)/s)))
  }
}
