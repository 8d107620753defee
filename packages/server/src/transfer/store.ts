/** The statements that read and write whole tables. */
import { getTableColumns, gt, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db/database.js'
import type { Json } from '../db/json.js'
import { column, json, timestamp } from '../db/sql.js'
import { batches, tasks } from '../db/tables.js'
import { taskColumns } from '../tasks/store.js'
import { type Row, TABLES, type Table } from './rows.js'

const tables = { batches, tasks }

/** The columns as they travel: as the API answers them, and what it does not. */
const columns = {
  batches: {
    id: column(batches.id),
    session_id: column(batches.session_id),
    reason: column(batches.reason),
    created_at: timestamp(batches.created_at),
  },
  tasks: { ...taskColumns, position: column(tasks.position) },
}

const PAGE = 1000

/** How many rows each table has. */
export async function countRows(db: Db): Promise<Record<Table, number>> {
  const [batchCount, taskCount] = [await db.$count(batches), await db.$count(tasks)]
  return { batches: batchCount, tasks: taskCount }
}

/** All rows, a page at a time, by id. For one moment’s rows, call it in a transaction that sees one. */
export async function* readRows(db: Db): AsyncGenerator<{ table: Table; rows: Json<Row>[] }> {
  for (const table of TABLES) {
    let last: string | undefined
    while (true) {
      const page = db
        .select(columns[table] as (typeof columns)['tasks'])
        .from(tables[table])
        .where(last === undefined ? undefined : gt(tables[table].id, last))
        .orderBy(tables[table].id)
        .limit(PAGE)
        .as('page')
      const rows = await db
        .select({ id: page.id, json: json<Row>(page) })
        .from(page)
        .orderBy(page.id)
      if (rows.length > 0) yield { table, rows: rows.map((row) => row.json) }
      if (rows.length < PAGE) break
      last = rows.at(-1)!.id
    }
  }
}

/**
 * Adds rows in one statement, and answers the ids of those that are new, and of tasks that are not added since their
 * batch is not there. A row whose id is there already is left as it is there.
 */
export async function addRows(
  db: Db,
  table: Table,
  rows: Row[],
): Promise<{ added: string[]; orphans: string[] }> {
  const names = sql.join(
    Object.values(getTableColumns(tables[table])).map(({ name }) => sql.identifier(name)),
    sql`, `,
  )
  const given = db
    .$with('given', {})
    .as(
      sql`select ${names} from jsonb_populate_recordset(null::${tables[table]}, ${JSON.stringify(rows)}::jsonb)`,
    )
  const isOrphan: SQL =
    table === 'tasks'
      ? sql`(given.batch_id is not null and not exists (select from ${batches} where ${batches.id} = given.batch_id))`
      : sql`false`
  const added = db.$with('added').as(
    db
      .insert(tables[table] as typeof tasks)
      .select(sql`select * from given where not ${isOrphan}`)
      .onConflictDoNothing()
      .returning({ id: tasks.id }),
  )
  const ids = (rows: SQL) =>
    sql<string[]>`(select coalesce(json_agg(id), '[]') from ${rows})::text`.mapWith(JSON.parse)
  const [result] = await db
    .with(given, added)
    .select({ added: ids(sql`added`), orphans: ids(sql`given where ${isOrphan}`) })
    .from(sql`(values (1)) as one`)
  return result!
}
