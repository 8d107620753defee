/** Pieces of SQL that every store writes the same way. */
import { is, Param, Placeholder, type SQL, type Subquery, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { Caller } from '../http/caller.js'
import type { StoreDb } from './database.js'
import type { Json } from './json.js'

/** A time as the API writes it, made by the database: it stays text all the way to the answer. */
export const timestamp = <T extends PgColumn>(column: T) =>
  sql<T['_']['notNull'] extends true ? string : string | null>`
    to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`.as(column.name)

/** A column as it is, to be read from a table or from rows that are like its own. */
export const column = <T extends PgColumn>(column: T) => sql<T['_']['data']>`${column}`.as(column.name)

/** A row of a subquery as JSON. */
export const json = <T>(subquery: Subquery) =>
  sql<Json<T>>`row_to_json(${sql.identifier(subquery._.alias)})::text`.as('json')

/** All rows of a subquery as one JSON array, in the order of the subquery; empty when it has none. */
export const jsonRows = (subquery: Subquery) =>
  sql`coalesce(json_agg(${sql.identifier(subquery._.alias)}), '[]')`

/** The sort keys of a list: rows without a value last in both orders, equal ones by id in the same direction. */
export function ordering(column: PgColumn, id: PgColumn, order: 'asc' | 'desc'): SQL[] {
  const direction = sql.raw(order)
  // An index serves the order of a column that is never null only where the nulls are not mentioned.
  const nulls = column.notNull ? sql`` : sql` nulls last`
  return [sql`${column} ${direction}${nulls}`, sql`${id} ${direction}`]
}

/** A statement as Drizzle builds it, with the type of its rows. */
interface Query<Row> {
  toSQL(): { sql: string; params: unknown[] }
  execute(): Promise<Row[]>
}

/**
 * Prepares a statement: Drizzle writes it, and the driver runs it. What Drizzle does in each call, to fill in the values and
 * to take the rows apart, costs more than all other code of ours. So every field must have its name in SQL, too
 * ({@link column}, `as`), and the type in which the driver reads it.
 */
export function prepare<Row>(db: StoreDb, query: Query<Row>) {
  const { sql: text, params } = query.toSQL()
  const names = params.map(placeholderOf)
  return (values: Record<string, unknown>) => {
    const given = names.map((name, i) => {
      if (name === undefined) return params[i]
      // One driver would take it for null.
      if (values[name] === undefined) throw new Error(`the statement has no value for ${name}`)
      return values[name]
    })
    return db.run(text, given) as Promise<Row[]>
  }
}

/** Prepares a statement the first time its shape is asked for, and keeps it. */
export function preparedByShape<Shape, Row>(db: StoreDb, build: (shape: Shape) => Query<Row>) {
  const statements = new Map<string, ReturnType<typeof prepare<Row>>>()
  return (shape: Shape, values: Record<string, unknown>): Promise<Row[]> => {
    const key = JSON.stringify(shape)
    const known = statements.get(key)
    if (known !== undefined) return known(values)
    const statement = prepare(db, build(shape))
    statements.set(key, statement)
    return statement(values)
  }
}

/** The name of the placeholder that stands for a parameter; undefined for a value. */
function placeholderOf(parameter: unknown): string | undefined {
  const value = is(parameter, Param) ? parameter.value : parameter
  return is(value, Placeholder) ? value.name : undefined
}

/** What a caller sees, for the shape of a statement. */
export const restricted = ({ sessions }: Caller): boolean => sessions !== undefined

/** The same, for the values of a statement: UUIDs as an array of PostgreSQL. */
export const sessionsOf = ({ sessions }: Caller) => sessions && { own_sessions: `{${sessions}}` }

/** The condition that a row is of a session of the caller, where the caller does not see all; see {@link restricted}. */
export const isOwn = (session_id: PgColumn, isRestricted: boolean): SQL | undefined =>
  isRestricted ? sql`${session_id} = any(${sql.placeholder('own_sessions')}::uuid[])` : undefined
