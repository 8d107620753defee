/**
 * Cells: two PostgreSQL servers with two servers of the service each, behind HAProxy with deploy/haproxy/cells.cfg. While agents
 * work in many sessions, a cell is killed and started again, and a session is moved to the other cell. Afterwards each
 * acknowledged write must exist once. Prints the table of docs/cells.md; the exit code is 1 if a limit is exceeded. Needs a build,
 * and haproxy.
 */
import { type ChildProcess, execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import postgres from 'postgres'
import { createClient } from '../../packages/client/src/index.js'
import { freePort } from '../../packages/server/bench/port.js'
import { entry, startPostgres } from '../../packages/server/bench/processes.js'
import { type SessionLoad, startSession } from './agents.js'
import { end, folder, signal, start, until } from './processes.js'

const SESSIONS_OF_A_CELL = 4
/** How long a cell is down, in seconds. */
const OUTAGE = 5
/** For the throughput: rounds, seconds of each, and concurrent clients. */
const [ROUNDS, SECONDS, CLIENTS] = [3, 4, 16]

const results: { check: string; limit: string; observed: string; passed: boolean }[] = []
const expect = (check: string, limit: string, observed: string, passed: boolean) =>
  void results.push({ check, limit, observed, passed })
const log = (line: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`)

const cells = { 'cell-a': await startCell('cell-a'), 'cell-b': await startCell('cell-b') }
type Name = keyof typeof cells
const names = Object.keys(cells) as Name[]
const service = await startBalancer()
try {
  await run()
} catch (error) {
  expect('the test completes', 'yes', String(error), false)
}
for (const cell of Object.values(cells)) await cell.stop()
const rows = [
  ['check', 'limit', 'observed', 'result'],
  ['---', '---', '---', '---'],
  ...results.map((row) => [row.check, row.limit, row.observed, row.passed ? 'pass' : '**FAIL**']),
]
for (const columns of rows) process.stdout.write(`| ${columns.join(' | ')} |\n`)
process.exit(results.every(({ passed }) => passed) ? 0 : 1)

/** A PostgreSQL and two servers. */
async function startCell(name: string) {
  log(`starting ${name}, logs in ${folder}`)
  const cluster = await startPostgres()
  const database = await cluster.newDatabase('aklp')
  const ports = [await freePort(), await freePort()]
  let servers: ChildProcess[] = []
  const startServers = async () => {
    servers = ports.map((port, n) => {
      const environment = {
        PORT: `${port}`,
        DATABASE_URL: database,
        DATABASE_POOL_SIZE: '5',
        LOG_LEVEL: 'warn',
      }
      return start(`${name}-server${n + 1}`, process.execPath, [entry], { environment })
    })
    for (const port of ports)
      await until(
        `${name} is ready`,
        async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200,
      )
  }
  await startServers()
  return {
    database,
    ports,
    /** Simulates a power failure of everything in the cell. */
    async kill() {
      signal('SIGKILL', cluster.processes())
      await Promise.all(servers.map((server) => end(server, 'SIGKILL')))
    },
    async restart() {
      await cluster.start()
      await startServers()
    },
    async stop() {
      await Promise.all(servers.map((server) => end(server, 'SIGTERM')))
      await cluster.stop()
    },
  }
}

/** HAProxy with the configuration of the documentation, on the addresses of this test. Returns its URL. */
async function startBalancer() {
  const port = await freePort()
  const addresses: Record<string, string> = {
    ':8000': `127.0.0.1:${port}`,
    '/etc/haproxy': folder,
    '/run/haproxy': folder,
  }
  for (const [n, { ports }] of Object.values(cells).entries())
    for (const [m, port] of ports.entries()) addresses[`10.0.${n + 1}.${m + 1}:8001`] = `127.0.0.1:${port}`
  let settings = readFileSync(new URL('../haproxy/cells.cfg', import.meta.url), 'utf8')
  for (const [address, own] of Object.entries(addresses)) settings = settings.replaceAll(address, own)
  const path = join(folder, 'cells.cfg')
  writeFileSync(path, settings)
  for (const map of ['cells.map', 'moving.map']) writeFileSync(join(folder, map), '')
  start('haproxy', 'haproxy', ['-db', '-f', path])
  const url = `http://127.0.0.1:${port}`
  await until('HAProxy reaches a server', async () => (await fetch(`${url}/readyz`)).status === 200)
  return url
}

/** A command of HAProxy's runtime API. */
function haproxy(command: string): Promise<string> {
  const socket = connect(join(folder, 'admin.sock'))
  socket.write(`${command}\n`)
  return text(socket)
}

/** Sends a read through the balancer, with or without a session. Returns its status and its cell. */
async function probe(session?: string) {
  const response = await fetch(`${service}/api/v1/tasks?limit=1`, {
    headers: session ? { 'X-Session-ID': session } : {},
  })
  await response.arrayBuffer()
  const { status, headers } = response
  return { status, cell: headers.get('x-cell') as Name, retryAfter: headers.get('retry-after') }
}

/** New sessions that the balancer sends to this cell. */
async function newSessions(name: Name, count: number): Promise<string[]> {
  const sessions: string[] = []
  while (sessions.length < count) {
    const session = crypto.randomUUID()
    if ((await probe(session)).cell === name) sessions.push(session)
  }
  return sessions
}

async function run() {
  const loads: Record<Name, SessionLoad[]> = { 'cell-a': [], 'cell-b': [] }
  for (const name of names)
    for (const session of await newSessions(name, SESSIONS_OF_A_CELL))
      loads[name].push(startSession(service, session))
  const everySession = Object.values(loads).flat()
  const workSince = (since: number, sessions: SessionLoad[]) =>
    until('writes succeed in every session', () =>
      sessions.every((session) => session.acknowledgedSince(since)),
    )
  await workSince(0, everySession)
  const { cell } = await probe()
  expect('a call without a session', 'goes to cell-a', `went to ${cell}`, cell === 'cell-a')
  await sleep(2000)

  await loseCell(loads, workSince)
  await moveUnderLoad(loads['cell-a'][0]!, loads)
  await workSince(performance.now(), everySession)
  await sleep(2000)

  log('verifying')
  await Promise.all(everySession.map((session) => session.stop()))
  await verify(loads)
  await compareThroughput()
}

/** Kills a cell under load and starts it again. */
async function loseCell(
  loads: Record<Name, SessionLoad[]>,
  workSince: (since: number, sessions: SessionLoad[]) => Promise<void>,
) {
  log('cell-a is killed')
  const since = performance.now()
  await cells['cell-a'].kill()
  // Until the next health check.
  await sleep(1000)
  const probes: Awaited<ReturnType<typeof probe>>[] = []
  for (const deadline = performance.now() + 1000 * OUTAGE; performance.now() < deadline; await sleep(100))
    for (const { id } of loads['cell-a']) probes.push(await probe(id))
  const others = loads['cell-b'].filter((session) =>
    session.acknowledgedSince(performance.now() - 2000),
  ).length
  log('cell-a is started again')
  await cells['cell-a'].restart()
  await workSince(performance.now(), loads['cell-a'])

  const refused = probes.filter(
    ({ status, retryAfter, cell }) => status === 503 && retryAfter === '1' && cell === 'cell-a',
  )
  expect(
    `cell-a is killed for ${OUTAGE} s: calls of its sessions`,
    '503 of cell-a with Retry-After',
    `${refused.length} of ${probes.length}`,
    refused.length === probes.length,
  )
  expect(
    '– sessions of cell-b that go on',
    'all',
    `${others} of ${SESSIONS_OF_A_CELL}`,
    others === SESSIONS_OF_A_CELL,
  )
  const errors = loads['cell-b'].flatMap((session) => session.errorsSince(since))
  expect('– errors in sessions of cell-b', '0', summary(errors), errors.length === 0)
  log(`errors in sessions of cell-a: ${summary(loads['cell-a'].flatMap((s) => s.errorsSince(since)))}`)
}

/** Moves a session from cell-a to cell-b, as docs/cells.md has it. */
async function moveUnderLoad(session: SessionLoad, loads: Record<Name, SessionLoad[]>) {
  log('a session is moved from cell-a to cell-b')
  const [cellsMap, movingMap] = [join(folder, 'cells.map'), join(folder, 'moving.map')]
  const since = performance.now()
  await haproxy(`add map ${movingMap} ${session.id} 1`)
  // A call that is refused is counted for a moment, too.
  await until('no write is in flight', async () => {
    const counted = await haproxy(`show table writes key ${session.id}`)
    return !counted.includes('conn_cur=') || counted.includes('conn_cur=0')
  })
  const run = promisify(execFile)
  const [from, to] = [cells['cell-a'].database, cells['cell-b'].database]
  const server = `"${process.execPath}" "${entry}"`
  await run('sh', [
    '-c',
    `${server} export --session ${session.id} --to - --database-url ${from} | ${server} import --from - --database-url ${to}`,
  ])
  await haproxy(`add map ${cellsMap} ${session.id} cell-b`)
  await haproxy(`del map ${movingMap} ${session.id}`)
  const seconds = (performance.now() - since) / 1000
  await run(process.execPath, [entry, 'prune', '--session', session.id, '--database-url', from])
  await until('the session goes on', () => session.acknowledgedSince(since + 1000 * seconds))

  const { cell } = await probe(session.id)
  expect('a session is moved: it is', 'in cell-b', `in ${cell}`, cell === 'cell-b')
  const errors = session.errorsSince(since)
  expect(
    `– its writes are refused (for ${seconds.toFixed(1)} s here)`,
    'only 503 overloaded',
    summary(errors),
    errors.every((kind) => kind === '503 overloaded'),
  )
  expect(
    '– leases that its two agents lose, and resume',
    '≤ 2',
    `${session.lostLeases()}`,
    session.lostLeases() <= 2,
  )
  const others = Object.values(loads)
    .flat()
    .filter((other) => other !== session)
    .flatMap((other) => other.errorsSince(since))
  expect('– errors in other sessions', '0', summary(others), others.length === 0)
  loads['cell-a'] = loads['cell-a'].filter((other) => other !== session)
  loads['cell-b'].push(session)
}

/** Compares the databases with what was acknowledged, and where it should be. */
async function verify(loads: Record<Name, SessionLoad[]>) {
  const databases = Object.fromEntries(
    names.map((name) => [name, postgres(cells[name].database, { max: 1 })]),
  )
  const [lost, doubled]: [string[], string[]] = [[], []]
  let [writes, strayed] = [0, 0]
  for (const name of names) {
    const others = names.filter((other) => other !== name).map((other) => databases[other]!)
    for (const session of loads[name]) {
      const found = await session.verify(databases[name]!, others)
      lost.push(...found.lost)
      doubled.push(...found.doubled)
      writes += session.acknowledged.length
      if ((await probe(session.id)).cell !== name) strayed++
    }
  }
  for (const sql of Object.values(databases)) await sql.end()
  const some = (found: string[]) => [found.length, ...found.slice(0, 3)].join('; ')
  expect('sessions that are in another cell at the end', '0', `${strayed}`, strayed === 0)
  expect('lost acknowledged writes', '0', `${some(lost)} of ${writes}`, lost.length === 0)
  expect('duplicate or unexpected writes', '0', `${some(doubled)} of ${writes}`, doubled.length === 0)
}

/** Creates tasks in sessions of one cell and of both, in turns. */
async function compareThroughput() {
  log('comparing the throughput')
  const measure = async (sessions: string[]) => {
    let calls = 0
    const end = performance.now() + 1000 * SECONDS
    const client = createClient({ baseUrl: service })
    const create = async (session: string) => {
      for (; performance.now() < end; calls++) await client.session(session).tasks.create({ title: 'task' })
    }
    await Promise.all(sessions.map(create))
    return calls / SECONDS
  }
  const [a, b] = [await newSessions('cell-a', CLIENTS), await newSessions('cell-b', CLIENTS / 2)]
  const both = [...a.slice(CLIENTS / 2), ...b]
  await measure(both)
  const ratios: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const one = await measure(a)
    const two = await measure(both)
    log(`creates per second: ${one} with one cell, ${two} with two`)
    ratios.push(two / one)
  }
  const list = ratios.sort((x, y) => x - y).map((ratio) => ratio.toFixed(2))
  expect('throughput of two cells beside one, all on this machine', '–', `${list.join(', ')} times`, true)
}

/** How often there was each kind of error. */
function summary(kinds: string[]): string {
  const counts = [...new Set(kinds)].map(
    (kind) => `${kinds.filter((other) => other === kind).length} × ${kind}`,
  )
  return counts.join(', ') || '0'
}
