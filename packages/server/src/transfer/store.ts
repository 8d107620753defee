/** The statements that read and write whole tables. */
import { and, getTableColumns, gt, type SQL, sql } from 'drizzle-orm'
import { batchColumns, recordExtension } from '../batches/store.js'
import type { StoreDb } from '../db/database.js'
import { type Json, rowAsJson, toJson } from '../db/json.js'
import { columnsOf, isOwn } from '../db/sql.js'
import { qb, statement } from '../db/statement.js'
import { batches, tasks } from '../db/tables.js'
import { type Recorded, recorded } from '../events/record.js'
import { rowColumns } from '../tasks/columns.js'
import { type Row, TABLES, type Table } from './rows.js'

const tables = { batches, tasks }
const columns: Record<Table, Record<string, SQL.Aliased>> = { batches: batchColumns, tasks: rowColumns }

const PAGE = 1000

interface Filter {
  /** Only rows of these sessions: an array of PostgreSQL. */
  sessions?: string | undefined
}

const count = statement<Filter, Record<Table, number>>(($) => {
  const rowsOf = (table: Table) => {
    const rows = qb
      .select({ it: sql`1` })
      .from(tables[table] as typeof tasks)
      .where(isOwn(tables[table].session_id, $.sessions))
    return sql<number>`(select count(*)::int from (${rows.getSQL()}) as counted)`.as(table)
  }
  return qb.select({ batches: rowsOf('batches'), tasks: rowsOf('tasks') }).from(sql`(values (1)) as one`)
})

/** How many rows each table has, of all sessions or of some. */
export async function countRows(db: StoreDb, sessions?: string): Promise<Record<Table, number>> {
  const [counts] = await count(db, { sessions })
  return counts!
}

interface PageValues extends Filter {
  after?: string | undefined
}

const selectPage = statement<PageValues, { id: string; json: Json<Row> }, Table>(($, table) => {
  const { id, session_id } = tables[table]
  const page = qb
    .select(columns[table])
    .from(tables[table] as typeof tasks)
    .where(and($.after && gt(id, $.after), isOwn(session_id, $.sessions)))
    .orderBy(id)
    .limit(PAGE)
    .as('page')
  return qb
    .select({ id: sql<string>`id`, json: rowAsJson<Row>(page) })
    .from(page)
    .orderBy(sql`id`)
})

/**
 * All rows, or those of some sessions, a page at a time, by id. For the rows of one moment, call it in a transaction that
 * reads a snapshot.
 */
export async function* readRows(
  db: StoreDb,
  sessions?: string,
): AsyncGenerator<{ table: Table; rows: Json<Row>[] }> {
  for (const table of TABLES) {
    let after: string | undefined
    while (true) {
      const rows = await selectPage(db, { after, sessions }, table)
      if (rows.length > 0) yield { table, rows: rows.map(({ json }) => json) }
      if (rows.length < PAGE) break
      after = rows.at(-1)!.id
    }
  }
}

/** What an older export lacks, and what no export has. */
const computed: Partial<Record<string, SQL>> = {
  blocked_by: sql`coalesce(blocked_by, '{}')`,
  metadata: sql`coalesce(metadata, '{}')`,
  // Nobody knows the token: the lease can expire, and its worker can resume the task.
  lease_token: sql`case when claimed_by is not null then gen_random_uuid() end`,
  lease_expires_at: sql`case when claimed_by is not null then coalesce(lease_expires_at, now()) end`,
}

const prepare = statement<Recorded, { it: string }>(($) =>
  qb
    .select({ it: sql<string>`set_config('aklp.check_blockers', 'off', true)`.as('it') })
    .from(sql`(values (1)) as one`)
    .where(recorded($.by)),
)

/** Allows rows whose blockers were reopened after they were begun, and says how events are kept, until the transaction ends. */
export const prepareImport = async (transaction: StoreDb, eventDays: number) =>
  void (await prepare(transaction, { by: toJson({ days: eventDays }) }))

/** Writes the events of batches that were there before the import, and got tasks by it. */
export async function recordTasks(transaction: StoreDb, rows: Row[], eventDays: number) {
  const extended: Record<string, string[]> = {}
  for (const { id, batch_id } of rows as (typeof tasks.$inferSelect)[]) {
    if (batch_id == null) continue
    extended[batch_id.toLowerCase()] ??= []
    extended[batch_id.toLowerCase()]!.push(id.toLowerCase())
  }
  const ids = Object.keys(extended)
  if (eventDays > 0 && ids.length > 0)
    await recordExtension(transaction, { ids: `{${ids}}`, by: toJson({ days: eventDays, extended }) })
}

const insert = statement<{ rows: string }, Record<'added' | 'orphans', Json<string[]>>, Table>(($, table) => {
  const values = Object.values(getTableColumns(tables[table])).map(({ name }) =>
    computed[name] ? sql`${computed[name]} as ${sql.identifier(name)}` : sql.identifier(name),
  )
  const given = qb
    .$with('given', {})
    .as(
      sql`select ${sql.join(values, sql`, `)} from jsonb_populate_recordset(null::${tables[table]}, ${$.rows}::jsonb)`,
    )
  const isOrphan =
    table === 'tasks'
      ? sql`(given.batch_id is not null and not exists (select from ${batches} where ${batches.id} = given.batch_id))`
      : sql`false`
  const added = qb.$with('added').as(
    qb
      .insert(tables[table] as typeof tasks)
      .select(sql`select ${columnsOf(tables[table])} from given where not ${isOrphan}`)
      .onConflictDoNothing()
      .returning({ id: tasks.id }),
  )
  const ids = (rows: SQL, name: string) =>
    sql<Json<string[]>>`(select coalesce(json_agg(id), '[]') from ${rows})::text`.as(name)
  return qb
    .with(given, added)
    .select({
      added: ids(sql`added`, 'added'),
      orphans: ids(sql`given where ${isOrphan}`, 'orphans'),
    })
    .from(sql`(values (1)) as one`)
})

/**
 * Adds rows in one statement. Returns the ids of those that are new, and of tasks that are not added because their batch
 * does not exist. Existing ids are skipped, even if the row has changed.
 */
export async function addRows(
  db: StoreDb,
  table: Table,
  rows: Row[],
): Promise<{ added: string[]; orphans: string[] }> {
  const [result] = await insert(db, { rows: JSON.stringify(rows) }, table)
  const { added, orphans } = result!
  return { added: JSON.parse(added), orphans: JSON.parse(orphans) }
}
