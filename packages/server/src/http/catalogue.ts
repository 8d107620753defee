/**
 * Every error of the service: its code, status and text. Callers act on `error_code`, which never changes, and language
 * models on `detail`, which says what to do next. Nothing internal reaches a caller.
 */

export const catalogue = {
  bad_request: [
    400,
    'The request is malformed',
    'The request could not be read: its HTTP or the percent-encoding of its path is malformed.',
  ],
  invalid_json: [400, 'The body is not JSON', 'The body is not valid JSON: Unexpected end of JSON input.'],
  empty_body: [400, 'The body is empty', 'This operation takes a JSON body, and none was sent.'],
  unauthorized: [
    401,
    'A key or token is needed',
    'Send the key or token of the caller in the header Authorization, as "Bearer", a space and the key or token.',
  ],
  forbidden: [
    403,
    'The key or token does not allow it',
    'This operation needs the scope tasks:write, which the key or token does not have. Use one that has it.',
  ],
  task_not_found: [
    404,
    'No such task',
    'There is no task with this id. List the tasks to see which there are.',
  ],
  batch_not_found: [
    404,
    'No such batch',
    'There is no batch with this id. List the batches to see which there are.',
  ],
  route_not_found: [
    404,
    'No such route',
    'Nothing is at this path. /openapi.json lists the paths there are.',
  ],
  method_not_allowed: [
    405,
    'The path has no such method',
    'PATCH is not possible here. Possible: DELETE, GET, HEAD, PUT.',
  ],
  idempotency_in_progress: [
    409,
    'A request with this key is in progress',
    'An earlier request with this Idempotency-Key has not finished. Send the same request again after Retry-After seconds: it will get the answer of the earlier one.',
  ],
  task_changed: [
    412,
    'The task was changed',
    'Somebody changed the task since you read it; nothing was done. Look at current, and if the change still makes sense send it again with If-Match of its updated_at.',
  ],
  request_timeout: [
    408,
    'The request took too long to arrive',
    'The request did not arrive in time. Send it again.',
  ],
  body_too_large: [
    413,
    'The body is too large',
    'The body may have at most 1 MiB. Split it into several calls.',
  ],
  unsupported_media_type: [
    415,
    'The body is not sent as JSON',
    'Send the body as JSON in UTF-8, with the header Content-Type: application/json.',
  ],
  validation_error: [
    422,
    'The request breaks the schema',
    '1 mistake. status in the body must be pending, in_progress or completed; did you mean completed?',
  ],
  rate_limited: [
    429,
    'Too many requests',
    'More requests than this caller may send in a minute. Send it again after Retry-After seconds.',
  ],
  idempotency_key_reused: [
    422,
    'The key belongs to another request',
    'This Idempotency-Key was used for another request; nothing was created. To create something else, use a new key; to repeat the earlier request, send it unchanged.',
  ],
  headers_too_large: [431, 'The headers are too large', 'The headers of the request are too large.'],
  internal_error: [
    500,
    'The service failed',
    'An error of the service, not of the request. It has been logged.',
  ],
  database_unavailable: [
    503,
    'The database is unavailable',
    'The database cannot be reached for the moment. Send the same request again after Retry-After seconds; before repeating a create, look whether it took effect.',
  ],
  issuer_unavailable: [
    503,
    'The issuer of the token is unavailable',
    'The token cannot be checked, since the keys of its issuer cannot be read for the moment. Send the same request again after Retry-After seconds.',
  ],
  overloaded: [
    503,
    'The service is overloaded',
    'More requests came than the service can answer, and this one was refused: nothing of it took effect. Send it again after Retry-After seconds.',
  ],
  shutting_down: [
    503,
    'The service is about to stop',
    'The service is about to stop. Send the request again after Retry-After seconds: another instance answers it.',
  ],
  timeout: [
    503,
    'The request was not finished in time',
    'The request was not finished in time; it may still take effect. Look before sending it again, after Retry-After seconds.',
  ],
} as const satisfies Record<string, readonly [status: number, title: string, detail: string]>

/** What went wrong, for a program. A code never changes its meaning. */
export type ErrorCode = keyof typeof catalogue
