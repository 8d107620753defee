/** The migrations, and the databases that they must not change. */
import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import { type MigrationMeta, readMigrationFiles } from 'drizzle-orm/migrator'
import { DatabaseError, type Db } from './database.js'
import { driverError } from './failures.js'

const migrationsFolder = fileURLToPath(new URL('../../migrations', import.meta.url))

/** Key of the advisory lock: an arbitrary number that no other application uses. */
export const MIGRATION_LOCK = 4_251_607_001

/** The migrations of this server, oldest first. */
export const readMigrations = () => readMigrationFiles({ migrationsFolder })

const one = sql`(values (1)) as one`
const table = sql`drizzle.__drizzle_migrations`
/** When the newest migration was made. Those that a rollback to 0.1.0 hides are negative (docs/operations.md). */
const newestMillis = sql`coalesce(max(abs(created_at)), 0)`.mapWith(Number)

export async function refuseLegacySchema(db: Db) {
  const [found] = await db.select({ exists: sql<boolean>`to_regclass('task_batches') is not null` }).from(one)
  if (!found!.exists) return
  throw new DatabaseError(
    'it belongs to the Python service. Set DATABASE_URL to a separate database and run "aklp-task-server import" with this URL in IMPORT_FROM',
  )
}

/**
 * Throws if the schema is newer than this server and does not support it. Returns whether the database has all migrations of
 * this server.
 */
export async function refuseNewerSchema(db: Db): Promise<boolean> {
  const [made] = await db.select({ exists: sql<boolean>`to_regclass('${table}') is not null` }).from(one)
  if (!made!.exists) return false
  const [applied] = await db
    .select({
      millis: newestMillis,
      // As JSON, because a table made by an earlier server lacks the column.
      minimumServer: sql<number | null>`max((to_jsonb(applied) ->> 'minimum_server')::int)`,
    })
    .from(sql`${table} as applied`)
  const known = readMigrations()
  const { millis, minimumServer } = applied!
  const newest = known.at(-1)!.folderMillis
  if (millis <= newest) return millis === newest
  if (minimumServer !== null && minimumServer < known.length) return true
  const from = new Date(millis).toISOString().slice(0, 10)
  throw new DatabaseError(
    `The database schema (${from}) requires a newer server. Upgrade this server, or restore the backup from before the schema was upgraded.`,
  )
}

/**
 * Applies the migrations that the database lacks, each in a transaction of its own. Returns false if another transaction holds
 * a table for more than three seconds: call it again after a pause, in which callers can use the table.
 */
export async function migrate(db: Db): Promise<boolean> {
  await db.execute(sql`create schema if not exists drizzle`)
  await db.execute(
    sql`create table if not exists ${table} (id serial primary key, hash text not null, created_at bigint)`,
  )
  const [newest] = await db.select({ millis: newestMillis }).from(table)
  try {
    for (const migration of readMigrations())
      if (migration.folderMillis > newest!.millis) await apply(migration, db)
    return true
  } catch (error) {
    if (isLockLost(error)) return false
    throw error
  }
}

async function apply({ sql: statements, hash, folderMillis }: MigrationMeta, db: Db) {
  const minimumServer = minimumServerOf(statements[0]!)
  await db.transaction(async (transaction) => {
    // While it waits for a lock on a table, all later statements on that table wait, too.
    await transaction.execute(sql`set local lock_timeout = '3s'`)
    await transaction.execute(sql`alter table ${table} add column if not exists minimum_server integer`)
    for (const statement of statements) await transaction.execute(sql.raw(statement))
    await transaction.execute(
      sql`insert into ${table} (hash, created_at, minimum_server) values (${hash}, ${folderMillis}, ${minimumServer})`,
    )
  })
}

/**
 * Events are in the order of their transactions. After pg_restore, these are transactions of another cluster, some of which may be
 * still to come here: then all events are put before those to come, in the order of their numbers.
 */
export async function renumberForeignEvents(db: Db) {
  const [foreign] = await db
    .select({ id: sql`id` })
    .from(sql`events`)
    .where(sql`xid > pg_snapshot_xmax(pg_current_snapshot())`)
    .limit(1)
  if (foreign) await db.execute(sql`update events set xid = '1'`)
}

/** The number of the newest migration of the oldest server that works after a migration, from the line that says it. */
export function minimumServerOf(migration: string): number {
  const [, number] = /^-- minimum server: (\d{4})$/m.exec(migration) ?? []
  if (number === undefined) throw new Error('a migration lacks the line "-- minimum server: NNNN"')
  return Number(number)
}

/** A lock not available, or a deadlock that was resolved by cancelling the migration. */
const isLockLost = (error: unknown) => ['55P03', '40P01'].includes(driverError(error).code as string)
