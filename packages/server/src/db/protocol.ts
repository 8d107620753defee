/**
 * Runs statements of the embedded database over PostgreSQL's protocol, as named prepared statements. PGlite's own `query`
 * parses and plans each statement anew, in five exchanges, which takes five times as long.
 */
import type { PGlite } from '@electric-sql/pglite'
import type { DatabaseError, DataRowMessage, RowDescriptionMessage } from 'pg-protocol/dist/messages'
import { Parser } from 'pg-protocol/dist/parser'
import { serialize } from 'pg-protocol/dist/serializer'
import type { StoreDb } from './database.js'

/** The maximum number of statements that are kept prepared. */
export const MAX_PREPARED = 200

/**
 * After so many uses a statement is planned anew, for tables that have grown meanwhile. In PostgreSQL, autovacuum has the
 * same effect.
 */
const MAX_USES = 1000

const EXECUTE_AND_SYNC = Buffer.concat([serialize.execute(), serialize.sync()])

interface Column {
  name: string
  parse: ((value: string) => unknown) | undefined
}

interface Prepared {
  name: string
  columns: Column[]
  uses: number
}

/**
 * Returns a function that runs statements on the client at once. Between two calls of it, nothing else may be in the middle
 * of a statement: call it only when the client is not in use, or from the transaction that uses it.
 */
export function createRunner(client: PGlite): StoreDb['run'] {
  const prepared = new Map<string, Prepared>()
  const parser = new Parser()
  let made = 0

  /** Forgets a statement, and returns the message that makes the database forget it. */
  const forget = (text: string) => {
    const { name } = prepared.get(text)!
    prepared.delete(text)
    return serialize.close({ type: 'S', name })
  }

  return async (text, values, prepare = true) => {
    const messages: Buffer[] = []
    let statement = prepare ? prepared.get(text) : undefined
    if (statement?.uses === MAX_USES) {
      messages.push(forget(text))
      statement = undefined
    }
    const isNew = statement === undefined
    if (statement === undefined) {
      if (prepare && prepared.size === MAX_PREPARED) messages.push(forget(prepared.keys().next().value!))
      statement = { name: prepare ? `s${++made}` : '', columns: [], uses: 0 }
      const { name } = statement
      messages.push(serialize.parse({ name, text }), serialize.describe({ type: 'S', name }))
    }
    statement.uses++
    messages.push(serialize.bind({ statement: statement.name, values: values.map(toText) }), EXECUTE_AND_SYNC)

    const rows: object[] = []
    let error: DatabaseError | undefined
    let isComplete = false
    const onRawData = (bytes: Uint8Array) =>
      // Copied: the bytes are in the memory of the database, which overwrites them.
      parser.parse(Buffer.from(bytes), (message) => {
        if (message.name === 'dataRow') {
          rows.push(toRow(statement.columns, (message as DataRowMessage).fields))
        } else if (message.name === 'rowDescription') {
          statement.columns = (message as RowDescriptionMessage).fields.map(({ name, dataTypeID }) => ({
            name,
            parse: client.parsers[dataTypeID],
          }))
        } else if (message.name === 'parseComplete') {
          // It stays prepared if it fails later, and if its transaction is rolled back.
          if (isNew && prepare) prepared.set(text, statement)
        } else if (message.name === 'error') {
          error ??= message as DatabaseError
        } else if (message.name === 'readyForQuery') {
          isComplete = true
        }
      })
    await client.execProtocolRawStream(Buffer.concat(messages), { syncToFs: false, onRawData })
    if (error !== undefined) throw error
    // PGlite does not report it if its code has failed.
    if (!isComplete) throw new Error('the response of the database is incomplete')
    return rows
  }
}

const toText = (value: unknown) => (value === null || value === undefined ? null : String(value))

function toRow(columns: Column[], values: (string | null)[]): object {
  const row: Record<string, unknown> = {}
  for (let i = 0; i < columns.length; i++) {
    const { name, parse } = columns[i]!
    const value = values[i]!
    row[name] = value === null || parse === undefined ? value : parse(value)
  }
  return row
}
