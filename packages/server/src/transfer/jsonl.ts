/**
 * Backups as JSON Lines: the first line says what follows, each further one is a row. PostgreSQL writes the JSON, and
 * neither reading nor writing holds more than a page of rows in memory.
 */
import type { StoreDb } from '../db/database.js'
import { type Json, jsonObject, toJson } from '../db/json.js'
import type { Source } from './copy.js'
import type { Progress } from './progress.js'
import type { Row, Table } from './rows.js'
import { readRows } from './store.js'

/** Raised when older servers would misread the file. */
const FORMAT = 1

/** The key of a row in a line: `{"task":{"id":…}}`. */
const names = { batches: 'batch', tasks: 'task' } as const
const tableOf: Record<string, Table> = { batch: 'batches', task: 'tasks' }

/** In characters, far more than any row has: a file without line breaks must not be read into memory. */
const LONGEST_LINE = 1_000_000

/** The input is not an export of this service. */
class FormatError extends Error {}

/** The first line: how many rows of each table follow. */
export const toHeader = (total: Source['total']) => toJson({ aklp_task_export: FORMAT, ...total })

/** The lines of rows. */
export const toLines = (table: Table, rows: Json<Row>[]) =>
  rows.map((row) => `${jsonObject({ [names[table]]: row })}\n`).join('')

/** The lines of an export, some at a time: of all sessions, or of an array of them. */
export async function* writeLines(
  db: StoreDb,
  total: Source['total'],
  progress: Progress,
  sessions?: string,
) {
  yield `${toHeader(total)}\n`
  for await (const { table, rows } of readRows(db, sessions)) {
    yield toLines(table, rows)
    progress.advance(rows.length)
  }
}

/** The rows of an export; a line that cannot be read is reported in its place. Throws {@link FormatError}. */
export async function readLines(input: AsyncIterable<Uint8Array>): Promise<Source> {
  const lines = linesOf(input)
  const { value: first } = await lines.next()
  const { aklp_task_export: format, batches, tasks } = (parse(first ?? '') ?? {}) as Record<string, unknown>
  if (typeof format !== 'number' || typeof batches !== 'number' || typeof tasks !== 'number') {
    throw new FormatError(
      'it is not an export of this service: its first line must look like {"aklp_task_export":1,"batches":2,"tasks":8}',
    )
  }
  if (format > FORMAT) throw new FormatError('it was written by a newer server; upgrade this one')
  return { total: { batches, tasks }, rows: rowsOf(lines) }
}

async function* rowsOf(lines: AsyncIterable<string>): Source['rows'] {
  let number = 1
  for await (const line of lines) {
    number++
    const [[name, row] = []] = Object.entries(parse(line) ?? {})
    const table = tableOf[name ?? '']
    yield table !== undefined && typeof row === 'object' && row !== null
      ? { table, row }
      : { mistake: `line ${number}: expected {"batch":{…}} or {"task":{…}}` }
  }
}

function parse(line: string): object | undefined {
  try {
    const value = JSON.parse(line)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

/** Lines end with \n only: node:readline would also split at U+2028 and U+2029, which JSON allows in strings. */
async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  try {
    for await (const bytes of input) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
      rest = lines.pop()!
      yield* lines
      if (rest.length > LONGEST_LINE) throw new FormatError('a line is longer than in any export')
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? new FormatError('it is not UTF-8 text') : error
  }
  if (rest !== '') yield rest
}
