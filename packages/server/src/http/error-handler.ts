/** The one error handler: makes a problem of whatever was thrown. */
import type { ErrorObject } from 'ajv'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { driverError, isUnavailable } from '../db/failures.js'
import { pathOf } from '../telemetry/logging.js'
import { catalogue, type ErrorCode } from './catalogue.js'
import {
  ApiError,
  MAX_ERRORS,
  mistaken,
  type Problem,
  RETRY_AFTER,
  repeatable,
  toProblem,
} from './problem.js'
import { explain } from './validation.js'

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
