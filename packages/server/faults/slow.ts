/** Clients that connect and say nothing, say it slowly, say too much, or do not take their answer. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { fill, readSessions } from '../bench/data.js'
import { startService } from '../bench/processes.js'
import { handles, onlyRefusals, percentile, type Scenario, stillRuns } from './scenario.js'
import { Client, everySecond } from './traffic.js'

const IDLE = 10_000
const SLOW = 200
const RATE = 200
const REQUEST_TIMEOUT_MS = 15_000

export const slow: Scenario = {
  seconds: REQUEST_TIMEOUT_MS / 1000 + 10,
  async run({ cluster, seconds }) {
    const database = await cluster.newDatabase('faults')
    const server = await startService(database, { REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS) })
    const sql = postgres(database, { max: 1, onnotice: () => {} })
    await fill(sql, 20_000)
    const ids = (await readSessions(sql)).flatMap(({ tasks }) => tasks)
    await sql.end()
    const { hostname, port } = new URL(server.base)

    const measure = async (seconds: number) => {
      const client = new Client(server.base)
      const load = everySecond(RATE, (turn) => client.call('GET', `/api/v1/tasks/${ids[turn % ids.length]}`))
      await sleep(1000 * seconds)
      await load.stop()
      client.close()
      return client.answers
    }
    await measure(3)
    const alone = await measure(5)
    const before = handles(server.pid)

    const open = new Set<Socket>()
    /** Opens connections and writes to them; half-open, they never end by themselves. */
    const connections = async (count: number, talk: (socket: Socket) => void) => {
      for (let n = 0; n < count; n++) {
        // The other thousands of addresses of this machine: one has too few ports.
        const localAddress = `127.0.${1 + (open.size >> 12)}.1`
        const socket = connect({ port: Number(port), host: hostname, localAddress, allowHalfOpen: true })
        open.add(socket)
        socket.on('error', () => {}).on('close', () => open.delete(socket))
        socket.once('connect', () => talk(socket))
        if (n % 100 === 99) await sleep(50)
      }
    }
    const head = 'POST /api/v1/tasks HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n'
    const drip = (text: string) => (socket: Socket) => {
      let sent = 0
      const next = setInterval(() => socket.writable && socket.write(text[sent++ % text.length]!), 1000)
      socket.resume().once('close', () => clearInterval(next))
    }
    await connections(IDLE, (socket) => socket.resume())
    await connections(SLOW, drip(`${head}X-Header: ${'a'.repeat(1000)}`))
    await connections(SLOW, (socket) => {
      socket.write(`${head}Content-Length: 1000\r\n\r\n{`)
      drip('"aaaaaaaaaaaaaaaaaaaa')(socket)
    })
    await connections(SLOW, (socket) =>
      socket.resume().write(`${head}X-Header: ${'a'.repeat(100_000)}\r\n\r\n`),
    )
    // Asks for much, in many requests, and reads nothing.
    await connections(20, (socket) =>
      socket.pause().write('GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(20)),
    )
    const most = handles(server.pid)
    const beside = await measure(seconds)
    const left = handles(server.pid)
    for (const socket of open) socket.destroy()
    const p99 = [alone, beside].map((answers) =>
      percentile(
        answers.map(({ ms }) => ms),
        99,
      ),
    )
    const findings = [
      onlyRefusals(beside),
      {
        must: 'others are not slowed: p99 ≤ 100 ms',
        seen: `get task p99 ${p99[0]} ms alone, ${p99[1]} ms beside ${most - before} slow connections`,
        holds: p99[1]! <= 100,
      },
      {
        must: `the connections are closed ${seconds} s later`,
        seen: `${before} handles before, ${most} with them, ${left} then`,
        holds: most - before > IDLE && left - before < 50,
      },
      stillRuns(server),
    ]
    await server.stop()
    return findings
  },
}
