/** Requests whose body arrives in tiny pieces. */
import { IncomingMessage } from 'node:http'
import { ApiError } from './problem.js'
import { spend } from './read-budget.js'

/** The most pieces of a body. Each takes a microsecond, also if it is a single byte. */
const MOST_PIECES = 32_768
const TINY = `The body arrives in more than ${MOST_PIECES} pieces. Send it in larger chunks or with the header \`Content-Length\`.`

/** Pieces of fewer bytes are joined to blocks, also in bytes. */
const SMALL = 1024
const BLOCK = 16 * 1024

const PIECES = Symbol('pieces')

interface Pieces {
  count: number
  /** The small pieces since the last block, and their bytes. */
  block: Buffer | undefined
  used: number
}

/**
 * Joins small pieces of a body before they enter the stream, and rejects a body that has too many. Streams and Fastify keep each
 * piece until the end: a body of 1 MiB in chunks of one byte would take 200 MB and two seconds.
 */
export class BoundedMessage extends IncomingMessage {
  declare [PIECES]?: Pieces

  override push(piece: Buffer | null): boolean {
    const pieces = this[PIECES]
    if (piece === null) {
      if (pieces !== undefined) flush(this, pieces)
      return super.push(null)
    }
    if (pieces === undefined) {
      // Nearly every body is one piece.
      this[PIECES] = { count: 1, block: undefined, used: 0 }
      return super.push(piece)
    }
    spend(this.socket, ++pieces.count)
    if (pieces.count > MOST_PIECES) return reject(this, pieces)
    if (piece.length >= SMALL || pieces.used + piece.length > BLOCK) flush(this, pieces)
    if (piece.length >= SMALL) return super.push(piece)
    pieces.block ??= Buffer.allocUnsafeSlow(BLOCK)
    piece.copy(pieces.block, pieces.used)
    pieces.used += piece.length
    return true
  }
}

// Functions, since private methods would cost every request something.

function flush(message: BoundedMessage, pieces: Pieces) {
  if (pieces.block !== undefined)
    IncomingMessage.prototype.push.call(message, pieces.block.subarray(0, pieces.used))
  pieces.block = undefined
  pieces.used = 0
}

function reject(message: BoundedMessage, pieces: Pieces): boolean {
  if (pieces.count === MOST_PIECES + 1) {
    message.socket.pause()
    // If nobody reads the body, nobody listens.
    if (message.listenerCount('error') > 0) message.emit('error', tooManyPieces())
  }
  return false
}

const tooManyPieces = () => new ApiError('bad_request', TINY, { connection: 'close' })

/** Why a body cannot be read any more. */
export const lossOf = (message: IncomingMessage & { [PIECES]?: Pieces }): ApiError | undefined =>
  message[PIECES] !== undefined && message[PIECES].count > MOST_PIECES ? tooManyPieces() : undefined
