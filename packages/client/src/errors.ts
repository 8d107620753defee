/** The errors of a call: error responses, and failures without a response. */
import type { Problem, Task } from './generated/schema.js'

/** The error codes of the service. The meaning of a code never changes. */
export type ErrorCode = Problem['error_code']

/** A task that must be completed first. */
export type OpenBlocker = NonNullable<Problem['open_blockers']>[number]

/** One validation error of a request. */
export type Mistake = NonNullable<Problem['errors']>[number]

/** The service, or a proxy in front of it, returned an error response. */
export class AklpError extends Error {
  override name = 'AklpError'
  /** The HTTP status. */
  readonly status: number
  /** The error code; undefined if the response is not from the service, but from a proxy for example. */
  readonly error_code: ErrorCode | undefined
  /** What went wrong in this request, and how to fix it. */
  readonly detail: string
  /** The validation errors of the request, 20 at most; empty for any other kind of error. */
  readonly errors: readonly Mistake[]
  /** The request id in the service's logs. */
  readonly requestId: string | undefined
  /** Seconds to wait before the next request, from the `Retry-After` header. */
  readonly retryAfter: number | undefined
  /** The whole problem document (RFC 9457); undefined if the response is not from the service. */
  readonly problem: Problem | undefined

  constructor(
    { status, headers }: Pick<Response, 'status' | 'headers'>,
    text: string,
    problem = readProblem(text),
  ) {
    const detail =
      problem?.detail ??
      `The response is not from the task service. Check baseUrl. The response starts with: ${text.slice(0, 200).trim()}`
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

/** 400 and 422: the request is invalid; `errors` lists why. The same request fails again. */
export class ValidationError extends AklpError {
  override name = 'ValidationError'
}
/** 401 and 403: the token is missing or invalid, or does not allow this call. */
export class UnauthorizedError extends AklpError {
  override name = 'UnauthorizedError'
}
/** 404: the id or the path does not exist. */
export class NotFoundError extends AklpError {
  override name = 'NotFoundError'
}
/** 409 and 412: the request conflicts with the current state. */
export class ConflictError extends AklpError {
  override name = 'ConflictError'
  /** The current task, if it has changed since `ifUnchangedSince`, or another worker holds it. */
  get current(): Task | undefined {
    return this.problem?.current
  }
}
/** 409 `task_blocked`: other tasks must be completed first. Nothing was changed. */
export class TaskBlockedError extends ConflictError {
  override name = 'TaskBlockedError'
  /** The tasks to complete first, or to remove from `blocked_by`. */
  get openBlockers(): readonly OpenBlocker[] {
    return this.problem?.open_blockers ?? []
  }
}
/** 409 `task_claimed`: the `current` task is in progress; `current.claimed_by` holds it. Claim another one. */
export class TaskClaimedError extends ConflictError {
  override name = 'TaskClaimedError'
}
/** 409 `lease_lost`: the token does not hold the `current` task any more. Nothing was changed. Stop working on it. */
export class LeaseLostError extends ConflictError {
  override name = 'LeaseLostError'
}
/** 422 `dependency_cycle`: tasks would block each other; `detail` names them. Nothing was changed. */
export class DependencyCycleError extends ValidationError {
  override name = 'DependencyCycleError'
}
/** 429: too many requests; wait `retryAfter` seconds before the next one. */
export class RateLimitError extends AklpError {
  override name = 'RateLimitError'
}
/** 500 and above: the service failed; the request may be valid. */
export class ServerError extends AklpError {
  override name = 'ServerError'
}

/** No response, or an incomplete one. The `cause` is the error of fetch. */
export class ConnectionError extends Error {
  override name = 'ConnectionError'
  /** Whether the request may have reached the service, and so may have taken effect. */
  readonly maybeSent: boolean

  constructor(call: string, cause: unknown) {
    // Node has the reason in the cause of the error, Bun in the error itself.
    const reason = ((cause as Error)?.cause ?? cause) as { code?: string; message?: string } | undefined
    super(`${call} failed: ${reason?.message || reason?.code || cause}`, { cause })
    this.maybeSent = !NEVER_SENT.test(reason?.code ?? '')
  }
}

/** Failures before a connection was established. */
const NEVER_SENT = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|UND_ERR_CONNECT_TIMEOUT|ConnectionRefused)$/

/** The input cannot be sent: an id is empty, or a Date is invalid. No request was sent. */
export class InputError extends TypeError {
  override name = 'InputError'
}

/** The call exceeded its `timeout`. It may still take effect. */
export class TimeoutError extends Error {
  override name = 'TimeoutError'
}

/** A `signal` aborted the call. The `cause` is the signal's reason. The call may still take effect. */
export class AbortError extends Error {
  override name = 'AbortError'
}

const kinds: Record<string, typeof AklpError> = {
  task_blocked: TaskBlockedError,
  task_claimed: TaskClaimedError,
  lease_lost: LeaseLostError,
  dependency_cycle: DependencyCycleError,
  400: ValidationError,
  401: UnauthorizedError,
  403: UnauthorizedError,
  404: NotFoundError,
  409: ConflictError,
  412: ConflictError,
  422: ValidationError,
  429: RateLimitError,
}

/** The error for a response that is not a success or not JSON. */
export function errorOf(response: Response, text: string): AklpError {
  const problem = readProblem(text)
  const Kind =
    kinds[problem?.error_code ?? ''] ??
    kinds[response.status] ??
    (response.status >= 500 ? ServerError : AklpError)
  return new Kind(response, text, problem)
}

function readProblem(text: string): Problem | undefined {
  try {
    const problem = JSON.parse(text)
    return typeof problem?.error_code === 'string' ? problem : undefined
  } catch {
    return undefined
  }
}

/** The message of an error. It is complete, since a language model may see nothing else. */
function explain(status: number, detail: string, problem: Problem | undefined): string {
  const { error_code, title, errors = [], error_count = 0, current } = problem ?? {}
  if (errors.length === 0) {
    const now = current ? `\nCurrent task: ${JSON.stringify(current)}` : ''
    return `${[status, error_code].filter(Boolean).join(' ')}: ${detail}${now}`
  }
  const omitted = error_count - errors.length
  return [
    `${status} ${error_code}: ${title}`,
    ...errors.map(
      ({ in: place, path, message, did_you_mean }) =>
        `- ${place}${path && `.${path}`}: ${message}${did_you_mean ? `. Did you mean ${did_you_mean}?` : ''}`,
    ),
    ...(omitted > 0 ? [`- and ${omitted} more`] : []),
  ].join('\n')
}

/** Converts seconds or a date (RFC 9110, section 10.2.3) to seconds. */
function readRetryAfter(value: string | null): number | undefined {
  if (!value) return undefined
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds)
}
