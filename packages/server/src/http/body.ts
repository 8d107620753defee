/** Request bodies: only JSON in UTF-8. */
import { isUtf8 } from 'node:buffer'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parse as parseJson } from 'secure-json-parse'
import { lossOf } from './message.js'
import { ApiError, validationError } from './problem.js'

/** Bodies of more bytes are counted, and take turns. */
const LARGE = 64 * 1024

/**
 * Most items and fields of a body, all levels together. JSON.parse takes 100 ms for a body of 1 MiB that is nothing else. The
 * largest valid batch has a few thousand.
 */
const MAX_VALUES = 30_000

/** Waits for three turns of the event loop: in them, a new connection is accepted, its request is read, and it is responded. */
async function afterOthers() {
  for (let turn = 0; turn < 3; turn++) await nextTurn()
}

/** Accepts only JSON in UTF-8. A missing body is an error only for operations that require one. */
export function parseOnlyJson(app: FastifyInstance) {
  // Large bodies that arrive together are parsed and validated one after the other, and other requests are served in between.
  let previous = Promise.resolve()
  app.removeAllContentTypeParsers()
  app.addHook('preParsing', (request, _reply, payload, done) => done(lossOf(request.raw) ?? null, payload))
  app.addContentTypeParser(
    /^application\/(?:[\w.+-]+\+)?json\b/,
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => {
      if (body.length === 0) return undefined
      assertNotEncoded(request)
      if (body.length > LARGE) {
        if (hasMoreValues(body, MAX_VALUES)) throw validationError([TOO_MANY_VALUES])
        previous = previous.then(afterOthers)
        await previous
      }
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

const TOO_MANY_VALUES = {
  in: 'body' as const,
  path: '',
  message: `must have at most ${MAX_VALUES} items and fields in total. Split it into several requests`,
}

/** Whether a JSON text has more than `most` items and fields, without parsing it: a few milliseconds for 1 MiB. */
function hasMoreValues(json: Buffer, most: number): boolean {
  let values = 0
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]
    if (byte === QUOTE) {
      while (++at < json.length && json[at] !== QUOTE) if (json[at] === BACKSLASH) at++
    } else if (byte === COMMA || byte === BRACKET || byte === BRACE) {
      if (++values > most) return true
    }
  }
  return false
}
const [QUOTE, BACKSLASH, COMMA, BRACKET, BRACE] = Buffer.from('"\\,[{')

/** Throws for a body that is compressed: it cannot be read, and its media type is that of the uncompressed one. */
function assertNotEncoded({ headers }: FastifyRequest) {
  const { 'content-encoding': content, 'transfer-encoding': transfer } = headers
  if (content !== undefined && content.trim().toLowerCase() !== 'identity') throw encoded('Content-Encoding')
  if (transfer !== undefined && transfer.trim().toLowerCase() !== 'chunked')
    throw encoded('Transfer-Encoding')
}

const encoded = (header: string) =>
  new ApiError(
    'unsupported_media_type',
    `The header \`${header}\` states that the body is compressed, which the service does not accept. Send the body uncompressed and without this header.`,
    { 'accept-encoding': 'identity' },
  )
