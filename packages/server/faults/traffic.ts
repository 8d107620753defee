/** Clients that keep calling the service whatever happens to it, and record every result. */
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface CallResult {
  /** When the request was sent, as performance.now(). */
  at: number
  ms: number
  /** 0 without a response. */
  status: number
  retryAfter: boolean
  /** The `error_code` of the response, or the code of the network error. */
  code: string | undefined
  body: { id: string; status: string; tasks?: unknown[] } | undefined
}

export class Client {
  readonly results: CallResult[] = []
  readonly #agent: Agent

  constructor(
    readonly base: string,
    connections = 100,
  ) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
  }

  call(method: string, path: string, body?: object, headers: object = {}): Promise<CallResult> {
    const at = performance.now()
    return new Promise((resolve) => {
      const record = (outcome: Pick<CallResult, 'status' | 'retryAfter' | 'code' | 'body'>) => {
        const result = { at, ms: performance.now() - at, ...outcome }
        this.results.push({ ...result, body: undefined })
        resolve(result)
      }
      const failed = ({ code }: NodeJS.ErrnoException) =>
        record({ status: 0, retryAfter: false, code, body: undefined })
      const json = body && JSON.stringify(body)
      const sent = request(
        this.base + path,
        {
          method,
          agent: this.#agent,
          headers: {
            ...headers,
            ...(json && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) }),
          },
        },
        (response) => {
          let text = ''
          response.setEncoding('utf8')
          response.on('data', (data) => {
            text += data
          })
          response.on('error', failed)
          response.on('end', () => {
            const body = text.startsWith('{') ? JSON.parse(text) : text
            record({
              status: response.statusCode!,
              retryAfter: response.headers['retry-after'] !== undefined,
              code: body.error_code,
              body,
            })
          })
        },
      )
      sent.on('error', failed)
      sent.end(json)
    })
  }

  close() {
    this.#agent.destroy()
  }
}

/** Starts `rate` calls per second, independent of their results. `stop` waits for the calls in flight. */
export function sendAtRate(rate: number, call: (turn: number) => Promise<unknown>) {
  let stopped = false
  const calls = new Set<Promise<unknown>>()
  const clock = async () => {
    const start = performance.now()
    for (let turn = 0; !stopped; await sleep(1)) {
      for (; turn < ((performance.now() - start) / 1000) * rate; turn++) {
        const running = call(turn).finally(() => calls.delete(running))
        calls.add(running)
      }
    }
  }
  const ticking = clock()
  return {
    async stop() {
      stopped = true
      await ticking
      await Promise.all(calls)
    },
  }
}

/** Gets these tasks at a fixed rate and returns the results. */
export async function getTasks(
  base: string,
  ids: string[],
  { rate, seconds, connections }: { rate: number; seconds: number; connections: number },
): Promise<CallResult[]> {
  const client = new Client(base, connections)
  const load = sendAtRate(rate, (turn) =>
    client.call('GET', `/api/v1/tasks/${ids[(turn * 7919) % ids.length]}`),
  )
  await sleep(1000 * seconds)
  await load.stop()
  client.close()
  return client.results
}

/** Creates, completes, reads and lists the tasks of a session, and remembers the acknowledged writes. */
export class Workload {
  readonly acknowledged = new Map<string, 'pending' | 'completed'>()
  readonly #ids: string[] = []

  constructor(
    readonly client: Client,
    readonly session_id: string,
  ) {}

  turn = async (turn: number) => {
    const id = this.#ids[(turn * 7919) % this.#ids.length]
    if (turn % 4 === 0 || id === undefined) {
      const { status, body } = await this.client.call('POST', '/api/v1/tasks', {
        title: `${turn}`,
        session_id: this.session_id,
      })
      if (status !== 201 || body === undefined) return
      this.acknowledged.set(body.id, 'pending')
      this.#ids.push(body.id)
    } else if (turn % 4 === 1) {
      const { status } = await this.client.call('PUT', `/api/v1/tasks/${id}`, { status: 'completed' })
      if (status === 200) this.acknowledged.set(id, 'completed')
    } else if (turn % 4 === 2) {
      await this.client.call('GET', `/api/v1/tasks/${id}`)
    } else {
      await this.client.call('GET', `/api/v1/tasks?session_id=${this.session_id}&limit=10`)
    }
  }

  /** The number of acknowledged writes that are missing. */
  async lost(): Promise<number> {
    let lost = 0
    for (const [id, status] of this.acknowledged) {
      const { body } = await this.client.call('GET', `/api/v1/tasks/${id}`)
      if (body?.id !== id || (status === 'completed' && body.status !== 'completed')) lost++
    }
    return lost
  }
}
