/** What a call can fail with: an answer of the service that is no success, or no answer at all. */
import type { Problem, Task } from './generated/schema.js'

/** Every kind of problem that the service can answer. A code never changes its meaning. */
export type ErrorCode = Problem['error_code']

/** One thing that is wrong with a request. */
export type Mistake = NonNullable<Problem['errors']>[number]

/** The service, or something on the way to it, answered with something else than a success. */
export class AklpError extends Error {
  override name = 'AklpError'
  /** The HTTP status. */
  readonly status: number
  /** The kind of problem; undefined where the answer is not one of the service, but of a proxy for example. */
  readonly error_code: ErrorCode | undefined
  /** What went wrong this time and what to do about it. */
  readonly detail: string
  /** Every mistake in the request, 20 at most; empty where the request is not at fault. */
  readonly errors: readonly Mistake[]
  /** The name of the request in the service's logs. */
  readonly requestId: string | undefined
  /** After how many seconds the service asks to be called again. */
  readonly retryAfter: number | undefined
  /** The whole problem (RFC 9457); undefined where the answer is not one of the service. */
  readonly problem: Problem | undefined

  constructor({ status, headers }: Pick<Response, 'status' | 'headers'>, text: string) {
    const problem = readProblem(text)
    const detail =
      problem?.detail ??
      `The answer is not one of the task service. Is baseUrl right? It begins: ${text.slice(0, 200).trim()}`
    super(explain(status, detail, problem))
    this.status = status
    this.error_code = problem?.error_code
    this.detail = detail
    this.errors = problem?.errors ?? []
    this.requestId = problem?.request_id ?? headers.get('x-request-id') ?? undefined
    this.retryAfter = readRetryAfter(headers.get('retry-after'))
    this.problem = problem
  }
}

/** 400 and 422: the request is wrong, and `errors` says where. Sent again as it is, it fails again. */
export class ValidationError extends AklpError {
  override name = 'ValidationError'
}
/** 401 and 403: no token, or one that does not allow this. */
export class UnauthorizedError extends AklpError {
  override name = 'UnauthorizedError'
}
/** 404: there is nothing with this id, or the path does not exist. */
export class NotFoundError extends AklpError {
  override name = 'NotFoundError'
}
/** 409 and 412: the request contradicts what is there. */
export class ConflictError extends AklpError {
  override name = 'ConflictError'
  /** The task as it is now, where somebody changed it since `ifUnchangedSince`. */
  get current(): Task | undefined {
    return this.problem?.current
  }
}
/** 429: too many requests; `retryAfter` says when the next one is welcome. */
export class RateLimitError extends AklpError {
  override name = 'RateLimitError'
}
/** 500 and above: the service failed, not the request. */
export class ServerError extends AklpError {
  override name = 'ServerError'
}

/** No answer, or only part of one. The cause is the error of fetch. */
export class ConnectionError extends Error {
  override name = 'ConnectionError'
  /** Whether the request may have reached the service, and so may have taken effect. */
  readonly maybeSent: boolean

  constructor(call: string, cause: unknown) {
    // Node tells the reason one level down, Bun on the error itself.
    const reason = ((cause as Error)?.cause ?? cause) as { code?: string; message?: string } | undefined
    super(`${call} was not answered: ${reason?.message || reason?.code || cause}`, { cause })
    this.maybeSent = !NEVER_SENT.test(reason?.code ?? '')
  }
}

/** Failures from before there was a connection. */
const NEVER_SENT = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|UND_ERR_CONNECT_TIMEOUT|ConnectionRefused)$/

/** The input cannot be sent as it is: an id that is empty, a Date that is invalid. Nothing was sent. */
export class InputError extends TypeError {
  override name = 'InputError'
}

/** The call was not finished within its `timeout`. It may still take effect. */
export class TimeoutError extends Error {
  override name = 'TimeoutError'
}

/** A `signal` aborted the call. The cause is the signal's reason. It may still take effect. */
export class AbortError extends Error {
  override name = 'AbortError'
}

const kinds: Record<number, typeof AklpError> = {
  400: ValidationError,
  401: UnauthorizedError,
  403: UnauthorizedError,
  404: NotFoundError,
  409: ConflictError,
  412: ConflictError,
  422: ValidationError,
  429: RateLimitError,
}

/** The error that an answer is. */
export function errorOf(response: Response, text: string): AklpError {
  const Kind = kinds[response.status] ?? (response.status >= 500 ? ServerError : AklpError)
  return new Kind(response, text)
}

function readProblem(text: string): Problem | undefined {
  try {
    const problem = JSON.parse(text)
    return typeof problem?.error_code === 'string' ? problem : undefined
  } catch {
    return undefined
  }
}

/** All that is to be changed, for a reader who sees nothing else. */
function explain(status: number, detail: string, problem: Problem | undefined): string {
  const { error_code, title, errors = [], error_count = 0, current } = problem ?? {}
  if (errors.length === 0) {
    const now = current ? `\nIt is now: ${JSON.stringify(current)}` : ''
    return `${[status, error_code].filter(Boolean).join(' ')}: ${detail}${now}`
  }
  const untold = error_count - errors.length
  return [
    `${status} ${error_code}: ${title}`,
    ...errors.map(
      ({ in: place, path, message, did_you_mean }) =>
        `- ${place}${path && ` ${path}`} ${message}${did_you_mean ? `; did you mean ${did_you_mean}?` : ''}`,
    ),
    ...(untold > 0 ? [`- and ${untold} more`] : []),
  ].join('\n')
}

/** Reads seconds, or a date (RFC 9110, section 10.2.3). */
function readRetryAfter(value: string | null): number | undefined {
  if (!value) return undefined
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds)
}
