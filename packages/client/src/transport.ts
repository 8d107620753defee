/** Sends requests and reads responses: headers, timeouts and retries. */
import { AbortError, AklpError, ConnectionError, errorOf, InputError, TimeoutError } from './errors.js'

/** Options for one call. They override those of the client. */
export interface RequestOptions {
  /** Timeout in milliseconds for the whole call, including retries and the delays between them; 30 000 by default. */
  timeout?: number | undefined
  /** Aborts the call. */
  signal?: AbortSignal | undefined
  /** Headers to send. They override those of the client. */
  headers?: Record<string, string> | undefined
  /** Maximum number of retries after a temporary failure; 2 by default, 0 for none. */
  retries?: number | undefined
}

/** Options for calls that create something. */
export interface CreateOptions extends RequestOptions {
  /**
   * Makes the call idempotent: a second call with the same key creates nothing and returns the first response, which may
   * be out of date: read the task again before you change it with `ifUnchangedSince`.
   * 1 to 255 visible ASCII characters. Name the step, as in `${session_id}:plan:1`, so that an agent that repeats the
   * step after a restart creates it once. By default each call has a random key, which covers its own retries.
   */
  idempotencyKey?: string | undefined
  /** Called if the response is that of an earlier call with this `idempotencyKey`. */
  onReplayed?: (() => void) | undefined
}

/** Options for calls that change or delete one task. */
export interface ChangeOptions extends RequestOptions {
  /**
   * The `updated_at` of the task when you read it. If the task has changed since, nothing is done, and the call throws
   * a ConflictError with the `current` task.
   */
  ifUnchangedSince?: string | undefined
  /**
   * The `token` of the lease under which you work on the task. If it is not the task's current lease, nothing is done, and
   * the call throws a LeaseLostError with the `current` task. Without it, a change of `status` ends any lease.
   */
  leaseToken?: string | undefined
}

/** Options for a client and all its calls. */
export interface ClientOptions extends RequestOptions {
  /** The URL of the service, such as `http://localhost:8001`. */
  baseUrl: string
  /** A bearer token, or a function that returns one; it is called before each attempt. */
  token?: string | (() => string | Promise<string>) | undefined
  /** Used instead of the global `fetch`. */
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined
  /** Called before each retry, before its delay. */
  onRetry?: ((retry: Retry) => void) | undefined
}

/** A failed attempt that will be retried. */
export interface Retry {
  /** The number of the failed attempt, from 1. */
  attempt: number
  /** Milliseconds until the next attempt. */
  delay: number
  error: AklpError | ConnectionError
  method: string
  /** The path with its parameter names, such as `/api/v1/tasks/{task_id}`. */
  path: string
}

/** Sends one request and returns the body of its response. The generated operations call it. */
export type Send = <T>(
  method: string,
  path: string,
  input: { params?: Record<string, string>; query?: object; body?: object; once?: boolean },
  options: (CreateOptions & ChangeOptions) | undefined,
) => Promise<T>

/** Opens a stream, whose response is read by the caller. Rejects with an error response. */
export type Open = (
  path: string,
  query: object,
  options: { headers: Record<string, string>; signal: AbortSignal },
) => Promise<Response>

/** The maximum delay before the first retry, and before any later one, in milliseconds. It doubles in between. */
const FIRST_DELAY = 250
const LONGEST_DELAY = 8_000

/** In milliseconds. Longer timers fire immediately. */
const LONGEST_TIMEOUT = 2 ** 31 - 1

export function createTransport(client: ClientOptions): { send: Send; open: Open } {
  const { fetch = (url, init) => globalThis.fetch(url, init), onRetry, token } = client
  const base = readBaseUrl(client.baseUrl)
  const clientHeaders = lowerCased(client.headers)

  /** Sends a request. */
  const request = async (
    call: string,
    url: string,
    init: { method: string; headers: Record<string, string>; signal: AbortSignal; body?: string },
    more?: Record<string, string>,
  ): Promise<Response> => {
    const bearer = typeof token === 'function' ? await token() : token
    const headers = {
      accept: 'application/json',
      ...init.headers,
      ...(bearer && { authorization: `Bearer ${bearer}` }),
      ...clientHeaders,
      ...(more && lowerCased(more)),
    }
    try {
      // The service never redirects, and fetch turns a redirected POST into a GET.
      return await fetch(url, { ...init, headers, redirect: 'manual' })
    } catch (error) {
      throw new ConnectionError(call, error)
    }
  }

  const open: Open = async (path, query, init) => {
    const response = await request(`GET ${path}`, base + path + search(query), { method: 'GET', ...init })
    if (!response.ok) throw errorOf(response, await response.text())
    return response
  }

  const send = async <T>(
    method: string,
    path: string,
    { params = {}, query = {}, body, once }: Parameters<Send>[2],
    options: CreateOptions & ChangeOptions = {},
  ) => {
    const call = `${method} ${path}`
    const url = base + fillIn(path, params) + search(query)
    const payload = body && JSON.stringify(body, refuseInvalidDates)
    // All attempts have the same key.
    const key = once && idempotencyKey(options.idempotencyKey ?? randomKey())
    const { ifUnchangedSince, leaseToken } = options
    const isConditional = ifUnchangedSince !== undefined || leaseToken !== undefined
    const retries = options.retries ?? client.retries ?? 2
    const timeout = Math.min(options.timeout ?? client.timeout ?? 30_000, LONGEST_TIMEOUT)
    const limit = startLimit(call, timeout, [client.signal, options.signal])

    const attempt = async (): Promise<T> => {
      limit.signal.throwIfAborted()
      const headers = {
        ...(payload && { 'content-type': 'application/json' }),
        ...(key && { 'idempotency-key': key }),
        ...(ifUnchangedSince && { 'if-match': `"${ifUnchangedSince}"` }),
        ...(leaseToken && { 'lease-token': leaseToken }),
      }
      const init = { method, headers, signal: limit.signal, ...(payload && { body: payload }) }
      const response = await request(call, url, init, options.headers)
      const text = await response.text().catch((error) => {
        throw new ConnectionError(call, error)
      })
      if (!response.ok) throw errorOf(response, text)
      if (response.headers.has('idempotency-replayed')) options.onReplayed?.()
      if (response.status === 204) return undefined as T
      try {
        return JSON.parse(text)
      } catch {
        throw errorOf(response, text)
      }
    }

    const untilDone = async (): Promise<T> => {
      for (let attempts = 1; ; attempts++) {
        try {
          return await attempt()
        } catch (error) {
          limit.signal.throwIfAborted()
          if (attempts > retries || !isRetryable(error, !isConditional)) throw error
          const delay = backoff(attempts, error)
          if (delay >= limit.remaining()) throw error
          onRetry?.({ attempt: attempts, delay, error, method, path })
          await limit.sleep(delay)
        }
      }
    }

    try {
      // A race, since a custom token function or fetch may ignore the signal.
      return await Promise.race([untilDone(), limit.reached])
    } finally {
      limit.stop()
    }
  }
  return { send, open }
}

function readBaseUrl(baseUrl: string): string {
  const { protocol, origin, pathname } = new URL(baseUrl)
  if (!/^https?:$/.test(protocol)) {
    throw new TypeError(
      `baseUrl must start with http:// or https://, as in http://localhost:8001: ${baseUrl}`,
    )
  }
  return origin + pathname.replace(/\/+$/, '')
}

/** Replaces the parameters of a path. Empty values and dots are rejected: they lead to another path. */
function fillIn(path: string, params: Record<string, string>): string {
  for (const [name, value] of Object.entries(params)) {
    if (typeof value !== 'string' || /^\.{0,2}$/.test(value)) {
      throw new InputError(`${name} must be an id, not ${JSON.stringify(value)}`)
    }
    path = path.replace(`{${name}}`, encodeURIComponent(value))
  }
  return path
}

/** Header names are case-insensitive: in lower case, the same header is not sent twice. */
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

/** JSON.stringify turns an invalid Date into null, and null would clear the field. */
function refuseInvalidDates(this: Record<string, unknown>, name: string, value: unknown) {
  if (value === null && this[name] instanceof Date) throw new InputError(`${name} is an invalid Date`)
  return value
}

/** The header for a key: a string of a structured field (RFC 9651, section 3.3.3). */
function idempotencyKey(key: string): string {
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new InputError(
      `idempotencyKey must be 1 to 255 visible ASCII characters, not ${JSON.stringify(key)}`,
    )
  }
  return `"${key.replace(/["\\]/g, '\\$&')}"`
}

/**
 * The delay after so many attempts, in milliseconds, on top of the Retry-After of the error. Full jitter: callers that
 * failed at the same time do not retry at the same time.
 */
export const backoff = (attempts: number, error?: unknown) =>
  1000 * ((error as AklpError | undefined)?.retryAfter ?? 0) +
  Math.random() * Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (attempts - 1))

/** 128 random bits. Pages without TLS have no crypto.randomUUID. */
export const randomKey = () =>
  crypto
    .getRandomValues(new Uint8Array(16))
    .reduce((key, byte) => key + byte.toString(16).padStart(2, '0'), '')

/**
 * Whether a retry may succeed and is safe. A conditional change is not `repeatable` once it may have taken effect:
 * its own first attempt would make the condition fail.
 */
export function isRetryable(error: unknown, repeatable: boolean): error is AklpError | ConnectionError {
  if (error instanceof ConnectionError) return repeatable || !error.maybeSent
  if (!(error instanceof AklpError)) return false
  if (error.status === 429 || error.error_code === 'idempotency_in_progress') return true
  return repeatable && [500, 502, 503, 504].includes(error.status)
}

/** Ends a call at its timeout or when one of its signals aborts. */
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
    () => reach(new TimeoutError(`${call} timed out after ${timeout} ms. It may still take effect.`)),
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
        // The timer of an aborted delay would keep the process alive.
        signal.addEventListener('abort', () => clearTimeout(wake), { once: true })
      }),
    stop() {
      clearTimeout(timer)
      for (const given of signals) given?.removeEventListener('abort', onAbort)
    },
  }
}
