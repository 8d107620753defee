/** Exports batches and tasks from an open database. */

import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import type { Database, StoreDb } from '../db/database.js'
import { reasonOf } from '../db/failures.js'
import type { Source } from './copy.js'
import { writeLines } from './jsonl.js'
import { type Out, showProgress } from './progress.js'
import { TABLES } from './rows.js'
import { countRows } from './store.js'

/**
 * Writes all batches and tasks as JSON Lines, in one snapshot.
 *
 * @param session Only this session, a UUID.
 * @param to The path of a file, which appears only when it is complete, or `-` for stdout.
 * @param out Where progress and the report are written.
 */
export async function exportTo(
  { transaction, location }: Database,
  { to, session }: { to: string; session?: string },
  out: Out = process.stderr,
): Promise<Source['total']> {
  const unfinished = `${to}.unfinished`
  const write = async (db: StoreDb) => {
    await db.run('set transaction isolation level repeatable read, read only', [])
    const sessions = session && `{${session}}`
    const total = await countRows(db, sessions)
    const progress = showProgress(total.batches + total.tasks, out)
    const lines = writeLines(db, total, progress, sessions)
    if (to === '-') await pipeline(lines, process.stdout, { end: false })
    else await pipeline(lines, createWriteStream(unfinished, { flush: true }))
    return total
  }
  try {
    const total = await transaction(write)
    if (to !== '-') await rename(unfinished, to)
    for (const table of TABLES) out.write(`${table}: ${total[table]} exported from ${location}\n`)
    return total
  } catch (error) {
    if (to !== '-') await rm(unfinished, { force: true })
    throw new Error(`the export is not complete: ${reasonOf(error)}`)
  }
}
