import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { openDatabase } from '../src/db/open.js'
import { options, skipPostgres, startPostgres } from './support.js'
import { contents, importInto, serve } from './transfer.js'

const idsOf = (rows: { id: string }[]) => rows.map(({ id }) => id)

/** The schema that the migrations of the Python service create. SQLAlchemy's Enum stores the names of the members. */
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

/** The same with portable types: no enum, no uuid, no time zone and no constraints. */
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

t.test('import from the Python service', { skip: skipPostgres }, async (t) => {
  const { newDatabase } = await startPostgres(t)
  const url = await newDatabase()
  const onPostgres = await serve(t, url)
  t.beforeEach(onPostgres.clear)

  /** Creates a database of the Python service, with its URL in the format of SQLAlchemy. */
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
    await t.test(`an import into ${name} copies every row and keeps the order of tasks`, async (t) => {
      const { client, old } = await legacy(t, NATIVE)
      const session = randomUUID()
      const [batch, empty, single] = [randomUUID(), randomUUID(), randomUUID()]
      const reason = '이유 \u2028 reason'
      // Ids are random and now() is the time of the transaction: only the position of the rows on disk has the order.
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
      // The learner completes the first three.
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
      t.match((await call('GET', `/batches/${empty}`)).body, {
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

      // Both services change data after the import.
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
        'existing rows are not changed',
      )
      t.match(after.tasks.find(isLate), { title: 'late', batch_id: batch, position: 7 })
    })
  }

  await t.test('the tasks of a batch are ordered by created_at, to the microsecond', async (t) => {
    const { client, old } = await legacy(t, NATIVE)
    const batch = randomUUID()
    await client`insert into task_batches (id) values (${batch})`
    // This service keeps milliseconds only.
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
    'invalid rows are repaired if possible, else skipped and reported, whatever the column types',
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

      // After a correction at the source, the next import copies the skipped rows.
      await client`update task_batches set session_id = ${session} where id = ${badBatch}`
      t.match(await importInto(onPostgres, old), {
        batches: { copied: 1, known: 1, skipped: 0 },
        tasks: { copied: 1, known: good.length, skipped: bad.length - 1 },
      })
    },
  )

  await t.test('a failed import copies nothing and reports one line', async (t) => {
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
      ['postgres://u:1/secret@127.0.0.1:1/d', /^the URL to import from is malformed/],
      ['postgres://u:1?secret@127.0.0.1:1/d', /^the URL to import from is malformed/],
      ['postgres://127.0.0.1:1/d?user=a@b&password=secret', /^cannot read PostgreSQL at .+ECONNREFUSED/],
      ['Postgres://u:secret@h/d', /^the source to import from must be a postgresql:\/\/ URL/],
      ['postgres:u:secret@h/d', /^the source to import from must be a postgresql:\/\/ URL/],
      ['mysql://u:secret@h/d', /^the source to import from must be a postgresql:\/\/ URL/],
      ['postgres://u:secret@127.0.0.1:1/d', /^cannot read PostgreSQL at 127.0.0.1:1\/d: .*ECONNREFUSED/],
    ] as const) {
      const error = await importInto(embedded, wrong).catch((error) => error)
      t.match(error.message, message)
      t.notMatch(error.message, /secret|\n/)
    }
  })

  await t.test(
    'a server does not start on a database of the Python service, and its error explains the import',
    async (t) => {
      const { client, old } = await legacy(t, NATIVE)
      await t.rejects(openDatabase(old, options), {
        message:
          /^cannot open the database \(.+\): it belongs to the Python service\. .+ import" with this URL in IMPORT_FROM/,
      })
      t.same(await client`select from pg_namespace where nspname = 'drizzle'`, [], 'nothing is created there')
    },
  )
})
