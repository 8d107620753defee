/**
 * Every error that the service answers: its code, its status and its text, in the form of RFC 9457. Callers act
 * on `error_code`, which never changes, and language models on `detail`, which says what to do next. Nothing
 * internal reaches a caller.
 */
import { METHODS, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { type Static, Type } from '@sinclair/typebox'
import type { ErrorObject } from 'ajv'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { driverError, isUnavailable } from '../db/failures.js'
import { newId } from '../db/ids.js'
import { pathOf } from '../telemetry/logging.js'
import { responseHeaders } from './schemas.js'
import { explain, type Mistake } from './validation.js'

/** Most entries of `errors` in one answer. */
const MAX_ERRORS = 20

const catalogue = {
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

/** Statuses after which another try makes sense, and after how many seconds. */
const repeatable = new Set([409, 503])
const RETRY_AFTER = '1'

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

function toProblem(error: ApiError, request: { path: string; id: string }): Problem {
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

/** Errors that Fastify raises before a handler runs, by their code. */
const fastifyErrors: Record<string, ErrorCode> = {
  FST_ERR_BAD_URL: 'bad_request',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad_request',
}

function toApiError(error: FastifyError, request: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error
  if (error.validation) return validationError(request)
  const code = fastifyErrors[error.code]
  if (code !== undefined) return new ApiError(code)
  // A request that was cut off while it was read has no code of Fastify's, but a status.
  if (error.statusCode !== undefined && error.statusCode < 500) return new ApiError('bad_request')
  return new ApiError(isUnavailable(error) ? 'database_unavailable' : 'internal_error')
}

/** Fastify stops at the first part of a request that fails; this checks them all, to tell every mistake at once. */
function validationError(request: FastifyRequest): ApiError {
  const errors: NonNullable<Problem['errors']> = []
  let error_count = 0
  for (const [part, place] of [
    ['params', 'path'],
    ['querystring', 'query'],
    ['headers', 'header'],
    ['body', 'body'],
  ] as const) {
    const check = request.getValidationFunction(part)
    const value = part === 'querystring' ? request.query : request[part]
    if (check === undefined || check(value)) continue
    const { mistakes, count } = explain(check.errors as ErrorObject[], MAX_ERRORS - errors.length)
    errors.push(...mistakes.map((mistake) => ({ in: place, ...mistake })))
    error_count += count
  }
  return mistaken(errors, error_count)
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

function send(reply: FastifyReply, error: ApiError, request: FastifyRequest) {
  const problem = toProblem(error, { path: pathOf(request), id: request.id })
  return (
    reply
      .code(problem.status)
      .headers({ ...(repeatable.has(problem.status) && { 'retry-after': RETRY_AFTER }), ...error.headers })
      .type('application/problem+json')
      // With a serializer of its own the media type stays as it is: it has no charset (RFC 9457, section 6.1).
      .serializer(JSON.stringify)
      .send(problem)
  )
}

/**
 * The one error handler. What went wrong unforeseen is logged, without SQL, values or stack. A refusal is not: it has
 * its line as a request, and under an overload more would cost too much.
 */
export function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  const apiError = toApiError(error, request)
  if (apiError !== error && catalogue[apiError.code][0] >= 500) {
    const { code, message } = driverError(error)
    request.log.error({ error_code: apiError.code, cause: { code, message } }, 'request failed')
  }
  return send(reply, apiError, request)
}

/**
 * Answers 404 for what is no route, before the body is read: whether it is JSON does not matter there.
 * And answers 405 for the other methods of every path that there is (RFC 9110, section 15.5.6).
 */
export function refuseUnknownRoutes(app: FastifyInstance) {
  app.addHook('onRequest', (request, _reply, done) => {
    done(request.is404 ? new ApiError('route_not_found') : undefined)
  })
  app.setNotFoundHandler(() => {
    throw new ApiError('route_not_found')
  })

  for (const method of METHODS) {
    if (!app.supportedMethods.includes(method) && method !== 'CONNECT') app.addHttpMethod(method)
  }
  const methods = new Map<string, string[]>()
  app.addHook('onRoute', ({ url, method }) => {
    methods.set(url, [...(methods.get(url) ?? []), ...[method].flat()])
  })
  /** To be called when all routes are there. */
  return () => {
    for (const [url, allowed] of [...methods]) {
      const names = allowed.sort().join(', ')
      app.route({
        url,
        method: app.supportedMethods.filter((method) => !allowed.includes(method)),
        schema: { hide: true },
        onRequest: (request) => {
          throw new ApiError(
            'method_not_allowed',
            `${request.method} is not possible here. Possible: ${names}.`,
            { allow: names },
          )
        },
        handler: () => {},
      })
    }
  }
}

/** How many milliseconds a peer has to read what is wrong before its connection is cut. */
const LINGER = 1000

/** Answers what is no readable HTTP, where there is no request yet: straight to the socket, and closes it. */
export function handleClientError(error: NodeJS.ErrnoException, socket: Socket) {
  if (error.code === 'ECONNRESET' || !socket.writable) return socket.destroy()
  // Nothing was asked yet. Who opened the connection for later would take an answer for that of its first request.
  if (socket.bytesRead === 0) return socket.destroy()
  const code: ErrorCode =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? 'request_timeout'
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? 'headers_too_large'
        : 'bad_request'
  const id = newId()
  const problem = toProblem(new ApiError(code), { path: '', id })
  const body = JSON.stringify(problem)
  // A peer that takes no notice of the end would keep the socket.
  const linger = setTimeout(() => socket.destroy(), LINGER)
  socket.once('close', () => clearTimeout(linger))
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
      'Content-Type: application/problem+json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `X-Request-ID: ${id}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}
