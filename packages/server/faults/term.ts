/** Servers behind a load balancer are replaced one by one with SIGTERM. */
import { randomUUID } from 'node:crypto'
import { Agent, createServer, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Server, startService } from '../bench/processes.js'
import { isSuccess, type Scenario } from './scenario.js'
import { Client, sendAtRate, Workload } from './traffic.js'

const PROBE_MS = 200
const settings = { SHUTDOWN_DELAY_MS: '1000' }

export const term: Scenario = {
  seconds: 15,
  async run({ cluster, seconds }) {
    const database = await cluster.newDatabase('faults')
    const balancer = await startBalancer()
    let servers = [await startService(database, settings), await startService(database, settings)]
    for (const server of servers) balancer.add(server)
    const client = new Client(balancer.base, 200)
    const workload = new Workload(client, randomUUID())
    await sleep(2 * PROBE_MS)
    const load = sendAtRate(200, workload.turn)
    let replaced = 0
    for (const end = Date.now() + 1000 * seconds; Date.now() < end; replaced++) {
      const [oldest, other] = servers as [Server, Server]
      const replacement = await startService(database, settings)
      balancer.add(replacement)
      await sleep(2 * PROBE_MS)
      await oldest.stop()
      balancer.remove(oldest)
      servers = [other, replacement]
    }
    await load.stop()
    const failed = client.results.filter(({ status }) => !isSuccess(status))
    client.close()
    balancer.close()
    for (const server of servers) await server.stop()
    return [
      {
        expected: 'no request fails while servers are replaced',
        observed: `${failed.length} of ${client.results.length} failed in ${replaced} replacements${failed[0] ? `; ${failed[0].status} ${failed[0].code}` : ''}`,
        passed: failed.length === 0 && replaced > 0,
      },
    ]
  },
}

/** A minimal load balancer: keep-alive connections, periodic readiness probes, no retries. */
async function startBalancer() {
  const backends = new Map<Server, boolean>()
  const agent = new Agent({ keepAlive: true })
  let turn = 0
  const server = createServer((incoming, outgoing) => {
    const ready = [...backends].filter(([, ready]) => ready).map(([{ base }]) => base)
    const base = ready[turn++ % ready.length]
    if (base === undefined) return outgoing.writeHead(502).end()
    const { connection: _, ...headers } = incoming.headers
    const forwarded = request(
      base + incoming.url,
      { method: incoming.method!, headers, agent },
      (response) => {
        const { connection: _, ...headers } = response.headers
        outgoing.writeHead(response.statusCode!, headers)
        response.pipe(outgoing)
      },
    )
    forwarded.on('error', () => outgoing.headersSent || outgoing.writeHead(502).end())
    incoming.pipe(forwarded)
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const probing = setInterval(() => {
    for (const backend of backends.keys())
      fetch(`${backend.base}/readyz`).then(
        ({ ok }) => backends.has(backend) && backends.set(backend, ok),
        () => backends.has(backend) && backends.set(backend, false),
      )
  }, PROBE_MS)
  return {
    base: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    add: (backend: Server) => backends.set(backend, false),
    remove: (backend: Server) => backends.delete(backend),
    close() {
      clearInterval(probing)
      agent.destroy()
      server.close()
      server.closeAllConnections()
    },
  }
}
