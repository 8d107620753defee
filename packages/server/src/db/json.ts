/** JSON text on its way from the database to the response. */
import { type SQL, type Subquery, sql } from 'drizzle-orm'

declare const value: unique symbol

/**
 * A value as JSON text. It goes into the response as it is: parsing and writing it again would cost about as much as the
 * rest of a request. Only the functions of this file make it: from rows of the database, or from a value.
 */
export type Json<T> = string & { readonly [value]: T }

/** A task or batch as it was at one moment: `version` changes whenever the task does. */
export interface Versioned<T> {
  json: Json<T>
  version: string
}

/** SQL for a row of a subquery as JSON. */
export const rowAsJson = <T>(row: Subquery) =>
  sql<Json<T>>`row_to_json(${sql.identifier(row._.alias)})::text`.as('json')

/** SQL for an object with these fields of the current row as JSON: the row may have more. */
export const fieldsAsJson = <T>(fields: SQL) =>
  sql<Json<T>>`(select row_to_json(fields)::text from (select ${fields}) as fields)`.as('json')

/** SQL for all rows of a subquery as a JSON array, in the order of the subquery; an empty array if there are none. */
export const rowsAsJson = (rows: Subquery) => sql`coalesce(json_agg(${sql.identifier(rows._.alias)}), '[]')`

/** A value as JSON. It must not be undefined, a function or a symbol, which JSON lacks. */
export const toJson = <T>(value: T) => JSON.stringify(value) as Json<T>

/** An array of values that are JSON already. */
export const jsonArray = <T>(items: Json<T>[]) => `[${items.join(',')}]` as Json<T[]>

/** An object whose fields are JSON already. Concatenation copies none of them, as `join` would. */
export function jsonObject<T extends object>(fields: { [Name in keyof T]: Json<T[Name]> }): Json<T> {
  let members = ''
  for (const name in fields) members += `${members && ','}${JSON.stringify(name)}:${fields[name]}`
  return `{${members}}` as Json<T>
}
