/** Errors as callers get them: problem details (RFC 9457). */
import { type Static, Type } from '@sinclair/typebox'
import { catalogue, type ErrorCode } from './catalogue.js'
import { responseHeaders } from './schemas.js'
import type { Mistake } from './validation.js'

/** Most entries of `errors` in one answer. */
export const MAX_ERRORS = 20

/** Statuses after which another try makes sense, and after how many seconds. */
export const repeatable = new Set([409, 503])
export const RETRY_AFTER = '1'

const MistakeSchema = Type.Object({
  in: Type.Unsafe<'body' | 'query' | 'path' | 'header'>({
    type: 'string',
    enum: ['body', 'query', 'path', 'header'],
    description: 'The part of the request.',
    examples: ['body'],
  }),
  path: Type.String({
    description: 'The field in it, as `title` or `tasks[3].status`; empty for the whole.',
    examples: ['status'],
  }),
  message: Type.String({
    description: 'What is wrong with it.',
    examples: ['must be pending, in_progress or completed'],
  }),
  allowed: Type.Optional(
    Type.Unsafe<(string | null)[]>({
      type: 'array',
      items: { type: ['string', 'null'] },
      description: 'The values, or the names of fields or parameters, that exist there.',
      examples: [['pending', 'in_progress', 'completed']],
    }),
  ),
  did_you_mean: Type.Optional(
    Type.String({ description: 'The allowed one that was probably meant.', examples: ['completed'] }),
  ),
})

export const Problem = Type.Object(
  {
    type: Type.String({
      format: 'uri',
      description: 'The kind of problem, as a URI made from `error_code`.',
      examples: ['urn:aklp:problem:validation_error'],
    }),
    title: Type.String({
      description: 'The kind of problem in a few words; the same for every one of the kind.',
      examples: ['The request breaks the schema'],
    }),
    status: Type.Integer({ description: 'The HTTP status.', examples: [422] }),
    detail: Type.String({
      description: 'What went wrong this time and what to do about it.',
      examples: [catalogue.validation_error[2]],
    }),
    instance: Type.String({ description: 'The path of the request.', examples: ['/api/v1/tasks'] }),
    error_code: Type.Unsafe<ErrorCode>({
      type: 'string',
      enum: Object.keys(catalogue),
      description: 'The kind of problem, for programs. A code never changes its meaning.',
      examples: ['validation_error'],
    }),
    request_id: Type.String({
      description: 'The request’s id, which names it in the logs; also in the header X-Request-ID.',
      examples: ['019b0f3e-7c00-7000-8000-00000000000f'],
    }),
    errors: Type.Optional(
      Type.Array(MistakeSchema, {
        description: `Every mistake in the request, ${MAX_ERRORS} at most. Only with \`validation_error\`.`,
      }),
    ),
    current: Type.Optional(
      Type.Ref('Task', { description: 'The task as it is now. Only with `task_changed`.' }),
    ),
    error_count: Type.Optional(
      Type.Integer({
        description:
          'How many mistakes there are, also those that `errors` leaves out. Only with `validation_error`.',
        examples: [1],
      }),
    ),
  },
  { $id: 'Problem', description: 'Why a request failed, in the form of RFC 9457.' },
)
export type Problem = Static<typeof Problem>

/** A failure with a text for the caller. */
export class ApiError extends Error {
  constructor(
    readonly code: ErrorCode,
    detail: string = catalogue[code][2],
    readonly headers: Record<string, string> = {},
    readonly extras: Pick<Problem, 'errors' | 'error_count' | 'current'> = {},
  ) {
    super(detail)
  }
}

/** The example of a code: its text, and for a validation error an entry that fits. */
function exampleOf(code: ErrorCode): Problem {
  const problem = toProblem(new ApiError(code), {
    path: '/api/v1/tasks',
    id: Problem.properties.request_id.examples[0],
  })
  if (code !== 'validation_error') return problem
  const mistake = Object.fromEntries(
    Object.entries(MistakeSchema.properties).map(([name, { examples }]) => [name, examples[0]]),
  )
  return { ...problem, errors: [mistake as Static<typeof MistakeSchema>], error_count: 1 }
}

/** Documents error answers, for a route's `response`: one entry a status, with an example for each code. */
export function problems(...codes: ErrorCode[]) {
  const responses: Record<number, { description: string; headers: object; content: object }> = {}
  for (const status of new Set(codes.map((code) => catalogue[code][0]))) {
    const ofStatus = codes.filter((code) => catalogue[code][0] === status)
    responses[status] = {
      description: ofStatus.map((code) => `\`${code}\`: ${catalogue[code][1]}.`).join(' '),
      headers: { ...responseHeaders, ...headersOf[status] },
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
    description: `After how many seconds another try makes sense, as \`${RETRY_AFTER}\`.`,
  },
}
const challengeHeader = {
  'WWW-Authenticate': {
    type: 'string',
    description: 'The challenge of RFC 6750: `error` says what is wrong, `scope` what the operation needs.',
  },
}
/** The headers of errors, by status. */
const headersOf: Record<number, object> = {
  401: challengeHeader,
  403: challengeHeader,
  409: retryAfterHeader,
  429: retryAfterHeader,
  503: retryAfterHeader,
}

/** The errors that every operation can answer, those of one that takes a body, and of one that creates. */
export const commonProblems = [
  'bad_request',
  'unauthorized',
  'forbidden',
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
  const [status, title] = catalogue[error.code]
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

/** Tells the mistakes of a request. */
export function mistaken(errors: NonNullable<Problem['errors']>, error_count = errors.length): ApiError {
  const told = errors.slice(0, 5).map(sentence)
  const rest = error_count - told.length
  const detail = [
    error_count === 1 ? '1 mistake.' : `${error_count} mistakes.`,
    ...told,
    ...(rest > 0 ? [`${rest} more: see errors.`] : []),
  ].join(' ')
  return new ApiError('validation_error', detail, {}, { errors, error_count })
}

function sentence({ in: place, path, message, did_you_mean }: Mistake & { in: string }): string {
  const subject =
    place === 'body'
      ? path
        ? `${path} in the body`
        : 'The body'
      : place === 'header'
        ? `The header ${path}`
        : `The ${place} parameter ${path || '""'}`
  return `${subject} ${message}${did_you_mean === undefined ? '.' : `; did you mean ${did_you_mean}?`}`
}
