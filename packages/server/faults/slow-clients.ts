/** The slow clients of slow.ts, as a separate process. Prints "open" when all are connected, and keeps running. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const { hostname, port } = new URL(process.argv[2]!)
const idle = Number(process.argv[3])
const SLOW = 200

let opened = 0
async function open(count: number, onConnect: (socket: Socket) => void) {
  for (let n = 0; n < count; n++) {
    // One address does not have enough ports.
    const localAddress = `127.0.${1 + (opened++ >> 12)}.1`
    const socket = connect({ port: Number(port), host: hostname, localAddress, allowHalfOpen: true })
    socket.on('error', () => {}).once('connect', () => onConnect(socket))
    if (n % 100 === 99) await sleep(50)
  }
}

/** Sends one byte per second. */
const drip = (text: string) => (socket: Socket) => {
  let sent = 0
  const next = setInterval(() => socket.writable && socket.write(text[sent++ % text.length]!), 1000)
  socket.resume().once('close', () => clearInterval(next))
}
const head = 'POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
const large = 'GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n'

await open(idle, (socket) => socket.resume())
await open(SLOW, drip(`${head}X-Header: ${'a'.repeat(1000)}`))
await open(SLOW, (socket) => {
  socket.write(`${head}Content-Length: 1000\r\n\r\n{`)
  drip('"aaaaaaaaaaaaaaaaaaaa')(socket)
})
await open(SLOW, (socket) => socket.resume().write(`${head}X-Header: ${'a'.repeat(100_000)}\r\n\r\n`))
// These request large responses and do not read them.
await open(20, (socket) => socket.pause().write(large.repeat(5)))
console.log('open')
await sleep(3_600_000)
