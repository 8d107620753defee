/** The processes of the test. Each has its own log file, and all are stopped on exit. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { postgresProcesses } from '../../packages/server/bench/postgres-processes.js'

/** Data, settings and logs; removed on exit. */
export const folder = mkdtempSync(join(tmpdir(), 'aklp-ha-'))
// PostgreSQL, Patroni and PgBouncer may run as another user.
chmodSync(folder, 0o755)

/** PostgreSQL does not run as root: it then runs as the user of the Debian package. */
const postgresUser = () =>
  process.getuid?.() === 0
    ? {
        uid: Number(execFileSync('id', ['-u', 'postgres'])),
        gid: Number(execFileSync('id', ['-g', 'postgres'])),
      }
    : {}

const running = new Set<ChildProcess>()

export interface Options {
  /** Runs as the user postgres if this process runs as root. */
  asPostgres?: boolean
  environment?: Record<string, string>
}

/** Starts a program. Its output is written to NAME.log. */
export function start(
  name: string,
  command: string,
  args: string[],
  { asPostgres, environment }: Options = {},
) {
  const log = openSync(join(folder, `${name}.log`), 'a')
  const child = spawn(command, args, {
    cwd: folder,
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', log, log],
    ...(asPostgres && postgresUser()),
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  // A command that does not exist is reported by the `until` that waits for it.
  child.once('error', () => running.delete(child))
  return child
}

/** Sends a signal and waits until the process has exited. */
export async function end(child: ChildProcess, signal: NodeJS.Signals) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  await ended
}

/** A new folder for a program that runs as the user postgres. */
export function newFolder(name: string): string {
  const path = join(folder, name)
  mkdirSync(path)
  const { uid, gid } = postgresUser()
  if (uid !== undefined) execFileSync('chown', [`${uid}:${gid}`, path])
  return path
}

/** Sends a signal to each of these processes that is still running. */
export function signal(name: NodeJS.Signals, pids: number[]) {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {
      // It has exited.
    }
  }
}

const dataDirectories = new Set<string>()
/** Kills the PostgreSQL server on this data directory on exit: it is not a child of this process. */
export const stopOnExit = (dataDirectory: string) => dataDirectories.add(dataDirectory)

process.once('exit', () => {
  signal(
    'SIGKILL',
    [...running].map(({ pid }) => pid!),
  )
  for (const path of dataDirectories) signal('SIGKILL', postgresProcesses(path))
  rmSync(folder, { recursive: true, force: true, maxRetries: 20 })
})
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => process.exit(1))

/** Waits until the condition holds; fails after `seconds`. */
export async function until(name: string, condition: () => boolean | Promise<boolean>, seconds = 90) {
  for (
    const deadline = Date.now() + seconds * 1000;
    !(await Promise.resolve(condition()).catch(() => false));
    await sleep(200)
  ) {
    if (Date.now() > deadline) throw new Error(`timeout after ${seconds} s: ${name}`)
  }
}
