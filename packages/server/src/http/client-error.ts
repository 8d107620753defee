/** Requests that are not valid HTTP. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { newId } from '../db/ids.js'
import type { FixedErrorCode } from './catalogue.js'
import { ApiError, toProblem } from './problem.js'
import { securityHeaders } from './security-headers.js'

/** How many milliseconds a client has to read the response before its connection is closed. */
const LINGER_MS = 1000

/** Responds to what is not valid HTTP. There is no request yet, so it writes to the socket, then closes it. */
export function handleClientError(error: NodeJS.ErrnoException, socket: Socket) {
  if (error.code === 'ECONNRESET' || !socket.writable) return socket.destroy()
  // Nothing was sent yet. A client that opened the connection in advance would take this for the response to its first request.
  if (socket.bytesRead === 0) return socket.destroy()
  const code: FixedErrorCode =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? 'request_timeout'
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? 'headers_too_large'
        : 'bad_request'
  const id = newId()
  const problem = toProblem(new ApiError(code), { path: '', id })
  const body = JSON.stringify(problem)
  // A client that ignores the end of the stream would keep the socket open.
  const linger = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(linger))
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
      'Content-Type: application/problem+json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `X-Request-ID: ${id}`,
      ...Object.entries(securityHeaders).map(([name, value]) => `${name}: ${value}`),
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}
