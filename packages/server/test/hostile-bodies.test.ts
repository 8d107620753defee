import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { send } from './hostile.js'
import { cpuOf, type ServerProcess, startServer } from './process.js'

const MIB = 1024 * 1024

/** A body of 1 MiB that repeats one item as often as it fits. */
const filled = (head: string, item: (nth: number) => string, tail: string) => {
  const items: string[] = []
  for (let bytes = head.length + tail.length, nth = 0; ; nth++) {
    bytes += item(nth).length + 1
    if (bytes > MIB) return `${head}${items.join()}${tail}`
    items.push(item(nth))
  }
}

/** A task that names 50 keys which do not exist, each near those that do. */
function planWithUnknown(_: unknown, nth: number) {
  const blocked_by = Array.from({ length: 50 }, (_, place) => `task-${10_000 + 50 * nth + place}`)
  return { key: `task-${1000 + nth}`, title: 'a', blocked_by }
}

const hostileBodies: [name: string, method: string, path: string, body: string][] = [
  ['wrong items', 'PUT', '/tasks/bulk', filled('{"tasks":[', () => '0', ']}')],
  ['empty items', 'PUT', '/tasks/bulk', filled('{"tasks":[', () => '{}', ']}')],
  ['nested items', 'PUT', '/tasks/bulk', filled('{"tasks":[', () => '[]', ']}')],
  ['wrong ids', 'DELETE', '/tasks/bulk', filled('{"ids":[', () => '0', ']}')],
  ['wrong tasks', 'POST', '/batches', filled('{"tasks":[', () => '{}', ']}')],
  ['unknown fields', 'POST', '/tasks', filled('{', (nth) => `"k${nth}":0`, '}')],
  ['numbers as names', 'POST', '/tasks', filled('{', (nth) => `"${(nth * 2654435761) % 2 ** 32}":0`, '}')],
  ['unknown fields in items', 'PUT', '/tasks/bulk', filled('{"tasks":[', (nth) => `{"k${nth}":0}`, ']}')],
  ['deep nesting', 'POST', '/tasks', '['.repeat(MIB / 2) + ']'.repeat(MIB / 2)],
  ['the most fields', 'POST', '/tasks', `{${Array.from({ length: 29_000 }, (_, nth) => `"k${nth}":0`)}}`],
  ['a prototype', 'POST', '/tasks', `{"x":[${'[],'.repeat(14_000)}[]],"__proto__":0${' '.repeat(MIB / 2)}}`],
  [
    'unknown blockers',
    'POST',
    '/batches',
    JSON.stringify({ tasks: Array.from({ length: 500 }, planWithUnknown) }),
  ],
  ['one text', 'POST', '/tasks', `{"title":"${' '.repeat(MIB - 12)}"}`],
]

/** The most CPU, in milliseconds, that the server used before it responded to a /livez, while something else goes on. */
async function slowestLiveness({ child }: ServerProcess, port: string, other: Promise<unknown>) {
  let going = true
  const end = () => {
    going = false
  }
  other.then(end, end)
  let slowest = 0
  while (going) {
    const start = cpuOf(child)
    const { status } = await send({ port, path: '/livez' }, '')
    if (status !== 200) throw new Error(`/livez responded ${status}`)
    slowest = Math.max(slowest, cpuOf(child) - start)
    await sleep(5)
  }
  return slowest
}

t.test(
  'while eight clients send hostile bodies of 1 MiB, /livez waits for 400 ms of CPU at most',
  async (t) => {
    // A container with the memory of the Kubernetes manifests has a heap of this size.
    const server = startServer(t, { DATABASE_URL: 'memory://', NODE_OPTIONS: '--max-old-space-size=256' })
    const { port } = new URL(await server.listening())
    for (const [name, method, path, body] of hostileBodies) {
      const responses = Promise.all(
        Array.from({ length: 8 }, () =>
          send(
            { port, method, path: `/api/v1${path}`, headers: { 'content-type': 'application/json' } },
            body,
          ),
        ),
      )
      const slowest = await slowestLiveness(server, port, responses)
      for (const { status } of await responses) t.match(String(status), /^4/, name)
      t.ok(slowest < 400, `${name}: ${slowest.toFixed(0)} ms`)
    }
    t.equal(server.child.exitCode, null, 'the process runs')
  },
)

t.test(
  'while 64 clients send their bodies in chunks of one byte, /livez waits for a second of CPU at most',
  async (t) => {
    const server = startServer(t, { DATABASE_URL: 'memory://', NODE_OPTIONS: '--max-old-space-size=256' })
    const { port } = new URL(await server.listening())
    const head =
      'POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
    const bytes = Buffer.from(head + '1\r\n \r\n'.repeat(MIB))
    const texts = Array.from({ length: 64 }, () => {
      const socket = connect(Number(port), '127.0.0.1').on('error', () => {})
      socket.write(bytes)
      return new Promise<string>((resolve) => {
        let text = ''
        socket.on('data', (data) => {
          text += data
        })
        socket.once('close', () => resolve(text))
      })
    })
    const slowest = await slowestLiveness(server, port, Promise.all(texts))
    for (const text of await Promise.all(texts))
      if (text !== '') t.match(text, /^HTTP\/1.1 400 .*more than 32768 pieces/s)
    t.ok(slowest < 1000, `${slowest.toFixed(0)} ms`)
  },
)

t.test('a body in 32 000 chunks is accepted, and one that breaks off is not stored', async (t) => {
  const server = startServer(t, { DATABASE_URL: 'memory://' })
  const { port } = new URL(await server.listening())
  const head =
    'POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
  const chunks = [...'{"title": "a"}'.padEnd(32_000)].map((byte) => `1\r\n${byte}\r\n`).join('')
  const socket = connect(Number(port), '127.0.0.1')
  socket.write(`${head}${chunks}0\r\n\r\n`)
  t.match(Buffer.concat(await socket.toArray()).toString(), /^HTTP\/1.1 201 /)
  const broken = connect(Number(port), '127.0.0.1')
  broken.write(`${head}${chunks}`, () => broken.destroy())
  await sleep(500)
  const { body } = await send({ port, path: '/api/v1/tasks' }, '')
  t.equal(body.total, 1)
  t.equal(server.output.stderr, '')
})
