/**
 * Every error of the service: its code, status and text. A program acts on `error_code`, which never changes. A language
 * model acts on `detail`: what happened, then what to do. Nothing internal is in a text.
 */

type Entry = { status: number; title: string } & (
  | { detail: string }
  /** The detail differs from case to case and is given where the error is thrown; the OpenAPI document shows this one. */
  | { example: string }
)

export const catalogue = {
  bad_request: {
    status: 400,
    title: 'The request is malformed',
    detail:
      'The HTTP syntax of the request or the percent-encoding of its path is malformed. Correct it before you send the request again.',
  },
  invalid_json: {
    status: 400,
    title: 'The body is not valid JSON',
    example:
      'The body is not valid JSON: Unexpected end of JSON input. Correct the JSON and send the request again.',
  },
  empty_body: {
    status: 400,
    title: 'The body is empty',
    detail:
      'This operation requires a JSON body, but the request has none. Send a JSON object with the header `Content-Type: application/json`.',
  },
  unauthorized: {
    status: 401,
    title: 'A key or token is required',
    detail:
      'The request has no key or token. Send one in the `Authorization` header, as `Bearer <key or token>`.',
  },
  forbidden: {
    status: 403,
    title: 'The key or token lacks the required scope',
    example:
      'This operation requires the scope `tasks:write`, which the key or token does not have. Use one that has it.',
  },
  task_not_found: {
    status: 404,
    title: 'Task not found',
    detail: 'No task has this id. List the tasks to find the ids that exist.',
  },
  batch_not_found: {
    status: 404,
    title: 'Batch not found',
    detail: 'No batch has this id. List the batches to find the ids that exist.',
  },
  events_off: {
    status: 404,
    title: 'Events are not kept',
    detail:
      'This service keeps no events: its operator has set `EVENT_DAYS=0`. List the tasks to see where things stand.',
  },
  route_not_found: {
    status: 404,
    title: 'Route not found',
    detail: 'No route has this path. `/openapi.json` lists all paths.',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    example: 'PATCH is not allowed on this path. Allowed: DELETE, GET, HEAD, PUT.',
  },
  request_timeout: {
    status: 408,
    title: 'The request took too long to arrive',
    detail: 'The request did not arrive within the time limit and was not processed. Send it again.',
  },
  idempotency_in_progress: {
    status: 409,
    title: 'A request with this idempotency key is in progress',
    detail:
      'An earlier request with this `Idempotency-Key` has not finished yet. Retry the same request after `Retry-After` seconds to get the response of the earlier one.',
  },
  task_blocked: {
    status: 409,
    title: 'The task is blocked',
    example:
      '`Pod 로그 확인하기` waits for 1 task that is not completed: `nginx Pod 생성하기`. This request had no effect. Complete the tasks in `open_blockers` first, or remove them from `blocked_by`.',
  },
  task_claimed: {
    status: 409,
    title: 'The task is in progress',
    example:
      'Worker `agent-2` holds this task until 2025-12-06T10:15:00.000Z. Work on another task: claim one without naming it, at POST /api/v1/tasks/claim.',
  },
  task_completed: {
    status: 409,
    title: 'The task is completed',
    detail:
      'The task is completed, so there is nothing to claim. To work on it again, set its `status` to `pending` first.',
  },
  lease_lost: {
    status: 409,
    title: 'The lease is lost',
    detail:
      'This token does not hold the task any more, and this request had no effect. Stop working on this task. `current` shows who has it now. Claim another task.',
  },
  events_expired: {
    status: 410,
    title: 'Events after this one are gone',
    detail:
      'Events after `after` were deleted because of their age, so some would be missing. Read the tasks as they are now, then follow the events without `after`.',
  },
  task_changed: {
    status: 412,
    title: 'The task has changed',
    detail:
      'The task has changed since you read it, and this request had no effect. Read `current`. If your change still makes sense, send it again with the `updated_at` of `current`, in double quotes, as `If-Match`.',
  },
  body_too_large: {
    status: 413,
    title: 'The body is too large',
    detail: 'The body is larger than 1 MiB. Split it into several requests.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'The body is not sent as JSON',
    detail:
      'The service accepts only JSON in UTF-8. Send the body with the header `Content-Type: application/json`.',
  },
  expectation_failed: {
    status: 417,
    title: 'The expectation is not supported',
    detail:
      'The service supports only `100-continue` in the header `Expect`. Send the request again without this header.',
  },
  origin_not_allowed: {
    status: 403,
    title: 'The origin is not allowed',
    detail:
      'Web pages of this origin cannot use `/mcp` (DNS rebinding). To allow them, add the origin to `CORS_ORIGINS`. Programs send no header `Origin`.',
  },
  host_not_allowed: {
    status: 421,
    title: 'The host is not allowed',
    detail:
      'A service without authentication accepts only `localhost` or an IP address as the header `Host`, so that web pages cannot reach it (DNS rebinding). Call it as `localhost` or by its IP address. To call it by another name, configure `API_KEYS` or a token issuer, or set `AUTH=off` if everyone on the network is trusted.',
  },
  validation_error: {
    status: 422,
    title: 'The request is invalid',
    example:
      '1 validation error. `status` in the body must be pending, in_progress or completed. Did you mean `completed`?',
  },
  dependency_cycle: {
    status: 422,
    title: 'Tasks would block each other',
    example:
      'These tasks would block each other, so none could begin: b → c → b, where each is blocked by the next. Nothing was changed. Remove one of them from `blocked_by`.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'Idempotency key already used with a different request',
    detail:
      'This `Idempotency-Key` was already used with a different request, so nothing was created. To create something else, use a new key. To retry the earlier request, send it unchanged.',
  },
  answer_too_large: {
    status: 422,
    title: 'The response would be too large',
    example:
      'These batches have more than 8 MiB of JSON. Send `limit=12` or less, or list their tasks with GET /api/v1/tasks?batch_id=<id>.',
  },
  rate_limited: {
    status: 429,
    title: 'Too many requests',
    detail: 'The caller has exceeded its number of requests per minute. Retry after `Retry-After` seconds.',
  },
  headers_too_large: {
    status: 431,
    title: 'The headers are too large',
    detail: 'The headers of the request are too large. Send fewer or shorter headers.',
  },
  internal_error: {
    status: 500,
    title: 'Internal error',
    detail:
      'The service failed, and the request is not the cause. The error has been logged: report the `request_id` to the operator of the service.',
  },
  database_unavailable: {
    status: 503,
    title: 'The database is unavailable',
    detail:
      'The database is unavailable at the moment. Retry the same request after `Retry-After` seconds. Before you retry a create without an `Idempotency-Key`, check whether it took effect.',
  },
  issuer_unavailable: {
    status: 503,
    title: 'The token issuer is unavailable',
    detail:
      'The token cannot be verified, because the keys of its issuer cannot be loaded at the moment. Retry the same request after `Retry-After` seconds.',
  },
  overloaded: {
    status: 503,
    title: 'The service is overloaded',
    detail:
      'The service is overloaded and rejected this request before processing it. Retry after `Retry-After` seconds.',
  },
  shutting_down: {
    status: 503,
    title: 'The service is shutting down',
    detail:
      'This instance of the service is shutting down. Retry after `Retry-After` seconds to reach another instance.',
  },
  timeout: {
    status: 503,
    title: 'The request timed out',
    detail:
      'The request did not finish within the time limit and may still take effect. Check whether it did, then retry after `Retry-After` seconds if it is still needed.',
  },
} as const satisfies Record<string, Entry>

/** The codes after which the same request can succeed, and so have the header `Retry-After`. */
export const isRetryable = (code: ErrorCode) =>
  catalogue[code].status === 503 || code === 'idempotency_in_progress'

/** What went wrong, for a program. A code never changes its meaning. */
export type ErrorCode = keyof typeof catalogue

/** A code with a detail of its own. Any other needs one where it is thrown: a default text must never be wrong. */
export type FixedErrorCode = {
  [Code in ErrorCode]: (typeof catalogue)[Code] extends { detail: string } ? Code : never
}[ErrorCode]
