/**
 * Prepared statements. Drizzle writes the SQL of a statement once; after that, only the driver runs. What Drizzle does in
 * each call, filling in the values and mapping the rows, costs more than all other code of ours.
 */
import { is, Param, Placeholder, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/pg-proxy'
import type { Db, StoreDb } from './database.js'

/** Drizzle without a connection: it only writes SQL. */
export const qb: Db = drizzle(() => Promise.reject(new Error('run it with statement()')))

/** A value as the drivers send it: text in the input format of PostgreSQL, or a number. */
type Value = string | number | null

/** The placeholders of a statement. A value that may be missing has one only in the statement that is given it. */
type Placeholders<Values> = {
  readonly [Name in keyof Required<Values>]: undefined extends Values[Name]
    ? Placeholder | undefined
    : Placeholder
}

/** A query of Drizzle, with the type of its rows. */
interface Query<Row> {
  toSQL(): { sql: string; params: unknown[] }
  execute(): Promise<Row[]>
}

/** Runs the statement on a database, or in a transaction. The shape chooses what no value can, such as the sort key. */
export type Statement<Values, Row, Shape> = (
  db: StoreDb,
  values: Values,
  ...shape: Shape extends undefined ? [] : [Shape]
) => Promise<Row[]>

/** Most variants of a statement that are remembered: callers choose the filters and fields of lists. */
const MAX_VARIANTS = 500

/**
 * Makes a statement. Its SQL is built once for each shape and each set of values that are not undefined, and is shared by
 * all connections and transactions.
 *
 * Each field must have a name in SQL ({@link plain}, `as`) and the type in which the driver reads it.
 *
 * @param build Writes the query with the placeholders of the values.
 * @param isCommon Whether connections keep this variant prepared, which saves two thirds of its time. A connection never
 *   forgets a prepared statement, so this must hold for a limited number of variants.
 */
export function statement<
  Values extends { [Name in keyof Values]: Value | undefined },
  Row,
  Shape extends string | undefined = undefined,
>(
  build: ($: Placeholders<Values>, shape: Shape) => Query<Row>,
  isCommon: ($: Placeholders<Values>, shape: Shape) => boolean = () => true,
): Statement<Values, Row, Shape> {
  type Variant = { text: string; parameters: (values: Values) => unknown[]; prepare: boolean }
  const variants = new Map<string, Variant>()

  const buildVariant = (values: Values, shape: Shape): Variant => {
    const given = Object.entries(values).filter(([, value]) => value !== undefined)
    const $ = Object.fromEntries(given.map(([name]) => [name, sql.placeholder(name)])) as Placeholders<Values>
    const { text, params } = shared(build($, shape).toSQL())
    const names = params.map(placeholderOf) as (keyof Values | undefined)[]
    return {
      text,
      parameters: (values) => names.map((name, i) => (name === undefined ? params[i] : values[name])),
      prepare: isCommon($, shape),
    }
  }

  return (db, values, ...[shape]) => {
    let key: string = shape ?? ''
    for (const name in values) if (values[name] !== undefined) key += ` ${name}`
    let variant = variants.get(key)
    if (variant === undefined) {
      variant = buildVariant(values, shape as Shape)
      if (variants.size === MAX_VARIANTS) variants.delete(variants.keys().next().value!)
      variants.set(key, variant)
    }
    return db.run(variant.text, variant.parameters(values), variant.prepare) as Promise<Row[]>
  }
}

/** The query with one parameter for each placeholder: Drizzle numbers each mention anew, and the driver would send each. */
function shared({ sql, params }: { sql: string; params: unknown[] }) {
  const distinct: unknown[] = []
  const numbers = params.map((parameter) => {
    const name = placeholderOf(parameter)
    const known = distinct.findIndex((other) => name !== undefined && placeholderOf(other) === name)
    return known === -1 ? distinct.push(parameter) : known + 1
  })
  return { text: sql.replace(/\$(\d+)/g, (_, number) => `$${numbers[number - 1]}`), params: distinct }
}

/** The name of the placeholder that a parameter stands for; undefined for a value. */
function placeholderOf(parameter: unknown): string | undefined {
  const value = is(parameter, Param) ? parameter.value : parameter
  return is(value, Placeholder) ? value.name : undefined
}
