/** The embedded database: PGlite, which is PostgreSQL inside this process. */
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PGlite, type PGliteOptions } from '@electric-sql/pglite'
import { drizzle } from 'drizzle-orm/pglite'
import {
  type Database,
  DatabaseError,
  type DatabaseOptions,
  joined,
  openError,
  pingOf,
  type StoreDb,
} from './database.js'
import { type Guard, guardFolder, requireRoom } from './disk.js'
import { migrate, refuseNewerSchema } from './migrate.js'
import { createRunner } from './protocol.js'
import { copyTemplate, INITDB_OPTIONS, readTemplate, TemplateFS } from './template.js'
import { compileWasm } from './wasm.js'

const clientOptions = {
  initDbStartParams: INITDB_OPTIONS,
  // Tables of the size that one process serves fit into the page cache: PostgreSQL's own 128 MB would take memory twice.
  startParams: [...PGlite.defaultStartParams, '-c', 'shared_buffers=32MB'],
}

const WITHOUT_TEMPLATE =
  'The package has no database template for this version: creating the database takes some seconds longer'

type Options = Pick<DatabaseOptions, 'mustExist' | 'onNotice'>

/** The embedded database in a folder, or in memory. */
export async function openEmbedded(options: Options, folder?: string): Promise<Database> {
  const location = folder === undefined ? 'memory, lost when the service stops' : folder
  const claimed = folder === undefined ? undefined : await claim(folder, options)
  try {
    const client = await (claimed === undefined
      ? createInMemory(options)
      : createClient({ dataDir: claimed.data }))
    const db = drizzle({ client })
    if (!(await refuseNewerSchema(db))) await migrate(db)
    const guard = claimed?.guard
    const query = pingOf(db)
    const ping = async () => {
      guard?.requireWritable()
      await query()
    }
    const close = async () => {
      // Closing writes: into the folder of another process if ours was replaced.
      if (isUsable(guard)) await client.close()
      await claimed?.release()
    }
    const runNow = createRunner(client)
    const guarded: StoreDb['run'] = guard
      ? (statement, ...rest) => guard.run(statement, () => runNow(statement, ...rest))
      : runNow
    // The one lock of a statement: inside it, no transaction is open and no other statement has begun.
    const run: StoreDb['run'] = (...statement) => client._runExclusiveTransaction(() => guarded(...statement))
    const transaction: Database['transaction'] = (work) =>
      client.transaction((transaction) =>
        work(
          joined(async (...statement) => {
            if (transaction.closed) throw new Error('the transaction has ended')
            return guarded(...statement)
          }),
        ),
      )
    return { db: Object.assign(db, { run, inTransaction: transaction }), transaction, location, ping, close }
  } catch (error) {
    await claimed?.release()
    throw openError(location, error)
  }
}

class Client extends PGlite {
  /** No statement has arrays as values or in its rows: their types need not be queried at each start. */
  override async _initArrayTypes() {}
}

/** Opens a database. Initializes it if it does not exist. */
export async function createClient(place: Pick<PGliteOptions, 'dataDir' | 'fs'>): Promise<PGlite> {
  const client = new Client({ ...clientOptions, ...place, pgliteWasmModule: await compileWasm() })
  await client.waitReady
  return client
}

async function createInMemory(options: Options) {
  const template = await templateFor(options)
  return createClient(template ? { fs: new TemplateFS(template) } : {})
}

async function templateFor({ onNotice }: Options) {
  const template = await readTemplate()
  if (template === undefined) onNotice?.(WITHOUT_TEMPLATE)
  return template
}

function isUsable(guard: Guard | undefined): boolean {
  try {
    guard?.requireUsable()
    return true
  } catch {
    return false
  }
}

interface Claimed {
  /** The folder with PGlite's files. */
  data: string
  guard: Guard
  release: () => Promise<void>
}

/** Creates the folder and locks it: two processes would corrupt it, and PGlite does not prevent that. */
async function claim(folder: string, options: Options): Promise<Claimed> {
  const inUse = (holder: string) =>
    new DatabaseError(
      `the database folder ${folder} is in use by ${holder}. Stop that process, or set DATABASE_URL=file:another-folder`,
    )
  if (options.mustExist && !existsSync(join(folder, 'postgres')))
    throw new DatabaseError(
      `there is no database in the folder ${folder}. Set DATABASE_URL to the folder of your database`,
    )
  try {
    await mkdir(folder, { recursive: true })
    const { lockFile, lockFolder } = await import('./lock.js')
    const lock = await lockFolder(folder)
    if (!lock.acquired) throw inUse(`process ${lock.holder}`)
    try {
      requireRoom(folder)
      const data = await dataFolder(folder, options)
      // Someone may remove the file `lock`. Without this one, there is no database to open.
      const control = join(data, 'global', 'pg_control')
      const locked = await lockFile(control)
      if (locked === undefined) throw inUse('another process')
      const release = async () => {
        await locked.close()
        await lock.release()
      }
      return { data, guard: await guardFolder(folder, control, locked), release }
    } catch (error) {
      await lock.release()
      throw error
    }
  } catch (error) {
    throw openError(folder, error)
  }
}

/** Returns the folder with PGlite's files. A new one is renamed when it is complete, so an incomplete one is never used. */
async function dataFolder(folder: string, options: Options) {
  const data = join(folder, 'postgres')
  if (!existsSync(data)) {
    const unfinished = `${data}.new`
    await rm(unfinished, { recursive: true, force: true })
    const template = await templateFor(options)
    if (template === undefined) await (await createClient({ dataDir: unfinished })).close()
    else copyTemplate(template, unfinished)
    await rename(unfinished, data)
  }
  return data
}
