/**
 * The hostile clients of hostile.ts, as a separate process: 64 connections that send shapes of some kinds at random, read the
 * responses or not, and connect again. Arguments: the base URL, the kinds separated by commas, a seed.
 */
import { connect, type Socket } from 'node:net'

const CONNECTIONS = 64
const MIB = 2 ** 20
const { hostname, port } = new URL(process.argv[2]!)
const kinds = process.argv[3]!.split(',')
let state = Number(process.argv[4])

/** A number from 0 to `below`, the same ones for each seed (mulberry32). */
function random(below: number): number {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) % below
}

const get = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`
const post = (path: string, headers: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${headers}\r\n\r\n${body}`
const withLength = (path: string, body: string) => post(path, `Content-Length: ${body.length}`, body)
const chunked = (body: string) => post('/api/v1/tasks', 'Transfer-Encoding: chunked', body)

const shapes: Record<string, string[]> = {
  pipelining: [
    get('/a').repeat(50_000),
    'GET / HTTP/1.1\n\n'.repeat(50_000),
    ...['/openapi.json', '/docs/json', '/metrics', '/livez', '/api/v1/tasks?limit=100'].map((path) =>
      get(path).repeat(5000),
    ),
  ],
  bodies: [
    chunked('1\r\n \r\n'.repeat(MIB)),
    chunked(`${'1\r\n \r\n'.repeat(30_000)}0\r\n\r\n`).repeat(8),
    withLength('/api/v1/batches', `{"tasks":[${'0,'.repeat(500_000)}0]}`),
    withLength('/api/v1/tasks', '['.repeat(MIB)),
    withLength('/api/v1/tasks', `{"title":"${'\\u0000'.repeat(170_000)}"}`),
  ],
  headers: [
    get('/api/v1/tasks', 'a:\r\n'.repeat(3900)).repeat(20),
    get('/api/v1/tasks', `a: ${'b'.repeat(16_000)}\r\n`).repeat(20),
    get('/api/v1/tasks', 'a: b\r\n'.repeat(100_000)),
    get('/api/v1/tasks', 'Host: evil.example\r\n').repeat(1000),
  ],
  pages: [
    get('/api/v1/batches?limit=100').repeat(32),
    get('/api/v1/tasks?limit=100&sort_by=priority').repeat(32),
    get('/docs/static/swagger-ui-bundle.js').repeat(32),
  ],
}
const payloads = kinds.flatMap((kind) => shapes[kind]!).map((text) => Buffer.from(text))

function open() {
  const payload = payloads[random(payloads.length)]!
  const [reads, length, milliseconds] = [random(2) === 0, random(payload.length), random(5000)]
  const socket: Socket = connect(Number(port), hostname)
  const stop = setTimeout(() => socket.destroy(), milliseconds)
  socket
    .on('error', () => {})
    .once('close', () => {
      clearTimeout(stop)
      setTimeout(open, 10)
    })
  // Some break off.
  socket.write(random(4) === 0 ? payload.subarray(0, length) : payload)
  if (reads) socket.resume()
  else socket.pause()
}

for (let nth = 0; nth < CONNECTIONS; nth++) open()
