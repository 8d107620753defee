import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The process ids of the PostgreSQL server on this data directory, postmaster first; empty if it is not running. Linux only. */
export function postgresProcesses(dataDirectory: string): number[] {
  let postmaster: number
  try {
    postmaster = Number(readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8').split('\n', 1))
  } catch {
    return []
  }
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === postmaster)
  return [postmaster, ...children].filter(isRunning)
}

function parentOf(pid: number): number | undefined {
  try {
    // The parent is the second field after the name, which is in parentheses and may contain any character.
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[1])
  } catch {
    return undefined
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
