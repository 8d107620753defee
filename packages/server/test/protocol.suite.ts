import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import t from 'tap'
import type { Database } from '../src/db/database.js'
import { openDatabase } from '../src/db/open.js'
import { MAX_PREPARED } from '../src/db/protocol.js'
import { newFolder } from './process.js'
import { options } from './support.js'

let database: Database
t.before(async () => {
  database = await openDatabase('memory://', options)
  await database.db.execute(sql`create table pairs (id int primary key, name text not null)`)
})
t.teardown(() => database.close())
t.beforeEach(async () => {
  await database.db.execute(sql`truncate pairs`)
})

const run = (text: string, values: unknown[] = [], prepare?: boolean) =>
  database.db.run(text, values, prepare)
const insert = (id: unknown, name: unknown) =>
  run('insert into pairs values ($1, $2) returning *', [id, name]) as Promise<{ id: number; name: string }[]>
const preparedNow = async () => {
  const rows = await run('select statement from pg_prepared_statements', [], false)
  return rows.map((row) => (row as { statement: string }).statement)
}

t.test('every value arrives as it was, whatever characters it has', async (t) => {
  const names = [
    "'; drop table pairs; --",
    '$1',
    '\\',
    '"',
    '',
    ' ',
    'ä한🙂',
    'null',
    '{}',
    '\u2028',
    'x'.repeat(2e6),
  ]
  for (const [id, name] of names.entries()) t.strictSame(await insert(id, name), [{ id, name }])
  t.equal((await run('select 1 as one from pairs')).length, names.length)
  t.strictSame(
    await run(`select $1::int + 1 as number, $2::bool as flag, $3::text as nothing, $4::jsonb as json`, [
      1,
      true,
      undefined,
      '{"a": [1]}',
    ]),
    [{ number: 2, flag: true, nothing: null, json: { a: [1] } }],
  )
})

t.test('an error has its SQLSTATE, detail and constraint, and the next statement works', async (t) => {
  await insert(1, 'a')
  // The second time, the statement is prepared already.
  for (let time = 0; time < 2; time++) {
    await t.rejects(insert(1, 'b'), {
      severity: 'ERROR',
      code: '23505',
      detail: 'Key (id)=(1) already exists.',
      constraint: 'pairs_pkey',
      table: 'pairs',
    })
    await t.rejects(insert('x', 'b'), { code: '22P02' })
    await t.rejects(insert(2, null), { code: '23502' })
    await t.rejects(run('select from nowhere'), { code: '42P01' })
    await t.rejects(run('selekt', [], false), { code: '42601' })
    await t.rejects(run('select 1 / n from generate_series(-2, 2) n'), { code: '22012' })
    t.strictSame(await run('select * from pairs'), [{ id: 1, name: 'a' }])
  }
})

t.test('statements that fail together with others leave them alone', async (t) => {
  const outcomes = await Promise.allSettled(
    Array.from({ length: 100 }, (_, nth) => (nth % 2 ? insert(nth, 'a') : insert('x', 'a'))),
  )
  t.strictSame(
    outcomes.map(({ status }) => status),
    outcomes.map((_, nth) => (nth % 2 ? 'fulfilled' : 'rejected')),
  )
  t.equal((await run('select from pairs')).length, 50)
})

t.test('a transaction is rolled back as a whole, and its statements stay usable', async (t) => {
  const text = 'select name from pairs where id = $1 and name <> $2'
  const failing = database.transaction(async (db) => {
    await db.run('insert into pairs values ($1, $2)', [1, 'rolled back'])
    t.strictSame(await db.run(text, [1, '']), [{ name: 'rolled back' }], 'it sees its own writes')
    // Waits for the transaction, and does not see it.
    const outside = run(text, [1, ''])
    await t.rejects(db.run('select 1 / $1::int', [0]), { code: '22012' })
    await t.rejects(db.run(text, [1, '']), { code: '25P02' })
    return { outside }
  })
  await t.rejects(failing, { code: '25P02' })
  t.strictSame(await run(text, [1, '']), [])

  const kept = await database.transaction(async (db) => {
    await db.run('insert into pairs values ($1, $2)', [1, 'kept'])
    return db
  })
  t.strictSame(await run(text, [1, '']), [{ name: 'kept' }])
  await t.rejects(kept.run(text, [1, '']), { message: 'the transaction has ended' })
})

t.test('a statement is prepared once, and a limited number of statements stays prepared', async (t) => {
  const text = 'select name from pairs where id = $1'
  for (let time = 0; time < 10; time++) await run(text, [time])
  t.equal((await preparedNow()).filter((prepared) => prepared === text).length, 1)
  for (let nth = 0; nth < MAX_PREPARED + 50; nth++)
    t.strictSame(await run(`select ${nth} as n`), [{ n: nth }])
  t.equal((await preparedNow()).length, MAX_PREPARED)
  t.strictSame(await run(text, [1]), [], 'one that was forgotten is prepared again')
  await run('select 1000 as n', [], false)
  t.notOk((await preparedNow()).includes('select 1000 as n'), 'unless it must not be prepared')
})

t.test('a statement that is used often is planned for the table as it is now', async (t) => {
  const text = 'select count(*)::int as count from pairs where name = $1'
  const planned = async () => {
    const [row] = await run(
      'select prepare_time::text as time from pg_prepared_statements where statement = $1',
      [text],
    )
    return (row as { time: string }).time
  }
  await run(text, ['a'])
  const before = await planned()
  for (let time = 0; time < 1000; time++) await run(text, ['a'])
  t.not(await planned(), before)
})

t.test('a table that was replaced is read by statements prepared before', async (t) => {
  const folder = await openDatabase(`file:${join(newFolder(t), 'data')}`, options)
  t.teardown(() => folder.close())
  const { db } = folder
  for (const value of ['first', 'second']) {
    await db.execute(sql`drop table if exists replaced`)
    await db.execute(sql`create table replaced (name text)`)
    await db.run('insert into replaced values ($1)', [value])
    t.strictSame(await db.run('select name from replaced', []), [{ name: value }])
  }
})
