import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { type PipeliningOptions, pipelining } from '../src/http/pipelining.js'
import { limitUnread } from '../src/http/unread.js'
import { startServer, until } from './process.js'
import { skipPostgres, startPostgres } from './support.js'

const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

/** A server that counts the requests in its handlers, and a function to connect to it. */
async function startCounting(t: Test, options: PipeliningOptions) {
  const app = Fastify()
  await app.register(pipelining, options)
  const counts = { running: 0, most: 0, total: 0 }
  app.get('/', async () => {
    counts.running++
    counts.total++
    counts.most = Math.max(counts.most, counts.running)
    await sleep(1)
    counts.running--
    return 'a response'
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const open = async () => {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    await once(socket, 'connect')
    t.teardown(() => socket.destroy())
    return socket
  }
  return { counts, open }
}

t.test('requests of one socket are handled a few at a time, and all get a response', async (t) => {
  const { counts, open } = await startCounting(t, { perSocket: 4 })
  const socket = await open()
  let text = ''
  socket.setEncoding('utf8').on('data', (data) => {
    text += data
  })
  socket.write(request('/').repeat(500))
  await until('all are there', () => text.split('a response').length === 501)
  t.equal(counts.most, 4)
})

t.test('a socket that sends more than may wait is closed, and its requests wait no longer', async (t) => {
  const { counts, open } = await startCounting(t, { perSocket: 4, waiting: 100 })
  for (let nth = 0; nth < 3; nth++) {
    const socket = await open()
    socket.write(request('/').repeat(105))
    await once(socket, 'close')
  }
  const other = await open()
  const before = counts.total
  other.resume().write(request('/').repeat(104))
  await until('all of another socket are handled', () => counts.total >= before + 104)
})

t.test('when too many bytes are unread, the connection that has waited longest is closed', async (t) => {
  const app = Fastify()
  await app.register(pipelining)
  await app.register(limitUnread, { most: 16 * 2 ** 20 })
  app.get('/', async () => 'a'.repeat(4 * 2 ** 20))
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const closed: number[] = []
  const connections: Promise<unknown>[] = []
  app.server.on('connection', (socket) => {
    const nth = connections.push(once(socket, 'close'))
    socket.once('close', () => closed.push(nth))
  })
  for (let nth = 1; nth <= 3; nth++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    t.teardown(() => socket.destroy())
    socket.pause().write(request('/').repeat(2))
    await until('it has arrived', () => connections.length === nth)
  }
  await until('one is closed', () => closed.length > 0)
  t.same(closed, [1])
  const other = await fetch(`http://127.0.0.1:${port}`)
  t.equal((await other.text()).length, 4 * 2 ** 20, 'a client that reads has its response')
})

t.test(
  'a server responds while clients send thousands of requests and read no response',
  { skip: skipPostgres },
  async (t) => {
    const { newDatabase } = await startPostgres(t)
    // Half of what the Kubernetes manifests give a pod.
    const server = startServer(t, {
      DATABASE_URL: await newDatabase(),
      NODE_OPTIONS: '--max-old-space-size=128',
    })
    const base = await server.listening()
    const port = Number(new URL(base).port)
    for (const path of ['/openapi.json', '/docs/json', '/docs/yaml', '/metrics', '/api/v1/tasks']) {
      const sockets = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => {}))
      for (const socket of sockets) socket.pause().write(request(path).repeat(5000))
      for (let nth = 0; nth < 20; nth++) {
        t.equal((await fetch(`${base}/livez`)).status, 200, path)
        await sleep(50)
      }
      for (const socket of sockets) socket.destroy()
    }
    t.equal(server.child.exitCode, null, 'the process runs')
  },
)
