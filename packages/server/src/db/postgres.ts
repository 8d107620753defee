/** A PostgreSQL server, through postgres.js. */
import { setTimeout as sleep } from 'node:timers/promises'
import { drizzle } from 'drizzle-orm/postgres-js'
import { migrate } from 'drizzle-orm/postgres-js/migrator'
import postgres from '../../vendor/postgres.js'
import { type Database, DatabaseError, type DatabaseOptions, pingOf, unopened, within } from './database.js'
import { isUnavailable } from './failures.js'
import { MIGRATION_LOCK, migrations, refuseLegacySchema, refuseNewerSchema } from './migrate.js'

export async function openPostgres(url: string, options: DatabaseOptions): Promise<Database> {
  const location = locationOf(url)
  const connect = (max: number, timeouts: { statement_timeout: number; lock_timeout: number }) =>
    postgres(url, {
      max,
      connect_timeout: 5,
      // A server that was cut off does not even cancel its statements.
      answer_timeout: timeouts.statement_timeout && timeouts.statement_timeout / 1000 + 1,
      backoff: (retries) => Math.min(0.05 * 2 ** retries, 0.5),
      // Every parameter is text or JSON: there are no array types to ask the server for.
      fetch_types: false,
      onnotice: () => {},
      connection: { application_name: 'aklp-task-server', ...timeouts },
    })

  // Connections of their own, without a timeout: a migration takes its time.
  const migrating = understood(() => connect(2, { statement_timeout: 0, lock_timeout: 0 }))
  /**
   * Migrates under a lock, and answers whether it got that. It is one of a transaction, and who does not get it holds no
   * connection meanwhile: in a pooler, a lock of a session goes astray, and those who wait leave none to the first.
   */
  const migrateAlone = async (lock: postgres.TransactionSql) => {
    const [got] = await lock`select pg_try_advisory_xact_lock(${MIGRATION_LOCK}) as it`
    if (!got!.it) return false
    const db = drizzle(migrating)
    await refuseLegacySchema(db)
    await refuseNewerSchema(db)
    await migrate(db, migrations)
    return true
  }
  try {
    await waitUntilReachable(migrating, location, options)
    // Servers that start together migrate one after the other: all but the first find nothing to do.
    while (!(await migrating.begin((lock) => migrateAlone(lock)))) await sleep(100)
  } catch (error) {
    throw unopened(location, error)
  } finally {
    await migrating.end({ timeout: 0 })
  }

  // One connection is for pings: on the others they would wait behind statements that take long.
  const timeouts = { statement_timeout: options.statementTimeout, lock_timeout: options.lockTimeout }
  const client = connect(Math.max(1, options.poolSize - 1), timeouts)
  const probe = options.poolSize > 1 ? connect(1, timeouts) : client
  const close = async (milliseconds = 5000) => {
    const timeout = Math.max(0, milliseconds) / 1000
    await Promise.all([client.end({ timeout }), probe.end({ timeout })])
  }
  const run = (statement: string, parameters: unknown[]) =>
    client.unsafe(statement, parameters as string[], { prepare: true })
  return { db: Object.assign(drizzle(client), { run }), location, ping: pingOf(drizzle(probe)), close }
}

/** Where a PostgreSQL is, for people. User and password go first: a question mark may stand in them. */
export const locationOf = (url: string) =>
  `PostgreSQL at ${url.replace(/^postgres:\/\/(?:.*@)?/, '').replace(/\?.*/, '')}`

/** postgres.js throws at once when the URL is none. */
function understood<T>(connect: () => T): T {
  try {
    return connect()
  } catch (error) {
    const { message } = error as Error
    if (message.startsWith('target_session_attrs')) throw new DatabaseError(`DATABASE_URL: ${message}`)
    throw new DatabaseError('DATABASE_URL is malformed; in user and password, write %23 for # and %25 for %')
  }
}

async function waitUntilReachable(
  client: postgres.Sql,
  location: string,
  { startTimeout, onWait }: DatabaseOptions,
) {
  const deadline = Date.now() + startTimeout
  let reason: unknown
  for (let attempt = 0; ; attempt++) {
    try {
      await within(Math.max(deadline - Date.now(), 1), client`select 1`)
      return
    } catch (error) {
      // An attempt that the deadline cuts off says less than the one before.
      if (Date.now() >= deadline) throw reason ?? error
      if (!isUnavailable(error)) throw error
      reason = error
      if (attempt === 0) onWait?.(location)
      await sleep(250)
    }
  }
}
