/** The one error handler: turns whatever was thrown into a problem. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { isUnavailable, toLoggedError } from '../db/failures.js'
import { pathOf } from '../telemetry/logging.js'
import { catalogue, type FixedErrorCode } from './catalogue.js'
import {
  ApiError,
  MAX_ERRORS,
  type Problem,
  RETRY_AFTER,
  retryable,
  toProblem,
  validationError,
} from './problem.js'
import { type Check, explain } from './validation.js'

/** Errors that Fastify raises before a handler runs, by their code. */
const fastifyErrors: Record<string, FixedErrorCode> = {
  FST_ERR_BAD_URL: 'bad_request',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad_request',
}

function toApiError(error: FastifyError, request: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error
  if (error.validation) return checkEveryPart(request)
  const code = fastifyErrors[error.code]
  if (code !== undefined) return new ApiError(code)
  // A request that was cut off while being read has a status, but no code of Fastify.
  if (error.statusCode !== undefined && error.statusCode < 500) return new ApiError('bad_request')
  return new ApiError(isUnavailable(error) ? 'database_unavailable' : 'internal_error')
}

/** Fastify stops at the first part of a request that is invalid. This checks all parts, to report every error at once. */
function checkEveryPart(request: FastifyRequest): ApiError {
  const errors: NonNullable<Problem['errors']> = []
  let error_count = 0
  for (const [part, place] of [
    ['params', 'path'],
    ['querystring', 'query'],
    ['headers', 'header'],
    ['body', 'body'],
  ] as const) {
    const check = request.getValidationFunction(part) as Check | undefined
    const value = part === 'querystring' ? request.query : request[part]
    if (check === undefined || check(value)) continue
    const noun = place === 'body' ? 'field' : 'parameter'
    const found = explain(check, MAX_ERRORS - errors.length, noun)
    errors.push(...found.errors.map((error) => ({ in: place, ...error })))
    error_count += found.count
  }
  return validationError(errors, error_count)
}

function send(reply: FastifyReply, error: ApiError, request: FastifyRequest) {
  const problem = toProblem(error, { path: pathOf(request), id: request.id })
  return (
    reply
      .code(problem.status)
      .headers({ ...(retryable.has(problem.status) && { 'retry-after': RETRY_AFTER }), ...error.headers })
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
