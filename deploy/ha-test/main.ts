/**
 * Shows that the service holds no state of its own: three servers, each with another way to a PostgreSQL of three nodes,
 * are loaded while nodes and servers fail and move. Each acknowledged write must be there once afterwards. Prints a table
 * of what must hold and what was seen; ends with 1 when something does not hold. Needs a build.
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
    `not installed; on Debian: apt-get install --no-install-recommends ${missing.join(' ')}\n`,
  )
  process.exit(1)
}

/** Most seconds without an acknowledged write. */
const FAILURE = 30
const PLANNED = 5

const results: { what: string; must: string; seen: string; holds: boolean }[] = []
const say = (line: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`)
const seconds = (value: number) => `${value.toFixed(1)} s`

try {
  await run()
} catch (error) {
  say(`${error}`)
  for (const name of ['node1', 'node2', 'node3', 'etcd', 'haproxy', 'pgbouncer']) {
    try {
      say(`${name}: …${readFileSync(join(folder, `${name}.log`), 'utf8').slice(-1000)}`)
    } catch {
      // It was not started yet.
    }
  }
  process.exit(1)
}
report()
process.exit(results.every(({ holds }) => holds) ? 0 : 1)

async function run() {
  say(`starting three nodes, with logs in ${folder}`)
  const ports = await Promise.all([freePort(), freePort(), freePort()])
  const cluster = await startCluster(ports)
  const hosts = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join()
  const ways = {
    HAProxy: cluster.url(`127.0.0.1:${cluster.primary}`),
    'several hosts': cluster.url(hosts, '?target_session_attrs=read-write'),
    PgBouncer: cluster.url(`127.0.0.1:${cluster.pooler}`, '?prepare=false'),
  }

  say('starting three servers')
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
          DATABASE_URL: Object.values(ways)[n]!,
          DATABASE_POOL_SIZE: '5',
          SHUTDOWN_DELAY_MS: '2000',
          LOG_LEVEL: 'warn',
        },
      },
    )
  const servers = ports.map((_port, n) => startServer(n))
  for (const base of bases) await until(`${base} is ready`, () => ready(base))
  await until('they are behind the balancer', () => ready(cluster.service))

  const load = startLoad(
    cluster.service,
    Object.fromEntries(Object.keys(ways).map((way, n) => [way, bases[n]!])),
  )
  await until('every way is written by', () => load.goesOn(0))
  await sleep(3000)

  /** Lets something happen under load, and looks how long nothing was acknowledged. */
  const event = async (
    what: string,
    longest: number,
    happen: () => Promise<void>,
    after = async () => {},
  ) => {
    await cluster.whole()
    say(what)
    const since = performance.now()
    await happen()
    const happened = performance.now()
    await until('writes succeed by every way', () => load.goesOn(happened), 120)
    await sleep(2000)
    const { balancer, ...each } = load.gaps(since)
    const ofEach = Object.entries(each).map(([way, gap]) => `${way} ${seconds(gap)}`)
    results.push({
      what: `${what}: longest time without an acknowledged write`,
      must: `≤ ${seconds(longest)}`,
      seen: `${seconds(balancer!)} (${ofEach.join(', ')})`,
      holds: balancer! <= longest,
    })
    await after()
  }
  /** Waits until another node than this is the primary. */
  const replaced = (name: string) =>
    until('another is the primary', async () => ((await cluster.node('leader'))?.name ?? name) !== name)

  await event('nothing', PLANNED, () => sleep(5000))

  const killed = await cluster.node('leader')
  await event(
    'the primary is killed',
    FAILURE,
    async () => {
      await killed.kill()
      await replaced(killed.name)
    },
    async () => killed.restart(),
  )

  await cluster.whole()
  const cut = await cluster.node('leader')
  await event(
    'the primary is cut off',
    FAILURE,
    async () => {
      cut.cutOff()
      await replaced(cut.name)
    },
    async () => cut.reconnect(),
  )

  await cluster.whole()
  const standby = await cluster.node('sync_standby')
  await event(
    'the synchronous standby is cut off',
    FAILURE,
    async () => {
      standby.cutOff()
      await until('another is in its place', async () => {
        const now = await cluster.node('sync_standby')
        return now !== undefined && now !== standby
      })
    },
    async () => standby.reconnect(),
  )

  await event('servers are restarted one by one', PLANNED, async () => {
    for (const [n, server] of servers.entries()) {
      await end(server, 'SIGTERM')
      servers[n] = startServer(n)
      await until('it is ready again', () => ready(bases[n]!))
      // The balancer has to see it, too.
      await sleep(1000)
    }
  })

  await cluster.whole()
  const [from, to] = [await cluster.node('leader'), await cluster.node('sync_standby')]
  await event('the primary is moved on purpose', PLANNED, async () => {
    from.moveTo(to)
    await replaced(from.name)
  })

  await cluster.whole()
  say('counting')
  await load.stop()
  const { lost, doubled, wrong, writes, count, counted, unknown } = await load.mistakes(ways.HAProxy)
  const { seen } = load
  const none = (what: string, mistakes: string[], of: string) =>
    results.push({
      what,
      must: '0',
      seen: mistakes.length === 0 ? `0 of ${of}` : `${mistakes.length}: ${mistakes.slice(0, 3).join('; ')}`,
      holds: mistakes.length === 0,
    })
  none('acknowledged writes that are lost', lost, `${load.acknowledgements()}`)
  none('writes that are there twice, or that nobody sent', doubled, `${load.acknowledgements()}`)
  none('batches that are there in part', wrong, `${writes} creates`)
  none('acknowledged creates that the next read missed', seen.missed, `${writes} creates`)
  results.push({
    what: 'count of three callers, each with ifUnchangedSince',
    must: 'acknowledged changes, and none but those without an answer',
    seen: `${count}; ${counted} acknowledged, ${unknown} without an answer, ${seen.conflicts} conflicts`,
    holds: count >= counted && count <= counted + unknown,
  })
  for (const [n, server] of servers.entries()) {
    results.push({
      what: `server by ${Object.keys(ways)[n]}`,
      must: 'still runs',
      seen:
        server.exitCode === null && server.signalCode === null
          ? 'runs'
          : `ended: ${server.exitCode ?? server.signalCode}`,
      holds: server.exitCode === null && server.signalCode === null,
    })
  }
  const failures = [...seen.failures].map(([kind, times]) => `${times} × ${kind}`)
  say(`${seen.calls} calls; what they were told meanwhile: ${failures.join(', ') || 'no failure'}`)
}

function report() {
  const rows = results.map(
    ({ what, must, seen, holds }) => `| ${what} | ${must} | ${seen} | ${holds ? 'yes' : '**no**'} |`,
  )
  process.stdout.write(['| what | must hold | seen | holds |', '|---|---|---|---|', ...rows, ''].join('\n'))
}
