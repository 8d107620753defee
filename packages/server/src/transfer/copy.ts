/** Copies rows into the database: all that keep the rules, each at most once, in one transaction. */
import type { Db } from '../db/database.js'
import type { Progress } from './progress.js'
import { createCheck, type GivenRow, type Row, TABLES, type Table } from './rows.js'
import { addRows } from './store.js'

/** Where rows come from: the database of the Python service, or a file. */
export interface Source {
  /** How many rows of each table it says it has. */
  total: Record<Table, number>
  /** Batches before their tasks, and what was mended of each; or what is wrong where a row should be. */
  rows: AsyncIterable<{ table: Table; row: GivenRow; mended?: string[] } | { mistake: string }>
}

interface Counts {
  /** Rows that are in the database now and were not before. */
  copied: number
  /** Rows whose id was in the database already: they are left as they are there. */
  known: number
  /** Rows that break a rule, and are not copied. */
  skipped: number
}

export interface Report {
  batches: Counts
  tasks: Counts
  /** How often what was mended, in the rows that were copied. */
  mended: Map<string, number>
  /** Whether every row of the source is in the database now. */
  complete: boolean
}

/** Rows a statement. */
const CHUNK = 500

/** @param db A transaction: what stops the copying undoes it. */
export async function copy(source: Source, db: Db, progress: Progress): Promise<Report> {
  const check = createCheck()
  const report: Report = {
    batches: { copied: 0, known: 0, skipped: 0 },
    tasks: { copied: 0, known: 0, skipped: 0 },
    mended: new Map(),
    complete: true,
  }
  const seen = { batches: 0, tasks: 0 }
  const skip = (table: Table, id: unknown, why: string) => {
    report[table].skipped++
    report.complete = false
    progress.tell(`not copied: ${table === 'tasks' ? 'task' : 'batch'} ${id}: ${why}`)
  }

  let chunk: { table: Table; rows: { row: Row; mended: string[] }[] } = { table: 'batches', rows: [] }
  const flush = async () => {
    const { table, rows } = chunk
    if (rows.length === 0) return
    const { added, orphans } = await addRows(
      db,
      table,
      rows.map(({ row }) => row),
    )
    report[table].copied += added.length
    report[table].known += rows.length - added.length - orphans.length
    for (const id of orphans) skip(table, id, 'its batch is not there')
    const isNew = new Set(added)
    for (const what of rows.flatMap(({ row, mended }) => (isNew.has(row.id.toLowerCase()) ? mended : []))) {
      report.mended.set(what, (report.mended.get(what) ?? 0) + 1)
    }
    progress.advance(rows.length)
  }

  for await (const item of source.rows) {
    if ('mistake' in item) {
      report.complete = false
      progress.tell(`not copied: ${item.mistake}`)
      continue
    }
    const { table, row: given, mended = [] } = item
    seen[table]++
    const checked = check(table, given)
    if ('mistake' in checked) {
      skip(table, given.id, checked.mistake)
      progress.advance(1)
      continue
    }
    if (chunk.table !== table || chunk.rows.length === CHUNK) {
      await flush()
      chunk = { table, rows: [] }
    }
    chunk.rows.push({ row: checked.row, mended: [...mended, ...checked.mended] })
  }
  await flush()

  for (const table of TABLES) {
    if (seen[table] === source.total[table]) continue
    report.complete = false
    progress.tell(`${table}: ${seen[table]} of ${source.total[table]} that should be there`)
  }
  return report
}
