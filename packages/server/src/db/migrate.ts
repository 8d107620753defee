/** The migrations, and the databases that they must not change. */
import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { DatabaseError, type Db } from './database.js'

export const migrations = { migrationsFolder: fileURLToPath(new URL('../../migrations', import.meta.url)) }

/** Key of the advisory lock: an arbitrary number that no other application uses. */
export const MIGRATION_LOCK = 4_251_607_001

const one = sql`(values (1)) as one`

export async function refuseLegacySchema(db: Db) {
  const [found] = await db.select({ exists: sql<boolean>`to_regclass('task_batches') is not null` }).from(one)
  if (!found!.exists) return
  throw new DatabaseError(
    'it belongs to the Python service. Set DATABASE_URL to a separate database and run "aklp-task-server import" with this URL in IMPORT_FROM',
  )
}

export async function refuseNewerSchema(db: Db) {
  const table = sql`drizzle.__drizzle_migrations`
  const [made] = await db.select({ exists: sql<boolean>`to_regclass('${table}') is not null` }).from(one)
  if (!made!.exists) return
  const [newest] = await db.select({ millis: sql`max(created_at)`.mapWith(Number) }).from(table)
  const known = readMigrationFiles(migrations).at(-1)!.folderMillis
  if (newest!.millis > known) {
    const from = new Date(newest!.millis).toISOString().slice(0, 10)
    throw new DatabaseError(`The database schema (${from}) is newer than this server. Upgrade the server.`)
  }
}
