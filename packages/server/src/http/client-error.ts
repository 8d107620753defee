/** Requests that are not readable HTTP. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { newId } from '../db/ids.js'
import type { ErrorCode } from './catalogue.js'
import { ApiError, toProblem } from './problem.js'

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
