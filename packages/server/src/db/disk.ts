/**
 * Rejects statements of the embedded database while the disk is full or read-only. After a failed write, the next statement
 * of PGlite never returns and blocks the whole process.
 */
import { accessSync, constants, statfsSync } from 'node:fs'
import type { PGlite } from '@electric-sql/pglite'
import { driverError } from './failures.js'

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

/** Rejects each statement while there is no room, and all statements once a write has failed. */
export function guardDisk(client: PGlite, folder: string) {
  const query = client.query.bind(client)
  let failed: unknown
  client.query = async (...args: Parameters<PGlite['query']>) => {
    if (failed !== undefined) throw failed
    requireRoom(folder)
    try {
      return (await query(...args)) as never
    } catch (error) {
      if (writeFailed(error)) failed = error
      throw error
    }
  }
}

/** Disk full or system error (PostgreSQL, appendix A), or a crash of PGlite itself, which has no code. */
function writeFailed(error: unknown) {
  const { code } = driverError(error)
  return typeof code !== 'string' || /^(53100|58...)$/.test(code)
}
