/** The commands `import` and `export`. What they have to say goes to stderr: stdout is for data. */

import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import type { Database, Db } from '../db/database.js'
import { driverError } from '../db/failures.js'
import { openDatabase } from '../db/open.js'
import type { Config } from '../start/config.js'
import { copy, type Report, type Source } from './copy.js'
import { readLines, writeLines } from './jsonl.js'
import { isPostgres, openLegacy } from './legacy.js'
import { type Out, showProgress } from './progress.js'
import { TABLES } from './rows.js'
import { countRows } from './store.js'

/** For how many milliseconds a database to import from may say nothing at the start. */
const START_TIMEOUT = 30_000

/** Opens the database of the settings for one of the commands below, and closes it after that. */
export async function withDatabase<T>(
  config: Config,
  command: (database: Database) => Promise<T>,
): Promise<T> {
  const database = await openDatabase(config.DATABASE_URL, {
    poolSize: 1,
    // Nobody waits for an answer here.
    statementTimeout: 0,
    lockTimeout: config.LOCK_TIMEOUT_MS,
    startTimeout: config.DATABASE_START_TIMEOUT_MS,
    onWait: (location) => process.stderr.write(`waiting for ${location}\n`),
  })
  try {
    return await command(database)
  } finally {
    await database.close()
  }
}

/**
 * Copies batches and tasks into the database, in one transaction: from a database of the Python service, or from a file
 * that {@link exportTo} wrote. A row whose id is there already is left as it is there.
 *
 * @param from The URL of a PostgreSQL, the name of a file, or `-` for stdin.
 * @param dryRun Whether to undo it all in the end, and so only tell what would be done.
 */
export async function importFrom(
  { db, location }: Database,
  { from, dryRun = false }: { from: string; dryRun?: boolean },
  out: Out = process.stderr,
): Promise<Report> {
  const source = await openSource(from)
  const progress = showProgress(source.total.batches + source.total.tasks, out)
  let report: Report | undefined
  try {
    await db.transaction(async (transaction) => {
      report = await copy(source, transaction, progress)
      if (dryRun) transaction.rollback()
    })
  } catch (error) {
    const isRolledBack = dryRun && report !== undefined
    if (!isRolledBack) throw new Error(`nothing was copied: ${reason(error)}`)
  } finally {
    progress.end()
    await source.close()
  }
  summarise(report!, `${dryRun ? 'would be copied' : 'copied'} to ${location}`, out)
  return report!
}

/**
 * Writes all batches and tasks, as they are at one moment, as JSON Lines.
 *
 * @param to The name of a file, which is there when it is complete and not before, or `-` for stdout.
 */
export async function exportTo(
  { db, location }: Database,
  { to }: { to: string },
  out: Out = process.stderr,
): Promise<Source['total']> {
  const unfinished = `${to}.unfinished`
  const write = async (transaction: Db) => {
    const total = await countRows(transaction)
    const progress = showProgress(total.batches + total.tasks, out)
    const lines = writeLines(transaction, total, progress)
    try {
      if (to === '-') await pipeline(lines, process.stdout, { end: false })
      else await pipeline(lines, createWriteStream(unfinished, { flush: true }))
    } finally {
      progress.end()
    }
    return total
  }
  try {
    const oneMoment = { isolationLevel: 'repeatable read', accessMode: 'read only' } as const
    const total = await db.transaction(write, oneMoment)
    if (to !== '-') await rename(unfinished, to)
    for (const table of TABLES) out.write(`${table}: ${total[table]} exported from ${location}\n`)
    return total
  } catch (error) {
    if (to !== '-') await rm(unfinished, { force: true })
    throw new Error(`the export is not complete: ${reason(error)}`)
  }
}

async function openSource(from: string): Promise<Source & { close: () => Promise<void> }> {
  if (isPostgres(from)) return openLegacy(from, START_TIMEOUT)
  const input = from === '-' ? process.stdin : createReadStream(from)
  try {
    return { ...(await readLines(input)), close: async () => void input.destroy() }
  } catch (error) {
    input.destroy()
    throw new Error(`cannot read ${from === '-' ? 'stdin' : from}: ${reason(error)}`)
  }
}

function summarise(report: Report, done: string, out: Out) {
  for (const [what, times] of report.mended) out.write(`mended ${times}: ${what}\n`)
  for (const table of TABLES) {
    const { copied, known, skipped } = report[table]
    out.write(`${table}: ${copied} ${done}, ${known} already there, ${skipped} not copied\n`)
  }
  if (!report.complete) {
    out.write(
      'Not all was copied, see above. When the rest is put right there, import again: it adds what is missing.\n',
    )
  }
}

/** Why it failed, without SQL. */
function reason(error: unknown) {
  const { message, code } = driverError(error)
  return message || code
}
