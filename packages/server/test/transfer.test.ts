import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import type { Database } from '../src/db/database.js'
import { openDatabase } from '../src/db/open.js'
import { exportTo } from '../src/transfer/export.js'
import { importFrom } from '../src/transfer/import.js'
import { showProgress } from '../src/transfer/progress.js'
import { newFolder, startServer } from './process.js'
import { type Api, openApi, options, postgresMissing, startPostgres } from './support.js'

const skip = (!process.env.CI && postgresMissing()) || false

/** Collects what a command prints. */
function listener() {
  const out = {
    text: '',
    write(text: string) {
      out.text += text
    },
  }
  return out
}

/** Imports, and returns the report and what was printed. */
async function importInto({ database }: Api, from: string, dryRun = false) {
  const out = listener()
  const { batches, tasks, repaired, complete } = await importFrom(database, { from, dryRun }, out)
  return { batches, tasks, repaired: Object.fromEntries(repaired), complete, printed: out.text }
}

/** All that is in a database of ours. */
async function contents({ database: { db } }: Api): Promise<{ batches: any[]; tasks: any[] }> {
  const all = async (table: string): Promise<any[]> => {
    const result: any = await db.execute(
      sql`select to_json(r) as row from ${sql.identifier(table)} r order by id`,
    )
    return (result.rows ?? result).map(({ row }: any) => row)
  }
  return { batches: await all('batches'), tasks: await all('tasks') }
}

/** The service on a database, until the test ends. */
async function serve(test: Test, url: string): Promise<Api> {
  const database = await openDatabase(url, options)
  const api = await openApi(database)
  test.teardown(async () => {
    await api.app.close()
    await database.close()
  })
  return api
}

/** The database, where something happens before the nth statement of a transaction. */
const beforeStatement = ({ database }: Api, n: number, happen: () => void | Promise<void>): Database => ({
  ...database,
  transaction: (work) => {
    let count = 0
    return database.transaction(({ run }) =>
      work({
        async run(...statement) {
          if (++count === n) await happen()
          return run(...statement)
        },
      }),
    )
  },
})

const idsOf = (rows: { id: string }[]) => rows.map(({ id }) => id)

/** The schema of the Python service as its migrations make it: SQLAlchemy's Enum has the names of the members. */
const NATIVE = `
  CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
  CREATE TYPE taskstatus AS ENUM ('PENDING', 'IN_PROGRESS', 'COMPLETED');
  CREATE TYPE taskpriority AS ENUM ('HIGH', 'MEDIUM', 'LOW');
  CREATE TABLE task_batches (
    id UUID NOT NULL,
    session_id UUID,
    reason TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id)
  );
  CREATE TABLE tasks (
    id UUID NOT NULL,
    session_id UUID,
    batch_id UUID,
    title VARCHAR(255) NOT NULL,
    description TEXT,
    status taskstatus NOT NULL,
    priority taskpriority,
    due_date TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(batch_id) REFERENCES task_batches (id) ON DELETE SET NULL
  );
  CREATE INDEX ix_tasks_session_id ON tasks (session_id);`

/** The same, as portable types: no enum, no uuid, no time zone; and nothing is checked. */
const PORTABLE = `
  CREATE TABLE task_batches (
    id CHAR(32) NOT NULL PRIMARY KEY,
    session_id VARCHAR,
    reason TEXT,
    created_at TIMESTAMP WITHOUT TIME ZONE
  );
  CREATE TABLE tasks (
    id CHAR(32) NOT NULL PRIMARY KEY,
    session_id VARCHAR,
    batch_id CHAR(32),
    title VARCHAR NOT NULL,
    description TEXT,
    status VARCHAR(11) NOT NULL,
    priority VARCHAR(6),
    due_date TIMESTAMP WITHOUT TIME ZONE,
    completed_at TIMESTAMP WITHOUT TIME ZONE,
    created_at TIMESTAMP WITHOUT TIME ZONE,
    updated_at TIMESTAMP WITHOUT TIME ZONE
  );`

const embedded = await serve(t, 'memory://')
t.beforeEach(embedded.clear)

t.test('moving in from the Python service', { skip }, async (t) => {
  const { newDatabase } = await startPostgres(t)
  const url = await newDatabase()
  const onPostgres = await serve(t, url)
  t.beforeEach(onPostgres.clear)

  /** A database of the Python service, and its URL as SQLAlchemy writes it. */
  async function legacy(t: Test, schema: string) {
    const url = await newDatabase()
    const client = postgres(url, { max: 1, onnotice: () => {} })
    t.teardown(() => client.end())
    await client.unsafe(schema)
    return { client, old: url.replace('postgres:', 'postgresql+asyncpg:') }
  }

  for (const [name, target] of Object.entries({
    PostgreSQL: onPostgres,
    'the embedded database': embedded,
  })) {
    await t.test(`everything is there and in order, in ${name}`, async (t) => {
      const { client, old } = await legacy(t, NATIVE)
      const session = randomUUID()
      const [batch, empty, single] = [randomUUID(), randomUUID(), randomUUID()]
      const reason = '이유 \u2028 reason'
      // Ids are random, and the moment is that of the transaction: only the places of the rows tell their order.
      const ids = Array.from({ length: 7 }, () => randomUUID())
      const priorities = ['HIGH', 'MEDIUM', 'LOW', null, 'HIGH', 'MEDIUM', 'LOW'] as const
      await client.begin(async (tx) => {
        await tx`insert into task_batches values
          (${batch}, ${session}, ${reason}, default), (${empty}, null, null, '2025-12-06T19:00:00.123456+09:00')`
        for (const [n, id] of ids.entries()) {
          await tx`insert into tasks (id, session_id, batch_id, title, status, priority)
                   values (${id}, ${session}, ${batch}, 'step', 'PENDING', ${priorities[n]!})`
        }
      })
      await client`insert into tasks values
        (${single}, null, null, 'single', '설명', 'IN_PROGRESS', 'LOW', '2025-12-08T08:59:59.999999+09:00', null,
         '2025-12-06T10:00:00.999999Z', '2025-12-06T11:00:00Z')`
      // A learner works through the first three.
      for (const id of ids.slice(0, 3)) {
        await client`update tasks set status = 'COMPLETED', completed_at = now(), updated_at = now() where id = ${id}`
      }
      // The Python service did not set it for a task that was created as completed.
      await client`update tasks set completed_at = null, updated_at = '2030-01-01T00:00:00Z' where id = ${ids[2]!}`

      const expected = {
        batches: { copied: 2, known: 0, skipped: 0 },
        tasks: { copied: 8, known: 0, skipped: 0 },
        repaired: { 'completed without completed_at: set to updated_at': 1 },
        complete: true,
      }
      const planned = await importInto(target, old, true)
      t.match(planned, expected)
      t.match(planned.printed, /^tasks: 8 would be copied to .+, 0 already existed, 0 skipped$/m)
      t.same(await contents(target), { batches: [], tasks: [] }, 'a dry run copies nothing')

      const done = await importInto(target, old)
      t.match(done, expected)
      t.match(done.printed, /^batches: 2 copied to .+, 0 already existed, 0 skipped$/m)
      t.notMatch(done.printed, 'password')

      const { call } = target
      const { body } = await call('GET', `/batches/${batch}`)
      t.match(body, { session_id: session, reason })
      t.same(idsOf(body.tasks), ids)
      t.same(
        body.tasks.map(({ priority }: any) => priority),
        priorities.map((priority) => priority?.toLowerCase() ?? null),
      )
      const completed_at = '2030-01-01T00:00:00.000Z'
      t.match(body.tasks[2], { status: 'completed', completed_at, session_id: session, batch_id: batch })
      t.same((await call('GET', `/batches/${empty}`)).body, {
        id: empty,
        session_id: null,
        reason: null,
        created_at: '2025-12-06T10:00:00.123Z',
        tasks: [],
      })
      t.match((await call('GET', `/tasks/${single}`)).body, {
        id: single,
        session_id: null,
        batch_id: null,
        title: 'single',
        description: '설명',
        status: 'in_progress',
        priority: 'low',
        due_date: '2025-12-07T23:59:59.999Z',
        completed_at: null,
        created_at: '2025-12-06T10:00:00.999Z',
        updated_at: '2025-12-06T11:00:00.000Z',
      })

      // Life goes on, here and there.
      await call('PUT', `/tasks/${ids[3]}`, { title: 'changed here', status: 'completed' })
      await client`update tasks set title = 'changed there'`
      const late = randomUUID()
      await client`insert into tasks (id, batch_id, title, status) values (${late}, ${batch}, 'late', 'PENDING')`

      const before = await contents(target)
      const { printed, ...second } = await importInto(target, old)
      t.same(second, {
        batches: { copied: 0, known: 2, skipped: 0 },
        tasks: { copied: 1, known: 8, skipped: 0 },
        repaired: {},
        complete: true,
      })
      const after = await contents(target)
      t.same(after.batches, before.batches)
      const isLate = ({ id }: any) => id === late
      t.same(
        after.tasks.filter((task) => !isLate(task)),
        before.tasks,
        'what is there is left alone',
      )
      t.match(after.tasks.find(isLate), { title: 'late', batch_id: batch, position: 7 })
    })
  }

  await t.test('the moments of creation say the order of a batch, where they differ', async (t) => {
    const { client, old } = await legacy(t, NATIVE)
    const batch = randomUUID()
    await client`insert into task_batches (id) values (${batch})`
    // Within a millisecond, which is all that is kept here.
    const rows = [3, 1, 2].map((n) => ({ n, id: randomUUID(), created_at: `2025-12-06T10:00:00.00000${n}Z` }))
    for (const { id, created_at } of rows) {
      await client`insert into tasks (id, batch_id, title, status, created_at)
                   values (${id}, ${batch}, 'a', 'PENDING', ${client.typed(created_at as any, 25)}::timestamptz)`
    }
    await importInto(onPostgres, old)
    const { body } = await onPostgres.call('GET', `/batches/${batch}`)
    t.same(idsOf(body.tasks), idsOf(rows.sort((a, b) => a.n - b.n)))
  })

  await t.test(
    'column types do not matter; rows are repaired if possible, else skipped and reported',
    async (t) => {
      const { client, old } = await legacy(t, PORTABLE)
      const hex = () => randomUUID().replaceAll('-', '')
      const dashed = (id: string) => id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
      const session = randomUUID()
      const [batch, badBatch] = [hex(), hex()]
      await client`insert into task_batches values
      (${batch}, ${session.toUpperCase()}, null, '2025-12-06 10:00:00'),
      (${badBatch}, 'session one', null, '2025-12-06 10:00:00')`
      const [created_at, updated_at] = ['2025-12-06T10:00:00.500Z', '2025-12-06T11:00:00.000Z']
      const good: [Record<string, string | null>, object][] = [
        [
          { batch_id: batch, session_id: session },
          { batch_id: dashed(batch), session_id: session, created_at },
        ],
        [{ priority: 'HIGH' }, { priority: 'high', status: 'pending', session_id: null }],
        [{ status: 'IN_PROGRESS' }, { status: 'in_progress', updated_at }],
        [{ session_id: '' }, { session_id: null }],
        [{ status: 'COMPLETED' }, { status: 'completed', completed_at: updated_at }],
        [
          { status: 'COMPLETED', updated_at: null },
          { completed_at: created_at, updated_at: created_at },
        ],
        [{ completed_at: '2025-12-06 10:30' }, { status: 'pending', completed_at: null }],
        [{ batch_id: hex() }, { batch_id: null }],
        [{ due_date: '2025-12-31' }, { due_date: '2025-12-31T00:00:00.000Z' }],
        [{ due_date: 'infinity' }, { due_date: '9999-12-31T23:59:59.999Z' }],
        [{ due_date: '-infinity' }, { due_date: '0001-01-01T00:00:00.000Z' }],
        [{ title: '😀'.repeat(255), description: '한'.repeat(1000) }, { title: '😀'.repeat(255) }],
      ]
      const bad: [Record<string, string | null>, string][] = [
        [{ title: '' }, 'title must not be empty'],
        [{ title: ' \t' }, 'title must not be blank'],
        [{ title: 'a'.repeat(256) }, 'title must have at most 255 characters, has 256'],
        [{ description: 'a'.repeat(1001) }, 'description must have at most 1000 characters, has 1001'],
        [{ status: 'CANCELLED' }, 'status must be pending, in_progress or completed'],
        [{ priority: 'URGENT' }, 'priority must be high, medium, low or null'],
        [{ due_date: '10000-01-01' }, 'due_date must be an existing time'],
        [{ due_date: '0044-03-15 BC' }, 'due_date must be an existing time'],
        [{ session_id: 'session one' }, 'session_id must be a UUID'],
        [{ created_at: null, updated_at: null }, 'created_at must be a string, not null'],
        [{ batch_id: badBatch }, 'its batch does not exist'],
      ]
      const insert = async (columns: Record<string, string | null>) => {
        const id = hex()
        const moments = { created_at: '2025-12-06 10:00:00.5', updated_at: '2025-12-06 11:00:00' }
        const row = client.json({ id, title: 'a', status: 'PENDING', ...moments, ...columns })
        await client`insert into tasks select * from jsonb_populate_record(null::tasks, ${row})`
        return dashed(id)
      }
      const [goodIds, badIds]: [string[], string[]] = [[], []]
      for (const [columns] of good) goodIds.push(await insert(columns))
      for (const [columns] of bad) badIds.push(await insert(columns))

      const { printed, ...report } = await importInto(onPostgres, old)
      t.same(report, {
        batches: { copied: 1, known: 0, skipped: 1 },
        tasks: { copied: good.length, known: 0, skipped: bad.length },
        repaired: {
          'updated_at was missing: set to completed_at or created_at': 1,
          'completed without completed_at: set to updated_at': 2,
          'not completed, but with completed_at: cleared': 1,
          'its batch does not exist: batch_id cleared': 1,
        },
        complete: false,
      })
      for (const [i, [columns, expected]] of good.entries()) {
        const { body } = await onPostgres.call('GET', `/tasks/${goodIds[i]}`)
        t.match(body, expected, JSON.stringify(columns).slice(0, 60))
      }
      t.match((await onPostgres.call('GET', `/batches/${dashed(batch)}`)).body, { session_id: session })
      for (const [i, [, why]] of bad.entries()) t.match(printed, `skipped: task ${badIds[i]}: ${why}`)
      t.match(printed, `skipped: batch ${dashed(badBatch)}: session_id must be a UUID`)
      t.match(printed, 'Some rows were not copied')

      // Put right at its source, the rest follows.
      await client`update task_batches set session_id = ${session} where id = ${badBatch}`
      t.match(await importInto(onPostgres, old), {
        batches: { copied: 1, known: 1, skipped: 0 },
        tasks: { copied: 1, known: good.length, skipped: bad.length - 1 },
      })
    },
  )

  await t.test('an import that fails leaves nothing behind, and the error is one line', async (t) => {
    const { client, old } = await legacy(t, NATIVE)
    await client`insert into tasks (id, title, status)
                 select gen_random_uuid(), 'task ' || n, 'PENDING' from generate_series(1, 1200) n`
    const other = postgres(url, { max: 1, onnotice: () => {} })
    t.teardown(() => other.end())
    await other`create function fail() returns trigger language plpgsql as
      $$ begin raise exception 'no more room'; end $$`
    await other`create trigger fail before insert on tasks for each row
      when (new.title = 'task 1100') execute function fail()`
    for (const dryRun of [true, false]) {
      await t.rejects(importInto(onPostgres, old, dryRun), { message: 'nothing was copied: no more room' })
    }
    t.equal((await contents(onPostgres)).tasks.length, 0)
    await other`drop trigger fail on tasks`
    t.match((await importInto(onPostgres, old)).tasks, { copied: 1200 })
  })

  await t.test('an unreadable database is reported in one line, without its password', async (t) => {
    for (const [wrong, message] of [
      [url, /^cannot read PostgreSQL at .+: it lacks the tables task_batches and tasks of the/],
      [url.replace('password', 'secret'), /^cannot read PostgreSQL at .+: password authentication failed/],
      ['postgresql+asyncpg://u:secret#@h/d', /^the URL to import from is malformed/],
      ['postgres://u:secret@127.0.0.1:1/d', /^cannot read PostgreSQL at 127.0.0.1:1\/d: .*ECONNREFUSED/],
    ] as const) {
      const error = await importInto(embedded, wrong).catch((error) => error)
      t.match(error.message, message)
      t.notMatch(error.message, /secret|\n/)
    }
  })

  await t.test('a service that is started on the old database says how to import it', async (t) => {
    const { client, old } = await legacy(t, NATIVE)
    await t.rejects(openDatabase(old, options), {
      message: /^cannot open the database \(.+\): it belongs to the Python service\. .+ import --from/,
    })
    t.same(await client`select from pg_namespace where nspname = 'drizzle'`, [], 'and nothing is made there')
  })

  await t.test('an export brings every field from the embedded database to PostgreSQL', async (t) => {
    const { call, plan, database } = embedded
    const { tasks } = await plan([
      { title: 'a', description: 'a\u2028b\n"\\ 한 😀', priority: 'high', due_date: '2025-12-31' },
      { title: 'b', status: 'completed' },
      { title: 'c' },
    ])
    await call('PUT', `/tasks/${tasks[0].id}`, { status: 'in_progress' })
    await call('POST', '/tasks', { title: 'single', due_date: '0001-01-01' })
    for (let n = 0; n < 3; n++) await plan(Array.from({ length: 500 }, (_, i) => ({ title: `${i}` })))

    const folder = newFolder(t)
    const file = join(folder, 'backup.jsonl')
    const out = listener()
    t.same(await exportTo(database, { to: file }, out), { batches: 4, tasks: 1504 })
    t.match(out.text, /^tasks: 1504 exported from /m)
    t.notOk(existsSync(`${file}.unfinished`))

    t.match(await importInto(onPostgres, file), {
      batches: { copied: 4, known: 0, skipped: 0 },
      tasks: { copied: 1504, known: 0, skipped: 0 },
      repaired: {},
      complete: true,
    })
    const copied = await contents(onPostgres)
    t.equal(copied.tasks.length, 1504)
    t.same(copied, await contents(embedded))

    t.match(await importInto(onPostgres, file), {
      batches: { copied: 0, known: 4, skipped: 0 },
      tasks: { copied: 0, known: 1504, skipped: 0 },
      complete: true,
    })
    const again = join(folder, 'again.jsonl')
    await exportTo(onPostgres.database, { to: again }, listener())
    t.equal(readFileSync(again, 'utf8'), readFileSync(file, 'utf8'))
  })

  await t.test('an export is of one moment, whatever is written meanwhile', async (t) => {
    await onPostgres.plan([{ title: 'a' }])
    const meanwhile = beforeStatement(onPostgres, 3, async () => {
      await onPostgres.plan([{ title: 'b' }])
    })
    const file = join(newFolder(t), 'backup.jsonl')
    t.same(await exportTo(meanwhile, { to: file }, listener()), { batches: 1, tasks: 1 })
    t.equal(readFileSync(file, 'utf8').trimEnd().split('\n').length, 3)
    t.equal((await contents(onPostgres)).tasks.length, 2)
  })
})

t.test('a file that is not what it should be', async (t) => {
  const api = embedded
  const folder = newFolder(t)
  await api.plan([{ title: 'a' }, { title: 'b' }])
  const backup = join(folder, 'backup.jsonl')
  await exportTo(api.database, { to: backup }, listener())
  const lines = readFileSync(backup, 'utf8').trimEnd().split('\n')
  t.equal(lines.length, 4)
  const file = (content: string | Buffer) => {
    const name = join(folder, `${randomUUID()}.jsonl`)
    writeFileSync(name, content)
    return name
  }

  await t.test('valid lines are imported, the others are skipped and reported', async (t) => {
    const cut = await importInto(api, file(lines.join('\n').slice(0, -10)))
    t.match(cut, { batches: { copied: 1 }, tasks: { copied: 1 }, complete: false })
    t.match(cut.printed, 'skipped: line 4: expected {"batch":{…}} or {"task":{…}}\n')
    t.match(cut.printed, 'tasks: found 1 rows, expected 2\n')

    const [header, batch, a, b] = lines as [string, string, string, string]
    const broken = [
      header,
      batch,
      a.replace('"title":"a"', '"title":"\\u0000"'),
      b.replace('"title"', '"name":1,"title"'),
      '{"task":null}',
      '[]',
    ]
    const { printed, tasks } = await importInto(api, file(broken.join('\n')))
    t.match(tasks, { copied: 0, skipped: 2 })
    t.match(printed, `skipped: task ${JSON.parse(a).task.id}: title must not contain NUL`)
    t.match(printed, `skipped: task ${JSON.parse(b).task.id}: name: unknown field`)
    t.match(printed, /skipped: line 5.+\nskipped: line 6/)

    const windows = await importInto(api, file(lines.join('\r\n')))
    t.match(windows, { tasks: { copied: 1, known: 1 }, complete: true })
  })

  await t.test('a row of an older export may lack the fields that a create may leave out', async (t) => {
    await api.clear()
    const row = JSON.parse(lines[2]!).task
    const { session_id, description, priority, due_date, status, ...older } = row
    const name = file([lines[0]!.replace(/2/, '1'), lines[1], JSON.stringify({ task: older })].join('\n'))
    t.match(await importInto(api, name), { tasks: { copied: 1, skipped: 0 }, complete: true })
    t.same((await contents(api)).tasks[0].status, 'pending')
    t.same((await api.call('GET', `/tasks/${row.id}`)).body.priority, null)
    await api.clear()
    t.match(await importInto(api, backup), { tasks: { copied: 2 } })
  })

  await t.test('a file that is not an export is rejected', async (t) => {
    for (const [content, why] of [
      ['', 'it is not an export of this service'],
      ['{"id":1}\n', 'it is not an export of this service'],
      ['[]', 'it is not an export of this service'],
      ['null', 'it is not an export of this service'],
      [lines.slice(1).join('\n'), 'it is not an export of this service'],
      ['{"aklp_task_export":1}', 'it is not an export of this service'],
      ['{"aklp_task_export":2,"batches":0,"tasks":0}', 'it was written by a newer server'],
      [Buffer.from(`\ufeff${lines.join('\n')}`, 'utf16le'), 'it is not UTF-8 text'],
      ['a'.repeat(2_000_000), 'a line is longer than in any export'],
    ] as const) {
      const name = file(content as string)
      await t.rejects(importInto(api, name), { message: new RegExp(`^cannot read ${name}: ${why}`) })
    }
    const none = join(folder, 'none')
    await t.rejects(importInto(api, none), { message: new RegExp(`^cannot read ${none}: ENOENT`) })
  })

  await t.test('an export that fails keeps the earlier one, and leaves nothing half-made', async (t) => {
    const earlier = readFileSync(backup, 'utf8')
    await api.plan([{ title: 'c' }])
    // The isolation level, the counts and the batches are read, but no tasks.
    const failing = beforeStatement(api, 4, () => {
      throw new Error('the database went away')
    })
    await t.rejects(exportTo(failing, { to: backup }, listener()), {
      message: 'the export is not complete: the database went away',
    })
    t.equal(readFileSync(backup, 'utf8'), earlier)
    t.notOk(existsSync(`${backup}.unfinished`))
    await t.rejects(exportTo(api.database, { to: join(folder, 'none', 'backup') }, listener()), {
      message: /^the export is not complete: ENOENT/,
    })
  })
})

t.test('the command line moves data in and out', async (t) => {
  const folder = newFolder(t)
  const run = async (...args: string[]) => {
    const { output, ended } = startServer(t, { DATABASE_URL: `file:${folder}/data` }, { folder, args })
    return { ...(await ended), ...output }
  }
  await embedded.plan([{ title: 'a' }, { title: 'b' }])
  const file = join(folder, 'backup.jsonl')
  await exportTo(embedded.database, { to: file }, listener())
  const backup = readFileSync(file, 'utf8')

  const imported = await run('import', '--from', file)
  t.match(imported, { code: 0, stdout: '' })
  t.match(
    imported.stderr,
    /^1 of 3 rows\n3 of 3 rows\nbatches: 1 copied to .+\ntasks: 2 copied to .+, 0 skipped\n$/,
  )
  t.match(await run('export', '--to', '-'), {
    code: 0,
    stdout: backup,
    stderr: /^1 of 3 rows\n3 of 3 rows\nbatches: 1 exp/,
  })

  writeFileSync(file, backup.slice(0, -10))
  const cut = await run('import', '--from', file, '--dry-run')
  t.match(cut, { code: 1, stdout: '', stderr: /line 4.+\n(.+\n)+Some rows were not copied/ })

  const holder = startServer(t, { DATABASE_URL: `file:${folder}/data` })
  await holder.listening()
  const refused = await Promise.all([run('import', '--from', file), run('export', '--to', file)])
  const inUse = new RegExp(
    `^aklp-task-server: the database folder .+ is in use by process ${holder.child.pid}\\. .+\\n$`,
  )
  for (const { code, stderr } of refused) t.match({ code, stderr }, { code: 1, stderr: inUse })
  t.equal(readFileSync(file, 'utf8'), backup.slice(0, -10))
})

t.test('progress is printed in a line for each ten percent', async (t) => {
  const out = listener()
  const progress = showProgress(1000, out)
  for (let n = 0; n < 100; n++) progress.advance(10)
  progress.print('skipped: a')
  const lines = out.text.trimEnd().split('\n')
  t.same(lines.slice(-2), ['1000 of 1000 rows', 'skipped: a'])
  t.equal(lines.length, 11)
})
