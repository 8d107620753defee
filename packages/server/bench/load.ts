/**
 * The load generator: HTTP/1.1 over keep-alive connections, one request at a time on each. It shares the machine with the
 * service, so it uses as little CPU as possible: plain sockets, requests encoded in advance, response bodies not parsed.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createHistogram } from 'node:perf_hooks'
import type { Request } from './calls.js'

export interface Load {
  base: string
  /** Sent one after the other, repeatedly. */
  requests: Request[]
  connections: number
  seconds: number
  /** Requests per second. Without it, every connection sends the next request once it has the response. */
  rate?: number
}

export interface Measurement {
  perSecond: number
  /** Milliseconds. */
  p50: number
  p99: number
  responses: number
  /** Responses with a status of 300 or above. */
  failures: number
  /** Responses by status. `, Retry-After` is appended to the status when the response has that header. */
  statuses: Map<string, number>
  /** In milliseconds, without the failures. */
  p99OfSuccesses: number
}

export async function load({ base, requests, connections, seconds, rate }: Load): Promise<Measurement> {
  const url = new URL(base)
  const bytes = requests.map((request) => toBytes(request, url.host))
  let sent = 0
  let failures = 0
  const statuses = new Map<string, number>()
  const range = { lowest: 1, highest: 600e6, figures: 3 }
  const latencies = createHistogram(range)
  const latenciesOfSuccesses = createHistogram(range)
  const pool = await Promise.all(Array.from({ length: connections }, () => Connection.open(url)))

  /** Sends the next request. Its latency is measured from `since`, the time when it was due. */
  const one = async (connection: Connection, since: number) => {
    const { status, retryAfter } = await connection.send(bytes[sent++ % bytes.length]!)
    const latency = Math.max(1, Math.round(1000 * (performance.now() - since)))
    latencies.record(latency)
    if (status < 300) latenciesOfSuccesses.record(latency)
    else failures++
    const kind = retryAfter ? `${status}, Retry-After` : String(status)
    statuses.set(kind, (statuses.get(kind) ?? 0) + 1)
  }

  const start = performance.now()
  const end = start + 1000 * seconds
  if (rate === undefined) await Promise.all(pool.map(closedLoop))
  else await openLoop(rate)
  const elapsed = performance.now() - start

  for (const connection of pool) connection.close()
  return {
    perSecond: sent / (elapsed / 1000),
    p50: latencies.percentile(50) / 1000,
    p99: latencies.percentile(99) / 1000,
    responses: latencies.count,
    failures,
    statuses,
    p99OfSuccesses: latenciesOfSuccesses.percentile(99) / 1000,
  }

  async function closedLoop(connection: Connection) {
    for (let now = start; now < end; now = performance.now()) await one(connection, now)
  }

  /** Sends at a fixed rate, independent of responses. The latency includes the wait for a free connection. */
  async function openLoop(rate: number) {
    const due: number[] = []
    const idle: (() => void)[] = []
    let over = false
    const serve = async (connection: Connection) => {
      for (;;) {
        const since = due.shift()
        if (since !== undefined) await one(connection, since)
        else if (over) return
        else await new Promise<void>((wake) => idle.push(wake))
      }
    }
    const clock = async () => {
      let issued = 0
      for (let now = start; now < end; now = performance.now()) {
        for (; issued < ((now - start) / 1000) * rate; issued++) {
          due.push(now)
          idle.pop()?.()
        }
        await nextTick()
      }
      over = true
      for (const wake of idle) wake()
    }
    await Promise.all([clock(), ...pool.map(serve)])
  }
}

const nextTick = () => new Promise((resolve) => setTimeout(resolve, 1))

export function toBytes({ method, path, body, headers = {} }: Request, host: string): Buffer {
  const given = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: application/json\r\n${given.join('')}`
  if (body === undefined) return Buffer.from(`${head}\r\n`)
  const json = JSON.stringify(body)
  const length = Buffer.byteLength(json)
  return Buffer.from(`${head}Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${json}`)
}

const HEAD_END = '\r\n\r\n'
const LAST_CHUNK = '0\r\n\r\n'
const RESPONSE_TIMEOUT_MS = 60_000

interface Response {
  status: number
  retryAfter: boolean
  body: Buffer
}

/** One connection, with one request on it at a time. */
export class Connection {
  #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #pending: { resolve: (response: Response) => void; reject: (error: Error) => void } | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (data) => this.#read(data))
    socket.on('error', (error) => this.#pending?.reject(error))
    socket.on('close', () => this.#pending?.reject(new Error('connection closed before the response')))
    socket.setTimeout(RESPONSE_TIMEOUT_MS, () =>
      socket.destroy(new Error(`no response within ${RESPONSE_TIMEOUT_MS} ms`)),
    )
  }

  static async open({ hostname, port }: URL): Promise<Connection> {
    const socket = connect(Number(port) || 80, hostname)
    await once(socket, 'connect')
    return new Connection(socket)
  }

  /** Sends a request and returns its response, once the whole response was received. */
  send(request: Buffer): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('connection closed while idle'))
      this.#pending = { resolve, reject }
      this.#socket.write(request)
    })
  }

  close() {
    this.#pending = undefined
    this.#socket.destroy()
  }

  #read(data: Buffer) {
    const received = this.#received.length === 0 ? data : Buffer.concat([this.#received, data])
    this.#received = received
    const headEnd = received.indexOf(HEAD_END)
    if (headEnd === -1) return
    const head = received.toString('latin1', 0, headEnd)
    const length = /content-length: *(\d+)/i.exec(head)?.[1]
    const complete =
      length === undefined
        ? received.subarray(-LAST_CHUNK.length).toString() === LAST_CHUNK
        : received.length >= headEnd + HEAD_END.length + Number(length)
    if (!complete) return
    this.#received = Buffer.alloc(0)
    this.#pending?.resolve({
      status: Number(head.slice(9, 12)),
      retryAfter: /^retry-after:/im.test(head),
      body: received.subarray(headEnd + HEAD_END.length),
    })
  }
}
