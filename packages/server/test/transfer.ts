/** Shared by the tests of export and import. */
import { sql } from 'drizzle-orm'
import type { Test } from 'tap'
import { openDatabase } from '../src/db/open.js'
import { importFrom } from '../src/transfer/import.js'
import { type Api, createApi, options } from './support.js'

/** Collects what a command prints. */
export function listener() {
  const out = {
    text: '',
    write(text: string) {
      out.text += text
    },
  }
  return out
}

/** Imports a file or database, and returns the report and what was printed. */
export async function importInto({ database }: Api, from: string, dryRun = false) {
  const out = listener()
  const { batches, tasks, repaired, complete } = await importFrom(
    database,
    { from, dryRun, eventDays: 30 },
    out,
  )
  return { batches, tasks, repaired: Object.fromEntries(repaired), complete, printed: out.text }
}

/** Returns all batches and tasks. */
export async function contents({ database: { db } }: Api): Promise<{ batches: any[]; tasks: any[] }> {
  const all = async (table: string): Promise<any[]> => {
    const result: any = await db.execute(
      sql`select to_json(r) as row from ${sql.identifier(table)} r order by id`,
    )
    return (result.rows ?? result).map(({ row }: any) => row)
  }
  return { batches: await all('batches'), tasks: await all('tasks') }
}

/** The service on a database, until the test ends. */
export async function serve(test: Test, url: string): Promise<Api> {
  const database = await openDatabase(url, options)
  const api = await createApi(database)
  test.teardown(async () => {
    await api.app.close()
    await database.close()
  })
  return api
}
