/** The processes of the test: each writes to a log file of its own, and none outlives this one. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Where everything is written; removed at the end. */
export const folder = mkdtempSync(join(tmpdir(), 'aklp-ha-'))
// PostgreSQL and its keepers run as another user.
chmodSync(folder, 0o755)

/** PostgreSQL refuses to run as root: then it and its keepers run as the user of the Debian package. */
const keeper =
  process.getuid?.() === 0
    ? {
        uid: Number(execFileSync('id', ['-u', 'postgres'])),
        gid: Number(execFileSync('id', ['-g', 'postgres'])),
      }
    : {}

const running = new Set<ChildProcess>()

export interface Options {
  /** Runs as the user postgres where this process runs as root. */
  kept?: boolean
  environment?: Record<string, string>
}

/** Starts a program. Its output goes to a log file that has its name. */
export function start(name: string, command: string, args: string[], { kept, environment }: Options = {}) {
  const log = openSync(join(folder, `${name}.log`), 'a')
  const child = spawn(command, args, {
    cwd: folder,
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', log, log],
    ...(kept && keeper),
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  // One that is not there is found by what waits for it.
  child.once('error', () => running.delete(child))
  return child
}

/** Sends a signal, and waits until the program has ended. */
export async function end(child: ChildProcess, signal: NodeJS.Signals) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  await ended
}

/** A folder of its own for a program that runs as the user postgres. */
export function newFolder(name: string): string {
  const path = join(folder, name)
  mkdirSync(path)
  if (keeper.uid !== undefined) execFileSync('chown', [`${keeper.uid}:${keeper.gid}`, path])
  return path
}

/** The server of PostgreSQL on a data folder with all its children; they are no children of this process. */
export function postgresProcesses(data: string): number[] {
  let server: number
  try {
    server = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n', 1))
  } catch {
    return []
  }
  const children = readdirSync('/proc').filter((pid) => {
    try {
      // The parent is the second field behind the name, which stands in brackets.
      return (
        /^\d+$/.test(pid) &&
        readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[1] === `${server}`
      )
    } catch {
      return false
    }
  })
  return existing([server, ...children.map(Number)])
}

const existing = (pids: number[]) => pids.filter((pid) => signal(0, [pid]))

/** Sends a signal to each that is still there; whether one was. */
export function signal(name: NodeJS.Signals | 0, pids: number[]): boolean {
  return pids
    .map((pid) => {
      try {
        return process.kill(pid, name)
      } catch {
        return false
      }
    })
    .includes(true)
}

const data = new Set<string>()
/** PostgreSQL on this data folder ends with this process. */
export const endsWithUs = (path: string) => data.add(path)

process.once('exit', () => {
  const ours = [...running].map(({ pid }) => pid!)
  signal('SIGKILL', ours)
  for (const path of data) signal('SIGKILL', postgresProcesses(path))
  rmSync(folder, { recursive: true, force: true, maxRetries: 20 })
})
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => process.exit(1))

/** Waits until it holds; fails after so many seconds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, seconds = 90) {
  for (
    const deadline = Date.now() + seconds * 1000;
    !(await Promise.resolve(holds()).catch(() => false));
    await sleep(200)
  ) {
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`)
  }
}
