/** Copies rows into the database: all that are valid, each at most once, in one transaction. */
import type { StoreDb } from '../db/database.js'
import type { Progress } from './progress.js'
import { createCheck, type GivenRow, type Row, TABLES, type Table } from './rows.js'
import { addRows, prepareImport, recordTasks } from './store.js'

/** Where rows come from: the database of the Python service, or a file. */
export interface Source {
  /** How many rows of each table it declares. */
  total: Record<Table, number>
  /** Batches before their tasks, with what was repaired in each; or what is wrong where a row should be. */
  rows: AsyncIterable<{ table: Table; row: GivenRow; repaired?: string[] } | { mistake: string }>
}

interface Counts {
  /** Rows that were added to the database. */
  copied: number
  /** Rows whose id was in the database already. They are not changed. */
  known: number
  /** Invalid rows, which were not copied. */
  skipped: number
}

export interface Report {
  batches: Counts
  tasks: Counts
  /** How often each repair was made in the rows that were copied. */
  repaired: Map<string, number>
  /** Whether every row that the source declares is in the database now. */
  complete: boolean
}

/** Rows for each statement. */
const CHUNK = 500

/**
 * @param db A transaction: an error undoes everything.
 * @param eventDays For how many days events are kept.
 */
export async function copy(
  source: Source,
  db: StoreDb,
  eventDays: number,
  progress: Progress,
): Promise<Report> {
  const check = createCheck()
  const report: Report = {
    batches: { copied: 0, known: 0, skipped: 0 },
    tasks: { copied: 0, known: 0, skipped: 0 },
    repaired: new Map(),
    complete: true,
  }
  const seen = { batches: 0, tasks: 0 }
  const skip = (table: Table, id: unknown, why: string) => {
    report[table].skipped++
    report.complete = false
    progress.print(`skipped: ${table === 'tasks' ? 'task' : 'batch'} ${id}: ${why}`)
  }

  let chunk: { table: Table; rows: { row: Row; repaired: string[] }[] } = { table: 'batches', rows: [] }
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
    for (const id of orphans) skip(table, id, 'its batch does not exist')
    const isNew = new Set(added)
    if (table === 'tasks')
      await recordTasks(
        db,
        rows.map(({ row }) => row).filter(({ id }) => isNew.has(id.toLowerCase())),
        eventDays,
      )
    for (const what of rows.flatMap(({ row, repaired }) =>
      isNew.has(row.id.toLowerCase()) ? repaired : [],
    )) {
      report.repaired.set(what, (report.repaired.get(what) ?? 0) + 1)
    }
    progress.advance(rows.length)
  }

  await prepareImport(db, eventDays)
  for await (const item of source.rows) {
    if ('mistake' in item) {
      report.complete = false
      progress.print(`skipped: ${item.mistake}`)
      continue
    }
    const { table, row: given, repaired = [] } = item
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
    chunk.rows.push({ row: checked.row, repaired: [...repaired, ...checked.repaired] })
  }
  await flush()

  for (const table of TABLES) {
    if (seen[table] === source.total[table]) continue
    report.complete = false
    progress.print(`${table}: found ${seen[table]} rows, expected ${source.total[table]}`)
  }
  return report
}
