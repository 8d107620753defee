/** What both drivers have in common: the database as the rest of the service sees it, and errors while it opens. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import { driverError } from './failures.js'

/** Drizzle, whichever driver is behind it. */
export type Db = PgDatabase<PgQueryResultHKT>

/** What the stores see: a database, or a transaction in it. */
export interface StoreDb {
  /** Runs a statement and returns its rows. It is prepared unless that is false, if the driver can prepare. */
  run(statement: string, parameters: unknown[], prepare?: boolean): Promise<object[]>
  /** {@link Database.transaction}; in a transaction, `work` joins it. */
  inTransaction<T>(work: (transaction: StoreDb) => Promise<T>): Promise<T>
}

/** A transaction, as the stores see it. */
export function joined(run: StoreDb['run']): StoreDb {
  const db: StoreDb = { run, inTransaction: (work) => work(db) }
  return db
}

export interface Database {
  db: Db & StoreDb
  /**
   * Runs `work` in a transaction: commits if it resolves, rolls back if it rejects. Inside, use only the handle it is
   * given: `db` would run outside the transaction, and wait for it forever where there is one connection.
   */
  transaction<T>(work: (transaction: StoreDb) => Promise<T>): Promise<T>
  /** Where the data is, for people: without user and password. */
  location: string
  /** Fails if the database does not respond within two seconds, or is read-only. */
  ping(): Promise<void>
  /** Waits for statements in flight, five seconds at most unless given, then closes. */
  close(milliseconds?: number): Promise<void>
}

export interface DatabaseOptions {
  /** The maximum number of connections to PostgreSQL. */
  poolSize: number
  /** After how many milliseconds PostgreSQL cancels a statement; 0 for never. */
  statementTimeout: number
  /** How many milliseconds a statement of PostgreSQL waits for a lock on a row before it fails. */
  lockTimeout: number
  /** How many milliseconds to retry until PostgreSQL can be reached. */
  startTimeout: number
  /** Whether opening a folder without an embedded database fails, in place of creating one. */
  mustExist?: boolean
  /** Called with what it waits for: once if it cannot be reached at first, and once if it cannot be migrated at first. */
  onWait?: (what: string) => void
  /** Called with what does not prevent the start, but should be known. */
  onNotice?: (notice: string) => void
}

/** The database cannot be opened; the message says why, in one line. */
export class DatabaseError extends Error {}

/**
 * Fails where a write would: on a standby, or with default_transaction_read_only, which operators and services set when a
 * disk is full. It has the SQLSTATE of a write, so that the driver leaves the connection and looks for the primary.
 */
const assertWritable = sql`
  do $$ begin
    if current_setting('transaction_read_only') = 'on' then
      raise read_only_sql_transaction using message = 'the database is read-only';
    end if;
  end $$`

/** Checks that the database responds and can be written; fails after two seconds. */
export const pingOf = (db: Db) => async () => {
  await within(2000, db.execute(assertWritable))
}

/** The promise’s result, or an error if it takes longer. It is not cancelled: a driver may wait forever. */
export async function within<T>(milliseconds: number, promise: PromiseLike<T>): Promise<T> {
  const late = sleep(milliseconds, undefined, { ref: false }).then(() => {
    throw new DatabaseError('no response in time')
  })
  return Promise.race([promise, late])
}

/** Why the database cannot be opened, in one line. */
export function openError(location: string, error: unknown): DatabaseError {
  if (error instanceof DatabaseError && error.message.includes(location)) return error
  const { message, code } = driverError(error)
  return new DatabaseError(`cannot open the database (${location}): ${message || code}`)
}
