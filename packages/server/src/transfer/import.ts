/** Imports batches and tasks into an open database. */

import { createReadStream } from 'node:fs'
import type { Database } from '../db/database.js'
import { reasonOf } from '../db/failures.js'
import { copy, type Report, type Source } from './copy.js'
import { readLines } from './jsonl.js'
import { isPostgres, openLegacy } from './legacy.js'
import { type Out, showProgress } from './progress.js'
import { TABLES } from './rows.js'

/** How long to wait for a database to import from, in milliseconds. */
const START_TIMEOUT = 30_000

/**
 * Copies batches and tasks into the database, in one transaction: from a database of the Python service, or from an export
 * file. Existing ids are skipped, even if the row has changed.
 *
 * @param from The URL of a PostgreSQL database, the path of a file, or `-` for stdin.
 * @param eventDays For how many days events are kept; 0 for none at all.
 * @param dryRun Whether to roll back in the end, and so only report what would be copied.
 * @param out Where progress and the report are written.
 */
export async function importFrom(
  { transaction, location }: Database,
  { from, eventDays, dryRun = false }: { from: string; eventDays: number; dryRun?: boolean },
  out: Out = process.stderr,
): Promise<Report> {
  const source = await openSource(from)
  const progress = showProgress(source.total.batches + source.total.tasks, out)
  let report: Report | undefined
  try {
    await transaction(async (db) => {
      report = await copy(source, db, eventDays, progress)
      if (dryRun) throw new Error('dry run: roll back')
    })
  } catch (error) {
    const isRolledBack = dryRun && report !== undefined
    if (!isRolledBack) throw new Error(`nothing was copied: ${reasonOf(error)}`)
  } finally {
    await source.close()
  }
  summarise(report!, `${dryRun ? 'would be copied' : 'copied'} to ${location}`, out)
  return report!
}

async function openSource(from: string): Promise<Source & { close: () => Promise<void> }> {
  if (isPostgres(from)) return openLegacy(from, START_TIMEOUT)
  // As the path of a file, it would be in the error, with its password.
  if (/^[\w+]+:\/\/|^postgres\w*:/i.test(from)) {
    throw new Error('the source to import from must be a postgresql:// URL, a file, or - for stdin')
  }
  const input = from === '-' ? process.stdin : createReadStream(from)
  try {
    return { ...(await readLines(input)), close: async () => void input.destroy() }
  } catch (error) {
    input.destroy()
    throw new Error(`cannot read ${from === '-' ? 'stdin' : from}: ${reasonOf(error)}`)
  }
}

function summarise(report: Report, done: string, out: Out) {
  for (const [what, times] of report.repaired) out.write(`repaired ${times}: ${what}\n`)
  for (const table of TABLES) {
    const { copied, known, skipped } = report[table]
    out.write(`${table}: ${copied} ${done}, ${known} already existed, ${skipped} skipped\n`)
  }
  if (!report.complete) {
    out.write(
      'Some rows were not copied, see above. Fix them in the source and import again: only missing rows are added.\n',
    )
  }
}
