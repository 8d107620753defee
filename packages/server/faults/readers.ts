/** Thousands of clients follow what happens, while others work. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ratio } from '../bench/measures.js'
import { isSuccess, percentile, type Scenario, startWithTasks } from './scenario.js'
import { Client, getTasks } from './traffic.js'

const READERS = 2000
const MOST_MEGABYTES = 120
const RATE = 100
const ROUNDS = 5

/** Reads of tasks alone and beside the readers, in turns; then an event at all of them. */
export const readers: Scenario = {
  seconds: 4,
  async run({ cluster, seconds }) {
    const { server, sessions } = await startWithTasks(cluster, 10_000)
    const ids = sessions.flatMap(({ tasks }) => tasks)
    const port = Number(new URL(server.base).port)
    const measure = async () => {
      const results = await getTasks(server.base, ids, { rate: RATE, seconds, connections: 32 })
      return percentile(
        results.map(({ ms, status }) => (isSuccess(status) ? ms : Number.POSITIVE_INFINITY)),
        50,
      )
    }
    await measure()
    const megabytes = server.memory()!.now
    let most = 0
    const [alone, beside]: [number[], number[]] = [[], []]
    const latencies: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      alone.push(await measure())
      const all: Reader[] = []
      // A hundred at a time: the system drops connections that are not accepted soon enough.
      while (all.length < READERS)
        all.push(...(await Promise.all(Array.from({ length: 100 }, () => Reader.open(port)))))
      beside.push(await measure())
      most = Math.max(most, server.memory()!.now)
      const title = `round ${round}`
      const client = new Client(server.base)
      const start = performance.now()
      const arrivals = Promise.all(
        all.map((reader) => reader.until(title).then(() => performance.now() - start)),
      )
      await client.call('POST', '/api/v1/tasks', { title })
      latencies.push(Math.max(...(await arrivals)))
      client.close()
      for (const reader of all) reader.close()
      await sleep(500)
    }
    await server.stop()
    const { median } = ratio(beside, alone)
    const grown = most - megabytes
    return [
      {
        expected: `${READERS} readers take at most ${MOST_MEGABYTES} MB`,
        observed: `${Math.round(grown)} MB above ${Math.round(megabytes)}`,
        passed: grown <= MOST_MEGABYTES,
      },
      {
        expected: `get task at ${RATE}/s is at most 10 % slower beside them (p50, in turns)`,
        observed: `${alone.join(', ')} ms alone, ${beside.join(', ')} ms beside them: ${median.toFixed(2)} times`,
        passed: median <= 1.1,
      },
      {
        expected: 'an event is at all of them within a second',
        observed: `the last reader after ${latencies.map((ms) => Math.round(ms)).join(', ')} ms`,
        passed: latencies.every((ms) => ms <= 1000),
      },
    ]
  },
}

/** A client of the stream, which takes as little of this process as it can. */
class Reader {
  readonly #socket: Socket
  #text = ''
  #waiting: { text: string; resolve: () => void } | undefined

  static async open(port: number): Promise<Reader> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write('GET /api/v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const reader = new Reader(socket)
    await reader.until('events follow')
    return reader
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('utf8').on('data', (text) => {
      this.#text += text
      this.#look()
    })
  }

  /** Waits until a text arrives, and forgets what came before. */
  until(text: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = { text, resolve }
      this.#look()
    })
  }

  #look() {
    if (!this.#waiting || !this.#text.includes(this.#waiting.text)) return
    this.#text = ''
    this.#waiting.resolve()
    this.#waiting = undefined
  }

  close() {
    this.#socket.destroy()
  }
}
