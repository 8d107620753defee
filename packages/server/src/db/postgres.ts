/** A PostgreSQL server, through postgres.js. */
import { setTimeout as sleep } from 'node:timers/promises'
import { drizzle } from 'drizzle-orm/postgres-js'
import {
  type Database,
  DatabaseError,
  type DatabaseOptions,
  joined,
  openError,
  pingOf,
  type StoreDb,
  within,
} from './database.js'
import { connect, type Sql, type TransactionSql } from './driver.js'
import { isDeadlock, isUnavailable } from './failures.js'
import {
  MIGRATION_LOCK,
  migrate,
  refuseLegacySchema,
  refuseNewerSchema,
  renumberForeignEvents,
} from './migrate.js'

/** Between two attempts to migrate, in milliseconds: until then, callers can use the tables. */
const PAUSE = 3000

/** In seconds. A setting of the role or the database, such as read-only, applies to new connections only. */
const PROBE_LIFETIME = { max_lifetime: 60 }

export async function openPostgres(url: string, options: DatabaseOptions): Promise<Database> {
  const location = locationOf(url)
  const open = (
    max: number,
    timeouts: { statement_timeout: number; lock_timeout: number },
    lifetime?: { max_lifetime: number },
  ) =>
    connect(url, {
      max,
      ...lifetime,
      connect_timeout: 5,
      responseTimeout: timeouts.statement_timeout && timeouts.statement_timeout + 1000,
      backoff: (retries) => Math.min(0.05 * 2 ** retries, 0.5),
      // Every parameter is text or JSON, so the driver need not query the array types.
      fetch_types: false,
      onnotice: () => {},
      connection: { application_name: 'aklp-task-server', ...timeouts },
    })

  // Separate connections without timeouts: a migration can take long.
  const migrating = connectOrExplain(() => open(2, { statement_timeout: 0, lock_timeout: 0 }))
  /**
   * Migrates under a lock; returns false if another server holds it. A pooler in transaction mode can give each statement
   * another connection, so a session lock would be lost, and servers waiting for one could take every connection.
   */
  const migrateAlone = async (lock: TransactionSql) => {
    const [got] = await lock`select pg_try_advisory_xact_lock(${MIGRATION_LOCK}) as it`
    if (!got!.it) return false
    const db = drizzle(migrating)
    await refuseLegacySchema(db)
    await refuseNewerSchema(db)
    for (let attempt = 0; !(await migrate(db)); attempt++) {
      if (attempt === 0) options.onWait?.(`a lock in ${location} that a long transaction holds`)
      // Still under the lock: other servers would use the pause for attempts of their own.
      await sleep(PAUSE)
    }
    await renumberForeignEvents(db)
    return true
  }
  try {
    await waitUntilReachable(migrating, location, options)
    // Servers that start together migrate one after the other; all but the first find nothing to do.
    while (!(await migrating.begin((lock) => migrateAlone(lock)))) await sleep(100)
  } catch (error) {
    throw openError(location, error)
  } finally {
    await migrating.end({ timeout: 0 })
  }

  // One connection is for pings: on the others they would queue behind slow statements.
  const timeouts = { statement_timeout: options.statementTimeout, lock_timeout: options.lockTimeout }
  const client = open(Math.max(1, options.poolSize - 1), timeouts)
  const probe = options.poolSize > 1 ? open(1, timeouts, PROBE_LIFETIME) : client
  const close = async (milliseconds = 5000) => {
    const timeout = Math.max(0, milliseconds) / 1000
    await Promise.all([client.end({ timeout }), probe.end({ timeout })])
  }
  const transaction: Database['transaction'] = async <T>(work: (transaction: StoreDb) => Promise<T>) =>
    (await client.begin((transaction) => work(joined(runOn(transaction))))) as T
  const run = retryDeadlocks(runOn(client))
  const db = Object.assign(drizzle(client), { run, inTransaction: transaction })
  return { db, transaction, location, ping: pingOf(drizzle(probe)), close }
}

// Returns a promise and an array of its own: if the driver's query or its result, which refers to the connection, is passed
// on, queries and their rows often survive minor garbage collections, which then copy them.
const runOn =
  (client: Sql | TransactionSql): StoreDb['run'] =>
  async (statement, parameters, prepare = true) => [
    ...(await client.unsafe(statement, parameters as string[], { prepare })),
  ]

/** How often a statement is run again that was cancelled to resolve a deadlock. */
const DEADLOCK_RETRIES = 3

/** A statement outside of a transaction that was cancelled had no effect. */
const retryDeadlocks =
  (run: StoreDb['run']): StoreDb['run'] =>
  async (...statement) => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await run(...statement)
      } catch (error) {
        if (!isDeadlock(error) || attempt === DEADLOCK_RETRIES) throw error
      }
    }
  }

/**
 * Where a PostgreSQL is, for logs and messages: the URL without user, password (which may contain `?`) and parameters (which
 * may contain `@`).
 */
export const locationOf = (url: string) =>
  `PostgreSQL at ${url.replace(/^postgres:\/\/(?:.*@)?/, '').replace(/[?&].*/, '')}`

/** The driver parses the URL at once; its error names no setting. */
function connectOrExplain<T>(open: () => T): T {
  try {
    return open()
  } catch (error) {
    const { message } = error as Error
    if (message.startsWith('target_session_attrs')) throw new DatabaseError(`DATABASE_URL: ${message}`)
    throw new DatabaseError('DATABASE_URL is malformed. In user and password, write %23 for # and %25 for %.')
  }
}

async function waitUntilReachable(client: Sql, location: string, { startTimeout, onWait }: DatabaseOptions) {
  const deadline = Date.now() + startTimeout
  let reason: unknown
  for (let attempt = 0; ; attempt++) {
    try {
      await within(Math.max(deadline - Date.now(), 1), client`select 1`)
      return
    } catch (error) {
      // The deadline aborts an attempt without a reason; report that of the one before.
      if (Date.now() >= deadline) throw reason ?? error
      if (!isUnavailable(error)) throw error
      reason = error
      if (attempt === 0) onWait?.(location)
      await sleep(250)
    }
  }
}
