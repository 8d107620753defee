/** Request bodies: only JSON in UTF-8. */
import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parse as parseJson } from 'secure-json-parse'
import { ApiError } from './problem.js'

/** Accepts only JSON in UTF-8. A missing body is an error only for operations that require one. */
export function parseOnlyJson(app: FastifyInstance) {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    /^application\/(?:[\w.+-]+\+)?json\b/,
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, body: Buffer) => {
      if (body.length === 0) return undefined
      if (!isUtf8(body))
        throw new ApiError(
          'invalid_json',
          'The body is not UTF-8. Encode it as UTF-8 and send the request again.',
        )
      try {
        // A byte order mark is ignored (RFC 8259, section 8.1), and __proto__ is rejected.
        return parseJson(body.toString().replace(/^\uFEFF/, ''))
      } catch (error) {
        const { message } = error as Error
        throw new ApiError(
          'invalid_json',
          `The body is not valid JSON: ${message}. Correct the JSON and send the request again.`,
        )
      }
    },
  )
  app.addContentTypeParser('*', (request, _body, done) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
    const empty = encoding === undefined && (length === undefined || length === '0')
    done(empty ? null : new ApiError('unsupported_media_type'), undefined)
  })
  app.addHook('preValidation', (request, _reply, done) => {
    const missing = request.body === undefined && request.routeOptions.schema?.body
    done(missing ? new ApiError('empty_body') : undefined)
  })
}
