import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import t from 'tap'
import type { Database } from '../src/db/database.js'
import { openDatabase } from '../src/db/open.js'
import { readTemplate, TEMPLATE_FILE } from '../src/db/template.js'
import { build, newFolder } from './process.js'
import { options } from './support.js'

build()

/** Copies of one template have the identifier of the cluster in common; initdb chooses a new one. */
async function identifierOf({ db }: Database) {
  const [row] = await db.select({ id: sql`system_identifier::text` }).from(sql`pg_control_system()`)
  return row!.id
}

t.test('new databases in folders and in memory are copies of the template', async (t) => {
  const notices: string[] = []
  const identifiers = new Set()
  const folder = join(newFolder(t), 'data')
  for (const url of [`file:${folder}`, `file:${join(newFolder(t), 'data')}`, 'memory://', 'memory://']) {
    const database = await openDatabase(url, { ...options, onNotice: (notice) => notices.push(notice) })
    const [count] = await database.db.select({ tasks: sql`count(*)::int` }).from(sql`tasks`)
    t.equal(count!.tasks, 0, `${url} has the tables, and no rows`)
    await database.db.execute(sql`insert into tasks (id, title) values (gen_random_uuid(), 'a')`)
    identifiers.add(await identifierOf(database))
    await database.close()
  }
  t.equal(identifiers.size, 1)
  t.strictSame(notices, [])
  t.equal(statSync(join(folder, 'postgres/PG_VERSION')).mode & 0o777, 0o600, 'only the owner can read it')
})

t.test('a template is used only if it is whole and was made for this version', async (t) => {
  const file = join(newFolder(t), 'template')
  const packed = readFileSync(TEMPLATE_FILE)
  t.equal(await readTemplate(file), undefined, 'absent')
  writeFileSync(file, packed)
  t.ok(await readTemplate(file))
  writeFileSync(file, packed.subarray(0, -1))
  t.equal(await readTemplate(file), undefined, 'truncated')
  writeFileSync(file, `x${packed.toString('latin1', 1)}`, 'latin1')
  t.equal(await readTemplate(file), undefined, 'of another version')
})

t.test('what a start that was interrupted left behind is not used', async (t) => {
  const folder = join(newFolder(t), 'data')
  mkdirSync(join(folder, 'postgres.new'), { recursive: true })
  writeFileSync(join(folder, 'postgres.new/PG_VERSION'), 'half')
  const database = await openDatabase(`file:${folder}`, options)
  await database.ping()
  await database.close()
  t.notOk(existsSync(join(folder, 'postgres.new')))
})
