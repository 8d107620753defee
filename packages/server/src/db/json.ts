/** JSON text on its way from the database to the response. */
import { type SQL, type Subquery, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import { isTimestamp } from './sql.js'

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

/** How the text of a value becomes JSON: as it is, between quotes (if it never needs escapes), or as a JSON string or array. */
type Notation = 'plain' | 'quoted' | 'escaped'

/** A field as {@link objectAsText} writes it. */
export interface TextField {
  value: SQL
  notation: Notation
  nullable: boolean
}

const notations: Record<string, Notation> = { uuid: 'quoted', integer: 'plain', jsonb: 'plain' }

/** How a column is written. */
export const notationOf = (column: PgColumn): Notation => {
  if (isTimestamp(column) || column.enumValues !== undefined) return 'quoted'
  return notations[column.getSQLType()] ?? 'escaped'
}

/**
 * SQL for an object as the text of JSON. For many rows: it takes four fifths of the time of `row_to_json`, which looks up the
 * type of each column in each row.
 */
export function objectAsText(fields: [name: string, field: TextField][]): SQL {
  const members = fields.map(([name, { value, notation, nullable }], nth) => {
    const start = `${nth === 0 ? '{' : ','}"${name}":`
    const text = {
      plain: sql`${literal(start)} || (${value})::text`,
      quoted: sql`${literal(`${start}"`)} || (${value})::text || '"'`,
      escaped: sql`${literal(start)} || to_json(${value})::text`,
    }[notation]
    return nullable ? sql`coalesce(${text}, ${literal(`${start}null`)})` : sql`(${text})`
  })
  return sql`${concatenation(members)} || '}'`
}

/** Half by half: one after the other, the text so far would be copied for each. */
function concatenation(texts: SQL[]): SQL {
  if (texts.length <= 2) return sql.join(texts, sql` || `)
  const half = texts.length >> 1
  return sql`(${concatenation(texts.slice(0, half))}) || (${concatenation(texts.slice(half))})`
}

/** A constant of ours in a statement. */
const literal = (text: string) => sql.raw(`'${text}'`)

declare const item: unique symbol

/** Items as JSON, separated by {@link SEPARATOR}: between brackets they are an array. */
export type JoinedItems<T> = string & { readonly [item]: T }

/** JSON of PostgreSQL has no tabs, so the last item of many can be found and taken off. */
const SEPARATOR = ',\t'

/** SQL that aggregates the texts of JSON objects, in the order of the rows; null if there are none. */
export const joinedItems = (json: SQL) => sql`string_agg(${json}, ${literal(SEPARATOR)})`

/** The items as an array, without the last one if it belongs to the next page. */
export const arrayOf = <T>(items: JoinedItems<T> | null, withoutLast: boolean) =>
  `[${withoutLast ? items!.slice(0, items!.lastIndexOf(SEPARATOR)) : (items ?? '')}]` as Json<T[]>

/** SQL for an array of the same items as text. */
export const arrayAsText = (json: SQL) => sql`'[' || coalesce(${joinedItems(json)}, '') || ']'`

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
