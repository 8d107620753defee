/** Request bodies: JSON in UTF-8 and nothing else. */
import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parse as parseJson } from 'secure-json-parse'
import { ApiError } from './problem.js'

/** Reads JSON in UTF-8 and nothing else. A body that is not there is no error until an operation needs one. */
export function parseOnlyJson(app: FastifyInstance) {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    /^application\/(?:[\w.+-]+\+)?json\b/,
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, body: Buffer) => {
      if (body.length === 0) return undefined
      if (!isUtf8(body)) throw new ApiError('invalid_json', 'The body is not UTF-8.')
      try {
        // A byte order mark is ignored (RFC 8259, section 8.1), and __proto__ is refused.
        return parseJson(body.toString().replace(/^\uFEFF/, ''))
      } catch (error) {
        throw new ApiError('invalid_json', `The body is not valid JSON: ${(error as Error).message}.`)
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
