/** SQL fragments shared by the stores. */
import { getTableColumns, type Placeholder, type SQL, sql } from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'

/** A timestamp as the API writes it. The database formats it, so that it stays text up to the response. */
export const timestampAsText = (value: SQL) =>
  sql`to_char(${value} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

/** Whether a column holds timestamps. */
export const isTimestamp = (column: PgColumn) => column.getSQLType().startsWith('timestamp')

/** A column with timestamps, as {@link timestampAsText} writes it. */
export const timestamp = <T extends PgColumn>(column: T) =>
  (timestampAsText(sql`${column}`) as SQL<T['_']['notNull'] extends true ? string : string | null>).as(
    column.name,
  )

/** A column as it is, read from its table or from rows with the same columns. */
export const plain = <T extends PgColumn>(column: T) =>
  sql<T['_']['notNull'] extends true ? T['_']['data'] : T['_']['data'] | null>`${column}`.as(column.name)

/** Fields with their names, as a select lists them, for SQL that Drizzle does not write. */
export const named = (fields: Record<string, SQL.Aliased>): SQL =>
  sql.join(
    Object.entries(fields).map(([name, field]) => sql`${field.sql} as ${sql.identifier(name)}`),
    sql`, `,
  )

/** A list of names, separated by commas. */
export const identifiers = (names: readonly string[]): SQL =>
  sql.join(
    names.map((name) => sql.identifier(name)),
    sql`, `,
  )

/** The names of all columns of a table, in the order in which an insert of Drizzle lists them. */
export const columnsOf = (table: PgTable): SQL =>
  identifiers(Object.values(getTableColumns(table)).map(({ name }) => name))

/** The sort keys of a list: rows without a value last in both orders, equal ones by id in the same direction. */
export function ordering(column: PgColumn, id: PgColumn, order: 'asc' | 'desc'): SQL[] {
  const direction = sql.raw(order)
  // An index serves the order of a column that is never null only if the nulls are not mentioned.
  const nulls = column.notNull ? sql`` : sql` nulls last`
  return [sql`${column} ${direction}${nulls}`, sql`${id} ${direction}`]
}

/** The value of statements that see only the rows of some sessions. */
export interface Visible {
  /** The sessions as an array of PostgreSQL; all rows are visible without it. */
  own_sessions?: string | undefined
}

/** What a caller sees, as a value for statements. */
export const visibleTo = ({ sessions }: { sessions?: readonly string[] }): Visible => ({
  own_sessions: sessions && `{${sessions}}`,
})

/** The condition that a row belongs to one of the sessions, if they are given. */
export const isOwn = (session_id: PgColumn, own_sessions: Placeholder | undefined): SQL | undefined =>
  own_sessions && sql`${session_id} = any(${own_sessions}::uuid[])`
