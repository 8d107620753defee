/**
 * High-availability test: three servers, each connected to a PostgreSQL cluster of three nodes in another way, are under
 * load while nodes and servers fail, restart and switch over. Afterwards each acknowledged write must exist once. Prints the
 * tables of docs/scaling.md; the exit code is 1 if a limit is exceeded. Needs a build.
 */
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../packages/server/bench/port.js'
import { missingPackages, startCluster } from './cluster.js'
import { startLoad } from './load.js'
import { end, folder, start, until } from './processes.js'

const missing = missingPackages()
if (missing.length > 0) {
  process.stderr.write(
    `missing packages. On Debian: apt-get install --no-install-recommends ${missing.join(' ')}\n`,
  )
  process.exit(1)
}

/** Maximum time without an acknowledged write, in seconds. */
const MAX_FAILOVER_GAP = 30
const MAX_PLANNED_GAP = 5

/** Longest times without an acknowledged write, in seconds, by the path of the writes. Only the balancer has a limit. */
const events: { event: string; limit: number; gaps: Record<string, number>; passed: boolean }[] = []
const results: { check: string; limit: string; observed: string; passed: boolean }[] = []
const log = (line: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`)
const seconds = (value: number) => `${value.toFixed(1)} s`

try {
  await run()
} catch (error) {
  log(`${error}`)
  for (const name of ['node1', 'node2', 'node3', 'etcd', 'haproxy', 'pgbouncer']) {
    try {
      log(`${name}: …${readFileSync(join(folder, `${name}.log`), 'utf8').slice(-1000)}`)
    } catch {
      // Not started yet.
    }
  }
  process.exit(1)
}
report()
process.exit([...events, ...results].every(({ passed }) => passed) ? 0 : 1)

async function run() {
  log(`starting three PostgreSQL nodes, logs in ${folder}`)
  const ports = await Promise.all([freePort(), freePort(), freePort()])
  const cluster = await startCluster(ports)
  const hosts = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join()
  const databaseUrls = {
    HAProxy: cluster.url(`127.0.0.1:${cluster.primary}`),
    'several hosts': cluster.url(hosts, '?target_session_attrs=read-write'),
    PgBouncer: cluster.url(`127.0.0.1:${cluster.pooler}`, '?prepare=false'),
  }

  log('starting three servers')
  const bases = ports.map((port) => `http://127.0.0.1:${port}`)
  const ready = async (base: string) =>
    (await fetch(`${base}/readyz`, { signal: AbortSignal.timeout(3000) })).status === 200
  const startServer = (n: number): ChildProcess =>
    start(
      `server${n}`,
      process.execPath,
      [fileURLToPath(new URL('../../packages/server/dist/start/cli.js', import.meta.url))],
      {
        environment: {
          PORT: `${ports[n]}`,
          DATABASE_URL: Object.values(databaseUrls)[n]!,
          DATABASE_POOL_SIZE: '5',
          SHUTDOWN_DELAY_MS: '2000',
          LOG_LEVEL: 'warn',
        },
      },
    )
  const servers = ports.map((_port, n) => startServer(n))
  for (const base of bases) await until(`${base} is ready`, () => ready(base))
  await until('the load balancer reaches a server', () => ready(cluster.service))

  const load = startLoad(
    cluster.service,
    Object.fromEntries(Object.keys(databaseUrls).map((via, n) => [via, bases[n]!])),
  )
  await until('writes succeed through every server', () => load.acknowledgedSince(0))
  await sleep(3000)

  /** Triggers an event under load, and measures the longest time without an acknowledged write. */
  const event = async (
    name: string,
    limit: number,
    trigger: () => Promise<void>,
    cleanUp = async () => {},
  ) => {
    await cluster.waitUntilHealthy()
    log(name)
    const since = performance.now()
    await trigger()
    const triggered = performance.now()
    await until('writes succeed through every server', () => load.acknowledgedSince(triggered), 120)
    await sleep(2000)
    const gaps = load.gaps(since)
    events.push({ event: name, limit, gaps, passed: gaps.balancer! <= limit })
    await cleanUp()
  }
  /** Waits until another node is the primary. */
  const replaced = (name: string) =>
    until('another node is the primary', async () => ((await cluster.node('leader'))?.name ?? name) !== name)

  await event('no event', MAX_PLANNED_GAP, () => sleep(5000))

  const killed = await cluster.node('leader')
  await event(
    'the primary is killed',
    MAX_FAILOVER_GAP,
    async () => {
      await killed.kill()
      await replaced(killed.name)
    },
    async () => killed.restart(),
  )

  await cluster.waitUntilHealthy()
  const suspended = await cluster.node('leader')
  await event(
    'the primary is suspended',
    MAX_FAILOVER_GAP,
    async () => {
      suspended.suspend()
      await replaced(suspended.name)
    },
    async () => suspended.resume(),
  )

  await cluster.waitUntilHealthy()
  const standby = await cluster.node('sync_standby')
  await event(
    'the synchronous standby is suspended',
    MAX_FAILOVER_GAP,
    async () => {
      standby.suspend()
      await until('another node is the synchronous standby', async () => {
        const current = await cluster.node('sync_standby')
        return current !== undefined && current !== standby
      })
    },
    async () => standby.resume(),
  )

  await event('servers are restarted one by one', MAX_PLANNED_GAP, async () => {
    for (const [n, server] of servers.entries()) {
      await end(server, 'SIGTERM')
      servers[n] = startServer(n)
      await until('the server is ready again', () => ready(bases[n]!))
      // Until the load balancer has probed it.
      await sleep(1000)
    }
  })

  await cluster.waitUntilHealthy()
  const [from, to] = [await cluster.node('leader'), await cluster.node('sync_standby')]
  await event('the primary is switched over', MAX_PLANNED_GAP, async () => {
    from.switchOverTo(to)
    await replaced(from.name)
  })

  await cluster.waitUntilHealthy()
  log('verifying')
  await load.stop()
  const { lost, duplicated, incomplete, writes, count, counted, unknown } = await load.verify(
    databaseUrls.HAProxy,
  )
  const { stats } = load
  const expectNone = (check: string, found: string[], of: string) =>
    results.push({
      check,
      limit: '0',
      observed: found.length === 0 ? `0 of ${of}` : `${found.length}: ${found.slice(0, 3).join('; ')}`,
      passed: found.length === 0,
    })
  expectNone('lost acknowledged writes', lost, `${load.acknowledgements()}`)
  expectNone('duplicate or unexpected writes', duplicated, `${load.acknowledgements()}`)
  expectNone('incomplete batches', incomplete, `${writes} creates`)
  expectNone('acknowledged creates that the next read did not return', stats.missed, `${writes} creates`)
  results.push({
    check: 'counter that three clients increment with ifUnchangedSince',
    limit: 'every acknowledged increment, and at most those without a response',
    observed: `${count}; ${counted} acknowledged, ${unknown} without a response, ${stats.conflicts} conflicts`,
    passed: count >= counted && count <= counted + unknown,
  })
  for (const [n, server] of servers.entries()) {
    results.push({
      check: `server connected by ${Object.keys(databaseUrls)[n]}`,
      limit: 'still runs',
      observed:
        server.exitCode === null && server.signalCode === null
          ? 'runs'
          : `exited: ${server.exitCode ?? server.signalCode}`,
      passed: server.exitCode === null && server.signalCode === null,
    })
  }
  const failures = [...stats.failures].map(([kind, times]) => `${times} × ${kind}`)
  log(`${stats.calls} calls; failures: ${failures.join(', ') || 'none'}`)
}

function report() {
  const result = (passed: boolean) => (passed ? 'pass' : '**FAIL**')
  const rows = [
    ['event', 'limit', 'through the balancer', 'by HAProxy', 'by several hosts', 'by PgBouncer', 'result'],
    ['---', '---', '---', '---', '---', '---', '---'],
    ...events.map(({ event, limit, gaps, passed }) => [
      event,
      `≤ ${limit} s`,
      ...Object.values(gaps).map(seconds),
      result(passed),
    ]),
    [],
    ['check', 'limit', 'observed', 'result'],
    ['---', '---', '---', '---'],
    ...results.map(({ check, limit, observed, passed }) => [check, limit, observed, result(passed)]),
  ]
  for (const cells of rows) process.stdout.write(cells.length > 0 ? `| ${cells.join(' | ')} |\n` : '\n')
}
