/** The slow clients of slow.ts, in a process of their own. Says "open" when all are connected, and stays. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const { hostname, port } = new URL(process.argv[2]!)
const idle = Number(process.argv[3])
const SLOW = 200

let opened = 0
/** Opens connections that never end by themselves. */
async function open(count: number, talk: (socket: Socket) => void) {
  for (let n = 0; n < count; n++) {
    // One address has too few ports for all.
    const localAddress = `127.0.${1 + (opened++ >> 12)}.1`
    const socket = connect({ port: Number(port), host: hostname, localAddress, allowHalfOpen: true })
    socket.on('error', () => {}).once('connect', () => talk(socket))
    if (n % 100 === 99) await sleep(50)
  }
}

/** Sends a byte a second. */
const drip = (text: string) => (socket: Socket) => {
  let sent = 0
  const next = setInterval(() => socket.writable && socket.write(text[sent++ % text.length]!), 1000)
  socket.resume().once('close', () => clearInterval(next))
}
const head = 'POST /api/v1/tasks HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n'
const large = 'GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n'

await open(idle, (socket) => socket.resume())
await open(SLOW, drip(`${head}X-Header: ${'a'.repeat(1000)}`))
await open(SLOW, (socket) => {
  socket.write(`${head}Content-Length: 1000\r\n\r\n{`)
  drip('"aaaaaaaaaaaaaaaaaaaa')(socket)
})
await open(SLOW, (socket) => socket.resume().write(`${head}X-Header: ${'a'.repeat(100_000)}\r\n\r\n`))
// These ask for much and read nothing.
await open(20, (socket) => socket.pause().write(large.repeat(5)))
console.log('open')
await sleep(3_600_000)
