/** Opens the database that a URL names. Only its driver is loaded: each one takes time and memory at start. */
import { resolve } from 'node:path'
import { type Database, DatabaseError, type DatabaseOptions } from './database.js'
import { compileWasm } from './wasm.js'

/**
 * Opens the database and brings its schema up to date. Throws {@link DatabaseError}.
 *
 * @param url `postgres://user:password@host/database` (also as `postgresql://` or `postgresql+asyncpg://`),
 *   `file:folder` for the embedded database in a folder, or `memory://` for one without.
 */
export async function openDatabase(url: string, options: DatabaseOptions): Promise<Database> {
  if (url === 'memory://') return openEmbedded(options)
  const folder = /^file:(?:\/\/)?(.+)$/.exec(url)?.[1]
  if (folder !== undefined) return openEmbedded(options, resolve(folder))
  if (/^postgres(ql)?(\+asyncpg)?:\/\//.test(url)) {
    const { openPostgres } = await import('./postgres.js')
    return openPostgres(url.replace(/^postgres(ql)?(\+asyncpg)?:/, 'postgres:'), options)
  }
  throw new DatabaseError(
    'DATABASE_URL must begin with postgres:// (a PostgreSQL server), file: (a folder) or be memory://',
  )
}

async function openEmbedded(options: DatabaseOptions, folder?: string) {
  compileWasm()
  const embedded = await import('./pglite.js')
  return embedded.openEmbedded(options, folder)
}
