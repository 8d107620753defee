/** Rejects statements of the embedded database that its folder or its disk could not take. */
import { accessSync, constants, type Stats, statfsSync, statSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { driverError, reasonOf } from './failures.js'

/** Minimum free space in bytes: PostgreSQL allocates its WAL in segments of 16 MiB, and the next one early. */
const RESERVE = 64 * 2 ** 20

/** Throws if the folder is not writable or its disk has no room. */
export function requireRoom(folder: string) {
  accessSync(folder, constants.W_OK)
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  if (free < RESERVE) {
    const [have, need] = [free, RESERVE].map((bytes) => Math.floor(bytes / 2 ** 20))
    throw Object.assign(new Error(`the disk is full: ${have} MiB are free, ${need} MiB are required`), {
      code: 'ENOSPC',
    })
  }
}

export interface Guard {
  /** Throws if the database cannot be used. */
  requireUsable(): void
  /** Throws if the database cannot be used, or its disk has no room for a write. */
  requireWritable(): void
  /** Runs a statement unless it would fail for one of these reasons. */
  run<T>(statement: string, query: () => Promise<T>): Promise<T>
}

/**
 * Guards a database in a folder. Statements that only read need no room on the disk.
 *
 * @param file A file of the database that is open in this process.
 */
export async function guardFolder(folder: string, path: string, file: FileHandle): Promise<Guard> {
  const opened = await file.stat()
  let crash: Error | undefined

  const requireUsable = () => {
    if (crash !== undefined) throw crash
    if (isSameFile(opened, statSync(path, { throwIfNoEntry: false }))) return
    const message = `the database folder ${folder} was deleted or replaced while it was in use. Restore it and restart the service`
    throw Object.assign(new Error(message), { code: 'FOLDER_LOST' })
  }
  const requireWritable = () => {
    requireUsable()
    requireRoom(folder)
  }
  return {
    requireUsable,
    requireWritable,
    async run(statement, query) {
      // PostgreSQL allows no write in a statement that begins like this: one in a CTE begins with `with`.
      if (statement.startsWith('select ')) requireUsable()
      else requireWritable()
      try {
        return await query()
      } catch (error) {
        if (!isCrash(error)) throw error
        const message = `the embedded database stopped and is unusable until the service is restarted: ${reasonOf(error)}`
        crash = Object.assign(new Error(message), { code: 'DATABASE_CRASHED' })
        throw crash
      }
    },
  }
}

const isSameFile = (opened: Stats, found: Stats | undefined) =>
  found?.ino === opened.ino && found.dev === opened.dev

/**
 * Whether PGlite itself has stopped: an error of PostgreSQL above ERROR, such as a failed write of the WAL, or one without a
 * code. The next statement may never return and would block the whole process.
 */
function isCrash(error: unknown) {
  const { code, severity } = driverError(error)
  return typeof code !== 'string' || severity === 'FATAL' || severity === 'PANIC'
}
