/**
 * Opens the database that a URL names: PostgreSQL through postgres.js, or PGlite, which is PostgreSQL inside this
 * process. The only file that knows both drivers; all others see a Drizzle database. A driver is loaded when it is
 * wanted: each takes time and memory at start, and the lock on a folder is not there for every system.
 */
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import type postgres from 'postgres'
import { guardDisk, requireRoom } from './disk.js'
import { driverError, isUnavailable } from './failures.js'

/** Drizzle, whichever driver is behind it. */
export type Db = PgDatabase<PgQueryResultHKT>

/** What the stores see: Drizzle to write statements, and the driver to run them. */
export type StoreDb = Db & {
  /** Runs a statement, prepared where the driver can do that, and answers its rows. */
  run(statement: string, parameters: unknown[]): Promise<object[]>
}

export interface Database {
  db: StoreDb
  /** Where the data is, for people: without user and password. */
  location: string
  /** Fails when the database does not answer in time. */
  ping(): Promise<void>
  /** Waits for statements in flight, five seconds at most unless given, then closes. */
  close(milliseconds?: number): Promise<void>
}

export interface DatabaseOptions {
  /** Most connections to PostgreSQL. */
  poolSize: number
  /** After how many milliseconds PostgreSQL cancels a statement. */
  statementTimeout: number
  /** After how many milliseconds a statement of PostgreSQL gives up waiting for one that holds its rows. */
  lockTimeout: number
  /** How many milliseconds to wait for a PostgreSQL that cannot be reached yet. */
  startTimeout: number
  /** Called once when it has to be waited for. */
  onWait?: (location: string) => void
}

/** The database cannot be opened; the message says why, in a line. */
export class DatabaseError extends Error {}

const migrations = { migrationsFolder: fileURLToPath(new URL('../../migrations', import.meta.url)) }

/**
 * Opens the database and brings its schema up to date. Throws {@link DatabaseError}.
 *
 * @param url `postgres://user:password@host/database` (also as `postgresql://` or `postgresql+asyncpg://`),
 *   `file:folder` for the embedded database in a folder, or `memory://` for one without.
 */
export async function openDatabase(url: string, options: DatabaseOptions): Promise<Database> {
  if (url === 'memory://') return openEmbedded()
  const folder = /^file:(?:\/\/)?(.+)$/.exec(url)?.[1]
  if (folder !== undefined) return openEmbedded(resolve(folder))
  if (/^postgres(ql)?(\+asyncpg)?:\/\//.test(url)) {
    return openPostgres(url.replace(/^postgres(ql)?(\+asyncpg)?:/, 'postgres:'), options)
  }
  throw new DatabaseError(
    'DATABASE_URL must begin with postgres:// (a PostgreSQL server), file: (a folder) or be memory://',
  )
}

async function openEmbedded(folder?: string): Promise<Database> {
  const location = folder === undefined ? 'memory, gone when the service stops' : folder
  const release = folder === undefined ? undefined : await claim(folder)
  try {
    const [{ PGlite }, { drizzle }, { migrate }] = await Promise.all([
      import('@electric-sql/pglite'),
      import('drizzle-orm/pglite'),
      import('drizzle-orm/pglite/migrator'),
    ])
    if (folder !== undefined) requireRoom(folder)
    const client = await PGlite.create(folder && (await dataFolder(folder, PGlite)))
    const db = drizzle({ client })
    await refuseNewerSchema(db)
    await migrate(db, migrations)
    if (folder !== undefined) guardDisk(client, folder)
    const close = async () => {
      await client.close()
      await release?.()
    }
    const run = async (statement: string, parameters: unknown[]) =>
      (await client.query<object>(statement, parameters)).rows
    return { db: Object.assign(db, { run }), location, ping: pingOf(db), close }
  } catch (error) {
    await release?.()
    throw unopened(location, error)
  }
}

/** Makes the folder, and locks it: two processes on one folder corrupt it, and PGlite does not stop the second. */
async function claim(folder: string): Promise<() => Promise<void>> {
  try {
    await mkdir(folder, { recursive: true })
    const { lockFolder } = await import('./lock.js')
    const lock = await lockFolder(folder)
    if (lock.acquired) return lock.release
    throw new DatabaseError(
      `the database folder ${folder} is in use by process ${lock.holder}; stop that one, or set DATABASE_URL=file:another-folder`,
    )
  } catch (error) {
    throw unopened(folder, error)
  }
}

/** The folder of PGlite's files. A new one gets its name when it is complete, so that a half-made one is never used. */
async function dataFolder(folder: string, PGlite: typeof import('@electric-sql/pglite').PGlite) {
  const data = join(folder, 'postgres')
  if (!existsSync(data)) {
    const unfinished = `${data}.new`
    await rm(unfinished, { recursive: true, force: true })
    await (await PGlite.create(unfinished)).close()
    await rename(unfinished, data)
  }
  return data
}

async function openPostgres(url: string, options: DatabaseOptions): Promise<Database> {
  const [{ default: postgres }, { drizzle }, { migrate }] = await Promise.all([
    import('../../vendor/postgres.js'),
    import('drizzle-orm/postgres-js'),
    import('drizzle-orm/postgres-js/migrator'),
  ])
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

/** Key of the advisory lock; any number that nobody else uses. */
const MIGRATION_LOCK = 4_251_607_001

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

const one = sql`(values (1)) as one`

async function refuseLegacySchema(db: Db) {
  const [found] = await db.select({ exists: sql<boolean>`to_regclass('task_batches') is not null` }).from(one)
  if (!found!.exists) return
  throw new DatabaseError(
    'it is that of the Python service; set DATABASE_URL to a database of its own, and move in with "aklp-task-server import --from" and this URL',
  )
}

async function refuseNewerSchema(db: Db) {
  const table = sql`drizzle.__drizzle_migrations`
  const [made] = await db.select({ exists: sql<boolean>`to_regclass('${table}') is not null` }).from(one)
  if (!made!.exists) return
  const [newest] = await db.select({ millis: sql`max(created_at)`.mapWith(Number) }).from(table)
  const known = readMigrationFiles(migrations).at(-1)!.folderMillis
  if (newest!.millis > known) {
    const from = new Date(newest!.millis).toISOString().slice(0, 10)
    throw new DatabaseError(
      `its schema, of ${from}, is newer than this server; start a server that is as new`,
    )
  }
}

/** Asks the database for a sign of life; fails when none comes within two seconds. */
const pingOf = (db: Db) => async () => {
  await within(2000, db.execute(sql`select 1`))
}

/** The promise’s result, or a failure when it takes longer. What it does goes on: a driver may wait for ever. */
export async function within<T>(milliseconds: number, promise: PromiseLike<T>): Promise<T> {
  const late = sleep(milliseconds, undefined, { ref: false }).then(() => {
    throw new DatabaseError('no answer in time')
  })
  return Promise.race([promise, late])
}

/** Why the database cannot be opened, in one line. */
function unopened(location: string, error: unknown): DatabaseError {
  if (error instanceof DatabaseError && error.message.includes(location)) return error
  const { message, code } = driverError(error)
  return new DatabaseError(`cannot open the database (${location}): ${message || code}`)
}
