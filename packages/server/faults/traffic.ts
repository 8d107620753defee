/** Callers of the service that go on, whatever happens to it, and note every answer. */
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Answer {
  /** When it was asked, as performance.now(). */
  at: number
  ms: number
  /** 0 where no answer came. */
  status: number
  retryAfter: boolean
  /** The code of a problem, or of the network's. */
  code: string | undefined
  body: { id: string; status: string; tasks?: unknown[] } | undefined
}

export class Client {
  readonly answers: Answer[] = []
  readonly #agent: Agent

  constructor(
    readonly base: string,
    connections = 100,
  ) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
  }

  call(method: string, path: string, body?: object): Promise<Answer> {
    const at = performance.now()
    return new Promise((resolve) => {
      const note = (answer: Pick<Answer, 'status' | 'retryAfter' | 'code' | 'body'>) => {
        const whole = { at, ms: performance.now() - at, ...answer }
        this.answers.push({ ...whole, body: undefined })
        resolve(whole)
      }
      const failed = ({ code }: NodeJS.ErrnoException) =>
        note({ status: 0, retryAfter: false, code, body: undefined })
      const json = body && JSON.stringify(body)
      const sent = request(
        this.base + path,
        {
          method,
          agent: this.#agent,
          ...(json && {
            headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) },
          }),
        },
        (response) => {
          let text = ''
          response.setEncoding('utf8')
          response.on('data', (data) => {
            text += data
          })
          response.on('error', failed)
          response.on('end', () => {
            const read = text.startsWith('{') ? JSON.parse(text) : text
            note({
              status: response.statusCode!,
              retryAfter: response.headers['retry-after'] !== undefined,
              code: read.error_code,
              body: read,
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

/** Makes so many calls a second, whether answers come or not, until told to stop; then waits for the last answers. */
export function everySecond(rate: number, call: (turn: number) => Promise<unknown>) {
  let over = false
  const calls = new Set<Promise<unknown>>()
  const clock = async () => {
    const start = performance.now()
    for (let turn = 0; !over; await sleep(1)) {
      for (; turn < ((performance.now() - start) / 1000) * rate; turn++) {
        const made = call(turn).finally(() => calls.delete(made))
        calls.add(made)
      }
    }
  }
  const ticking = clock()
  return {
    async stop() {
      over = true
      await ticking
      await Promise.all(calls)
    },
  }
}

/** Learners who create tasks, complete them, read them and list them; and what the service acknowledged to them. */
export class Learners {
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

  /** How many of the acknowledged writes are not there. */
  async lost(): Promise<number> {
    let lost = 0
    for (const [id, status] of this.acknowledged) {
      const { body } = await this.client.call('GET', `/api/v1/tasks/${id}`)
      if (body?.id !== id || (status === 'completed' && body.status !== 'completed')) lost++
    }
    return lost
  }
}
