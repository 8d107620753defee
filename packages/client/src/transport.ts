/** Sends the requests and reads the answers: headers, deadlines, and trying again. */
import { AbortError, AklpError, ConnectionError, errorOf, InputError, TimeoutError } from './errors.js'

/** What can be set for one call; it goes before what is set for the client. */
export interface RequestOptions {
  /** Most milliseconds for the whole call, with all its tries and the waits between them; 30 000 unless set. */
  timeout?: number | undefined
  /** Ends the call when it aborts. */
  signal?: AbortSignal | undefined
  /** Headers to send, over those of the client. */
  headers?: Record<string, string> | undefined
  /** How many times to try again after a failure that may pass; 2 unless set. */
  retries?: number | undefined
}

/** What can be set for a call that creates. */
export interface CreateOptions extends RequestOptions {
  /**
   * Makes the call take effect once, however often it is made: with a key that was used before, the first answer comes
   * again. 1 to 255 visible ASCII characters that name the step, such as `${session_id}:plan:1`; then also an agent
   * that thinks of the same step twice does it once. Unless set, each call has a random one for its own tries.
   */
  idempotencyKey?: string | undefined
}

/** What can be set for a call that changes one task. */
export interface ChangeOptions extends RequestOptions {
  /**
   * The `updated_at` of the task as it is known. If somebody changed the task since, nothing is done, and the call
   * fails with a ConflictError that has the `current` task.
   */
  ifUnchangedSince?: string | undefined
}

/** What can be set for a client, and for all its calls. */
export interface ClientOptions extends RequestOptions {
  /** Where the service is, such as `http://localhost:8001`. */
  baseUrl: string
  /** A bearer token, or a function that is asked for one before each try. */
  token?: string | (() => string | Promise<string>) | undefined
  /** Used instead of the global `fetch`. */
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined
  /** Told before each wait for another try. */
  onRetry?: ((retry: Retry) => void) | undefined
}

/** A try that failed and is going to be repeated. */
export interface Retry {
  /** Which try failed, from 1. */
  attempt: number
  /** The milliseconds until the next one. */
  delay: number
  error: AklpError | ConnectionError
  method: string
  /** The path with the names of its parameters, such as `/api/v1/tasks/{task_id}`. */
  path: string
}

/** Sends one request and answers the body; the generated operations are made of it. */
export type Send = <T>(
  method: string,
  path: string,
  input: { params?: Record<string, string>; query?: object; body?: object; once?: boolean },
  options: (CreateOptions & ChangeOptions) | undefined,
) => Promise<T>

/** The bounds of the wait before the first and before any later try; in between it doubles. */
const FIRST_DELAY = 250
const LONGEST_DELAY = 8_000

/** Longer timers than this fire at once. */
const LONGEST_TIMEOUT = 2 ** 31 - 1

export function createSend(client: ClientOptions): Send {
  const { fetch = (url, init) => globalThis.fetch(url, init), onRetry, token } = client
  const base = readBaseUrl(client.baseUrl)
  const clientHeaders = lowerCased(client.headers)

  return async <T>(
    method: string,
    path: string,
    { params = {}, query = {}, body, once }: Parameters<Send>[2],
    options: CreateOptions & ChangeOptions = {},
  ) => {
    const call = `${method} ${path}`
    const url = base + fillIn(path, params) + search(query)
    const payload = body && JSON.stringify(body, refuseInvalidDates)
    // All tries have the same key.
    const key = once && idempotencyKey(options.idempotencyKey ?? randomKey())
    const { ifUnchangedSince } = options
    const retries = options.retries ?? client.retries ?? 2
    const timeout = Math.min(options.timeout ?? client.timeout ?? 30_000, LONGEST_TIMEOUT)
    const limit = startLimit(call, timeout, [client.signal, options.signal])

    const attempt = async (): Promise<T> => {
      limit.signal.throwIfAborted()
      const bearer = typeof token === 'function' ? await token() : token
      const headers = {
        accept: 'application/json',
        ...(payload && { 'content-type': 'application/json' }),
        ...(key && { 'idempotency-key': key }),
        ...(ifUnchangedSince && { 'if-match': `"${ifUnchangedSince}"` }),
        ...(bearer && { authorization: `Bearer ${bearer}` }),
        ...clientHeaders,
        ...(options.headers && lowerCased(options.headers)),
      }

      let response: Response
      let text: string
      try {
        // The service never redirects, and a redirected POST would come back as the answer to a GET.
        const init: RequestInit = { method, headers, signal: limit.signal, redirect: 'manual' }
        response = await fetch(url, payload ? { ...init, body: payload } : init)
        text = await response.text()
      } catch (error) {
        throw new ConnectionError(call, error)
      }
      if (!response.ok) throw errorOf(response, text)
      if (response.status === 204) return undefined as T
      try {
        return JSON.parse(text)
      } catch {
        throw errorOf(response, text)
      }
    }

    const untilDone = async (): Promise<T> => {
      for (let tries = 1; ; tries++) {
        try {
          return await attempt()
        } catch (error) {
          limit.signal.throwIfAborted()
          if (tries > retries || !mayPass(error, ifUnchangedSince === undefined)) throw error
          // Full jitter: callers that failed together do not come back together.
          const backoff = Math.random() * Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (tries - 1))
          const delay = 1000 * ((error as AklpError).retryAfter ?? 0) + backoff
          if (delay >= limit.remaining()) throw error
          onRetry?.({ attempt: tries, delay, error, method, path })
          await limit.sleep(delay)
        }
      }
    }

    try {
      // A race, since a token function or a fetch of one's own need not heed the signal.
      return await Promise.race([untilDone(), limit.reached])
    } finally {
      limit.stop()
    }
  }
}

function readBaseUrl(baseUrl: string): string {
  const { protocol, origin, pathname } = new URL(baseUrl)
  if (!/^https?:$/.test(protocol)) {
    throw new TypeError(
      `baseUrl must begin with http:// or https://, as in http://localhost:8001: ${baseUrl}`,
    )
  }
  return origin + pathname.replace(/\/+$/, '')
}

/** Puts the parameters into the path. Empty ones and dots would make it the path of something else. */
function fillIn(path: string, params: Record<string, string>): string {
  for (const [name, value] of Object.entries(params)) {
    if (typeof value !== 'string' || /^\.{0,2}$/.test(value)) {
      throw new InputError(`${name} must be an id, not ${JSON.stringify(value)}`)
    }
    path = path.replace(`{${name}}`, encodeURIComponent(value))
  }
  return path
}

/** Under one spelling, a header given twice is one header. */
function lowerCased(headers: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function search(query: object): string {
  const parameters = Object.entries(query)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]): [string, string] => [
      name,
      value instanceof Date ? value.toISOString() : String(value),
    ])
  return parameters.length > 0 ? `?${new URLSearchParams(parameters)}` : ''
}

/** JSON has null for an invalid Date, and null would clear the field. */
function refuseInvalidDates(this: Record<string, unknown>, name: string, value: unknown) {
  if (value === null && this[name] instanceof Date) throw new InputError(`${name} is an invalid Date`)
  return value
}

/** A key as it is sent: a string of a structured field (RFC 9651, section 3.3.3). */
function idempotencyKey(key: string): string {
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new InputError(
      `idempotencyKey must be 1 to 255 visible ASCII characters, not ${JSON.stringify(key)}`,
    )
  }
  return `"${key.replace(/["\\]/g, '\\$&')}"`
}

/** 128 random bits. crypto.randomUUID is not there in pages without TLS. */
const randomKey = () =>
  crypto
    .getRandomValues(new Uint8Array(16))
    .reduce((key, byte) => key + byte.toString(16).padStart(2, '0'), '')

/**
 * Whether another try may succeed and does no harm. A change on a condition that may have taken effect is not
 * `repeatable`: the second time, the condition would fail because of the first.
 */
function mayPass(error: unknown, repeatable: boolean): error is AklpError | ConnectionError {
  if (error instanceof ConnectionError) return repeatable || !error.maybeSent
  if (!(error instanceof AklpError)) return false
  if (error.status === 429 || error.error_code === 'idempotency_in_progress') return true
  return repeatable && [500, 502, 503, 504].includes(error.status)
}

/** What ends a call early: its timeout and the signals it was given. */
function startLimit(call: string, timeout: number, signals: (AbortSignal | undefined)[]) {
  const controller = new AbortController()
  const { signal } = controller
  const end = performance.now() + timeout
  let reject: (error: Error) => void
  const reached = new Promise<never>((_, rejectPromise) => {
    reject = rejectPromise
  })
  const reach = (error: Error) => {
    reject(error)
    controller.abort(error)
  }
  const onAbort = (event: Pick<Event, 'target'>) => {
    const cause = (event.target as AbortSignal).reason
    reach(new AbortError(`${call} was aborted: ${cause?.message ?? cause}`, { cause }))
  }
  const timer = setTimeout(
    () => reach(new TimeoutError(`${call} was not finished within ${timeout} ms; it may still take effect`)),
    timeout,
  )
  for (const given of signals) {
    if (given?.aborted) onAbort({ target: given })
    given?.addEventListener('abort', onAbort)
  }
  return {
    /** Aborts when the limit is reached, with the error as its reason. */
    signal,
    /** Rejects when the limit is reached. */
    reached,
    remaining: () => end - performance.now(),
    sleep: (milliseconds: number) =>
      new Promise<void>((resolve) => {
        const wake = setTimeout(resolve, milliseconds)
        // Nothing follows an aborted wait, and its timer would keep the process alive.
        signal.addEventListener('abort', () => clearTimeout(wake), { once: true })
      }),
    stop() {
      clearTimeout(timer)
      for (const given of signals) given?.removeEventListener('abort', onAbort)
    },
  }
}
