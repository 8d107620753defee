/** Error responses: problem details (RFC 9457). */
import { type Static, Type } from '@sinclair/typebox'
import { catalogue, type ErrorCode, type FixedErrorCode, isRetryable } from './catalogue.js'
import { responseHeaders } from './schemas.js'
import { type FieldError, isUnknown } from './validation.js'

/** Most entries of `errors` in one response. */
export const MAX_ERRORS = 20

/** After how many seconds a retry makes sense. */
export const RETRY_AFTER = '1'

const FieldErrorSchema = Type.Object({
  in: Type.Unsafe<'body' | 'query' | 'path' | 'header'>({
    type: 'string',
    enum: ['body', 'query', 'path', 'header'],
    description: 'The part of the request that is invalid.',
    examples: ['body'],
  }),
  path: Type.String({
    description:
      'The field or parameter in that part, such as `title` or `tasks[3].status`; empty for the whole part.',
    examples: ['status'],
  }),
  message: Type.String({
    description: 'The rule that it breaks.',
    examples: ['must be pending, in_progress or completed'],
  }),
  allowed: Type.Optional(
    Type.Unsafe<(string | null)[]>({
      type: 'array',
      items: { type: ['string', 'null'] },
      description: 'The allowed values, or for an unknown name the allowed names of fields or parameters.',
      examples: [['pending', 'in_progress', 'completed']],
    }),
  ),
  did_you_mean: Type.Optional(
    Type.String({
      description:
        'The allowed value or name that was probably meant. The service never applies it by itself.',
      examples: ['completed'],
    }),
  ),
})

const OpenBlocker = Type.Object({
  id: Type.String({ description: 'The id of the task.', examples: ['019b0f3e-7c00-7000-8000-000000000002'] }),
  key: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    description: 'Its name in its batch, or null.',
    examples: ['create-pod'],
  }),
  title: Type.String({ description: 'Its title.', examples: ['nginx Pod 생성하기'] }),
  status: Type.String({ description: 'Its status.', examples: ['pending'] }),
})
export type OpenBlocker = Static<typeof OpenBlocker>

export const Problem = Type.Object(
  {
    type: Type.String({
      format: 'uri',
      description: 'A URI for the kind of problem, made from `error_code`.',
      examples: ['urn:aklp:problem:validation_error'],
    }),
    title: Type.String({
      description:
        'A short summary of the kind of problem. It is the same for every problem with this `error_code`.',
      examples: [catalogue.validation_error.title],
    }),
    status: Type.Integer({ description: 'The HTTP status code.', examples: [422] }),
    detail: Type.String({
      description: 'What went wrong with this request and what to do about it.',
      examples: [catalogue.validation_error.example],
    }),
    instance: Type.String({ description: 'The path of the request.', examples: ['/api/v1/tasks'] }),
    error_code: Type.Unsafe<ErrorCode>({
      type: 'string',
      enum: Object.keys(catalogue),
      description: 'The kind of problem, for use in programs. A code never changes its meaning.',
      examples: ['validation_error'],
    }),
    request_id: Type.String({
      description: 'The id of the request in the logs; also in the `X-Request-ID` header.',
      examples: ['019b0f3e-7c00-7000-8000-00000000000f'],
    }),
    errors: Type.Optional(
      Type.Array(FieldErrorSchema, {
        description: `All validation errors of the request, up to ${MAX_ERRORS}. Only with \`validation_error\`.`,
      }),
    ),
    current: Type.Optional(
      Type.Ref('Task', {
        description: 'The current task. Only with `task_changed`, `task_claimed` and `lease_lost`.',
      }),
    ),
    open_blockers: Type.Optional(
      Type.Array(OpenBlocker, {
        description: 'The tasks that must be completed first. Only with `task_blocked`.',
      }),
    ),
    error_count: Type.Optional(
      Type.Integer({
        description:
          'The number of validation errors, including those left out of `errors`. Of a list that is too long, the first 501 items are checked. Only with `validation_error`.',
        examples: [1],
      }),
    ),
  },
  { $id: 'Problem', description: 'Why a request failed: problem details as defined by RFC 9457.' },
)
export type Problem = Static<typeof Problem>

type Extras = Pick<Problem, 'errors' | 'error_count' | 'current' | 'open_blockers'>

/** An error that becomes the response. A code without a fixed detail requires one. */
export class ApiError extends Error {
  constructor(code: FixedErrorCode, detail?: string, headers?: Record<string, string>, extras?: Extras)
  constructor(code: ErrorCode, detail: string, headers?: Record<string, string>, extras?: Extras)
  constructor(
    readonly code: ErrorCode,
    detail?: string,
    readonly headers: Record<string, string> = {},
    readonly extras: Extras = {},
  ) {
    super(detail ?? textOf(code))
  }
}

function textOf(code: ErrorCode): string {
  const entry = catalogue[code]
  return 'detail' in entry ? entry.detail : entry.example
}

/** The example of a code in the OpenAPI document; that of a validation error has a matching entry in `errors`. */
function exampleOf(code: ErrorCode): Problem {
  const problem = toProblem(new ApiError(code, textOf(code)), {
    path: '/api/v1/tasks',
    id: Problem.properties.request_id.examples[0],
  })
  if (code !== 'validation_error') return problem
  const error = Object.fromEntries(
    Object.entries(FieldErrorSchema.properties).map(([name, { examples }]) => [name, examples[0]]),
  )
  return { ...problem, errors: [error as Static<typeof FieldErrorSchema>], error_count: 1 }
}

/** Documents error responses, for a route's `response`: one entry per status, with an example for each code. */
export function problems(...codes: ErrorCode[]) {
  const responses: Record<number, { description: string; headers: object; content: object }> = {}
  for (const status of new Set(codes.map((code) => catalogue[code].status))) {
    const ofStatus = codes.filter((code) => catalogue[code].status === status)
    responses[status] = {
      description: ofStatus.map((code) => `\`${code}\`: ${catalogue[code].title}.`).join(' '),
      headers: {
        ...responseHeaders,
        ...headersOf[status],
        ...(ofStatus.some(isRetryable) && retryAfterHeader),
      },
      content: {
        'application/problem+json': {
          schema: Type.Ref(Problem.$id!),
          examples: Object.fromEntries(ofStatus.map((code) => [code, { value: exampleOf(code) }])),
        },
      },
    }
  }
  return responses
}

const retryAfterHeader = {
  'Retry-After': {
    type: 'string',
    description: `The number of seconds to wait before a retry, such as \`${RETRY_AFTER}\`.`,
  },
}
const challengeHeader = {
  'WWW-Authenticate': {
    type: 'string',
    description:
      'The challenge of RFC 6750: `error` is the reason, `scope` is the scope that the operation requires.',
  },
}
/** The headers of errors, by status. Errors that can be retried have another one. */
const headersOf: Record<number, object> = {
  401: challengeHeader,
  403: challengeHeader,
  429: retryAfterHeader,
}

/** The errors of every operation, of operations with a body, and of operations that create. */
export const commonProblems = [
  'bad_request',
  'unauthorized',
  'forbidden',
  'expectation_failed',
  'host_not_allowed',
  'validation_error',
  'rate_limited',
  'internal_error',
  'database_unavailable',
  'issuer_unavailable',
  'overloaded',
  'timeout',
] as const
export const bodyProblems = [
  'invalid_json',
  'empty_body',
  'request_timeout',
  'body_too_large',
  'unsupported_media_type',
] as const
export const createProblems = [...bodyProblems, 'idempotency_in_progress', 'idempotency_key_reused'] as const

export function toProblem(error: ApiError, request: { path: string; id: string }): Problem {
  const { status, title } = catalogue[error.code]
  return {
    type: `urn:aklp:problem:${error.code}`,
    title,
    status,
    detail: error.message,
    instance: request.path,
    error_code: error.code,
    request_id: request.id,
    ...error.extras,
  }
}

/** Most validation errors that `detail` puts into words. */
const MAX_IN_DETAIL = 5

/** A request that breaks its schema. `error_count` includes the errors left out of `errors`. */
export function validationError(
  errors: NonNullable<Problem['errors']>,
  error_count = errors.length,
): ApiError {
  const reported = errors.slice(0, MAX_IN_DETAIL)
  const rest = error_count - reported.length
  const detail = [
    `${error_count} validation ${error_count === 1 ? 'error' : 'errors'}.`,
    ...reported.map(sentence),
    ...(rest > 0 ? [`${rest} more: see \`errors\`.`] : []),
  ].join(' ')
  return new ApiError('validation_error', detail, {}, { errors, error_count })
}

function sentence(error: FieldError & { in: string }): string {
  const { message, allowed = [], did_you_mean } = error
  const text = isUnknown(error)
    ? `Unknown ${unknownName(error)}. ${allowed.length > 0 ? `Allowed: ${allowed.join(', ')}` : 'None are allowed'}.`
    : `${subject(error)} ${message}.`
  return did_you_mean === undefined ? text : `${text} Did you mean \`${did_you_mean}\`?`
}

const unknownName = ({ in: place, path }: FieldError & { in: string }) =>
  place === 'body' ? `field \`${path}\` in the body` : `${place} parameter \`${path}\``

function subject({ in: place, path }: FieldError & { in: string }): string {
  if (place === 'body') return path ? `\`${path}\` in the body` : 'The body'
  if (place === 'header') return `The header \`${titleCase(path)}\``
  return `The ${place} parameter \`${path}\``
}

/** `If-Match` for `if-match`: Node reports header names in lower case. */
const titleCase = (header: string) => header.replace(/\b[a-z]/g, (letter) => letter.toUpperCase())
