/** The one error handler: turns whatever was thrown into a problem. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { isUnavailable, toLoggedError } from '../db/failures.js'
import { pathOf } from '../telemetry/logging.js'
import { catalogue, type FixedErrorCode, isRetryable } from './catalogue.js'
import { ApiError, MAX_ERRORS, type Problem, RETRY_AFTER, toProblem, validationError } from './problem.js'
import { explain, InvalidPart } from './validation.js'

/** Errors that Fastify raises before a handler runs, by their code. */
const fastifyErrors: Record<string, FixedErrorCode> = {
  FST_ERR_BAD_URL: 'bad_request',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad_request',
}

function toApiError(error: FastifyError, request: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof InvalidPart) return checkOtherParts(request, error)
  const code = fastifyErrors[error.code]
  if (code !== undefined) return new ApiError(code)
  // A request that was cut off while being read has a status, but no code of Fastify.
  if (error.statusCode !== undefined && error.statusCode < 500) return new ApiError('bad_request')
  return new ApiError(isUnavailable(error) ? 'database_unavailable' : 'internal_error')
}

/** The parts in the order in which Fastify validates them, until one is invalid. */
const order = ['params', 'body', 'querystring', 'headers'] as const

/** Checks the parts that Fastify has not validated after an invalid one, to report every error at once. */
function checkOtherParts(request: FastifyRequest, { invalid, validationContext }: InvalidPart): ApiError {
  const errors: NonNullable<Problem['errors']> = []
  let error_count = 0
  for (const [part, place] of [
    ['params', 'path'],
    ['querystring', 'query'],
    ['headers', 'header'],
    ['body', 'body'],
  ] as const) {
    const isNext = order.indexOf(part) > order.indexOf(validationContext)
    const found = part === validationContext ? invalid : isNext ? check(request, part) : undefined
    if (found === undefined) continue
    const noun = place === 'body' ? 'field' : 'parameter'
    const explained = explain(found, MAX_ERRORS - errors.length, noun)
    errors.push(...explained.errors.map((error) => ({ in: place, ...error })))
    error_count += explained.count
  }
  return validationError(errors, error_count)
}

function check(request: FastifyRequest, part: InvalidPart['validationContext']) {
  const result = request.getValidationFunction(part)?.(
    part === 'querystring' ? request.query : request[part],
  ) as unknown as { error?: InvalidPart } | undefined
  return result?.error?.invalid
}

function send(reply: FastifyReply, error: ApiError, request: FastifyRequest) {
  const problem = toProblem(error, { path: pathOf(request), id: request.id })
  return (
    reply
      .code(problem.status)
      .headers({ ...(isRetryable(error.code) && { 'retry-after': RETRY_AFTER }), ...error.headers })
      .type('application/problem+json')
      // With a serializer of its own the media type stays as it is: it has no charset (RFC 9457, section 6.1).
      .serializer(JSON.stringify)
      .send(problem)
  )
}

/**
 * The one error handler. Logs what is unexpected: an error of our own with its stack, one of the database without SQL and
 * values. A rejected request has only its line as a request: under an overload, more would cost too much.
 */
export function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  const apiError = toApiError(error, request)
  const unexpected = error === apiError ? apiError.cause : error
  if (unexpected !== undefined && catalogue[apiError.code].status >= 500) {
    const { code: error_code } = apiError
    request.log.error({ error_code, error: toLoggedError(unexpected) }, 'request failed')
  }
  return send(reply, apiError, request)
}
