/** The embedded database: PGlite, which is PostgreSQL inside this process. */
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PGlite, type Transaction } from '@electric-sql/pglite'
import { drizzle } from 'drizzle-orm/pglite'
import { migrate } from 'drizzle-orm/pglite/migrator'
import { type Database, DatabaseError, openError, pingOf, type StoreDb } from './database.js'
import { guardDisk, requireRoom } from './disk.js'
import { migrations, refuseNewerSchema } from './migrate.js'

export async function openEmbedded(folder?: string): Promise<Database> {
  const location = folder === undefined ? 'memory, lost when the service stops' : folder
  const release = folder === undefined ? undefined : await claim(folder)
  try {
    if (folder !== undefined) requireRoom(folder)
    const client = await PGlite.create(folder && (await dataFolder(folder)))
    const db = drizzle({ client })
    await refuseNewerSchema(db)
    await migrate(db, migrations)
    if (folder !== undefined) guardDisk(client, folder)
    const close = async () => {
      await client.close()
      await release?.()
    }
    const transaction: Database['transaction'] = (work) =>
      client.transaction((transaction) => work(storeDb(transaction)))
    const pingClient = pingOf(db)
    const ping = async () => {
      if (folder !== undefined) requireRoom(folder)
      await pingClient()
    }
    return { db: Object.assign(db, storeDb(client)), transaction, location, ping, close }
  } catch (error) {
    await release?.()
    throw openError(location, error)
  }
}

/** PGlite keeps no statement prepared. */
const storeDb = (client: PGlite | Transaction): StoreDb => ({
  run: async (statement, parameters) => (await client.query<object>(statement, parameters)).rows,
})

/** Creates the folder and locks it: two processes would corrupt it, and PGlite does not prevent that. */
async function claim(folder: string): Promise<() => Promise<void>> {
  try {
    await mkdir(folder, { recursive: true })
    const { lockFolder } = await import('./lock.js')
    const lock = await lockFolder(folder)
    if (lock.acquired) return lock.release
    throw new DatabaseError(
      `the database folder ${folder} is in use by process ${lock.holder}. Stop that process, or set DATABASE_URL=file:another-folder`,
    )
  } catch (error) {
    throw openError(folder, error)
  }
}

/** Returns the folder with PGlite's files. A new one is renamed when it is complete, so an incomplete one is never used. */
async function dataFolder(folder: string) {
  const data = join(folder, 'postgres')
  if (!existsSync(data)) {
    const unfinished = `${data}.new`
    await rm(unfinished, { recursive: true, force: true })
    await (await PGlite.create(unfinished)).close()
    await rename(unfinished, data)
  }
  return data
}
