/** Writes dist/template, from which new embedded databases start. Does nothing if it is up to date. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { drizzle } from 'drizzle-orm/pglite'
import { migrate } from '../src/db/migrate.js'
import { createClient } from '../src/db/pglite.js'
import { packTemplate, readTemplate, TEMPLATE_FILE } from '../src/db/template.js'

if ((await readTemplate()) === undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'aklp-template-'))
  try {
    const data = join(folder, 'postgres')
    const client = await createClient({ dataDir: data })
    await migrate(drizzle({ client }))
    // The databases that others would be made from have two thirds of all files. The service makes none.
    await client.exec(`update pg_database set datistemplate = false`)
    for (const name of ['template0', 'template1']) await client.exec(`drop database ${name}`)
    await client.close()
    // Renamed when it is complete: a process that starts meanwhile finds the old one or the new one.
    const unfinished = `${TEMPLATE_FILE}.${process.pid}`
    mkdirSync(dirname(TEMPLATE_FILE), { recursive: true })
    writeFileSync(unfinished, packTemplate(data))
    renameSync(unfinished, TEMPLATE_FILE)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
