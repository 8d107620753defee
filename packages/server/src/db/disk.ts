/**
 * Keeps the embedded database away from a disk that is full or read-only. PGlite does not survive a write that fails:
 * the statement after it never ends, and takes the whole process with it.
 */
import { accessSync, constants, statfsSync } from 'node:fs'
import type { PGlite } from '@electric-sql/pglite'
import { driverError } from './failures.js'

/** What must be free, in bytes: PostgreSQL takes its log in pieces of 16 MiB, and makes the next one early. */
const RESERVE = 64 * 2 ** 20

/** Throws unless the folder can be written to, and its disk has room. */
export function requireRoom(folder: string) {
  accessSync(folder, constants.W_OK)
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  if (free < RESERVE) {
    const [have, need] = [free, RESERVE].map((bytes) => Math.floor(bytes / 2 ** 20))
    throw Object.assign(new Error(`the disk is full: ${have} MiB are free, and ${need} MiB are needed`), {
      code: 'ENOSPC',
    })
  }
}

/** Lets no statement begin without room, and none at all after a write has failed nevertheless. */
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

/** Disk full, and system errors (PostgreSQL, appendix A); or PGlite itself fell over, which has no code. */
function writeFailed(error: unknown) {
  const { code } = driverError(error)
  return typeof code !== 'string' || /^(53100|58...)$/.test(code)
}
