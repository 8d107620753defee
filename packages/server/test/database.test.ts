import { randomUUID } from 'node:crypto'
import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generateDrizzleJson, generateMigration } from 'drizzle-kit/api'
import { sql } from 'drizzle-orm'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { type Database, DatabaseError } from '../src/db/database.js'
import { minimumServerOf, readMigrations } from '../src/db/migrate.js'
import { openDatabase } from '../src/db/open.js'
import * as tables from '../src/db/tables.js'
import { anonymous } from '../src/http/caller.js'
import { build, newFolder, send, startServer, until } from './process.js'
import { freePort, options, skipPostgres, startPostgres, storesOf } from './support.js'

const server = fileURLToPath(new URL('..', import.meta.url))
const readJson = (path: string) => JSON.parse(readFileSync(join(server, path), 'utf8'))
const { entries } = readJson('migrations/meta/_journal.json')

t.test('each migration says which servers work after it', async (t) => {
  for (const { idx, tag } of entries) {
    const minimum = minimumServerOf(readFileSync(join(server, `migrations/${tag}.sql`), 'utf8'))
    t.ok(minimum <= idx, `${tag}: a server exists that has migration ${minimum}`)
  }
  t.throws(() => minimumServerOf('ALTER TABLE tasks ADD COLUMN more text;'), {
    message: 'a migration lacks the line "-- minimum server: NNNN"',
  })
})

t.test('a migration never changes: databases that have it would lack the change', (t) => {
  // The first digits of the SHA-256 of each file. Add a line for a new migration.
  t.same(
    readMigrations().map(({ hash }) => hash.slice(0, 12)),
    [
      '00696c3f4e61',
      '4c2fe7071f18',
      '9963e59403ee',
      'dea697787a16',
      'e88bb5b952fe',
      '4e6037cb2425',
      'c2057aa7afe3',
      'a29cdad6fe7f',
    ],
  )
  t.end()
})

t.test('the committed migrations create the tables that tables.ts declares', async (t) => {
  const last = readJson(`migrations/meta/${String(entries.length - 1).padStart(4, '0')}_snapshot.json`)
  t.strictSame(await generateMigration(last, generateDrizzleJson(tables, last.id) as any), [])
  // It reports a difference if there is one.
  const { tasks, ...less } = tables
  t.not((await generateMigration(last, generateDrizzleJson(less, last.id) as any)).length, 0)
})

/** The rows of a statement, on either driver. */
async function rows(database: Database, statement: ReturnType<typeof sql>): Promise<any[]> {
  const result: any = await database.db.execute(statement)
  return result.rows ?? result
}

/** The message of the error with which opening a database fails. */
async function failure(t: Test, opening: Promise<Database>): Promise<string> {
  const error = await opening.then(
    async (database) => {
      await database.close()
      return undefined
    },
    (error) => error,
  )
  t.type(error, DatabaseError)
  return error?.message ?? 'it opened'
}

/** Takes events back. */
const UNDO_EVENTS = [
  `drop function write_batch_event, write_new_task_event, write_task_event, write_deleted_task_event, remove_old_events, event_xid,
    task_changes, api_timestamp cascade`,
  `drop table events`,
  `drop type event_type`,
]

/** Makes a database that of the release before plans and claims, which had two migrations. */
const UNDO_PLANS = [
  ...UNDO_EVENTS,
  `drop function has_open_blocker, end_lease, check_blockers, remove_blockers, json_merge_patch, json_merge_patches, merge_metadata cascade`,
  `alter table tasks drop column key, drop column blocked_by, drop column not_before, drop column attempts,
    drop column claimed_by, drop column lease_token, drop column lease_expires_at, drop column result, drop column metadata`,
  `alter table batches drop column metadata`,
  `drop index tasks_by_creation`,
  `delete from drizzle.__drizzle_migrations where id > 2`,
]

/** Tests for every kind of database, at the URL of a new and empty one. */
async function onAnyDatabase(t: Test, url: string) {
  await t.test('a new database has the schema, and opening it again changes nothing', async (t) => {
    for (let time = 0; time < 2; time++) {
      const database = await openDatabase(url, options)
      await database.ping()
      const applied = await rows(database, sql`select hash from drizzle.__drizzle_migrations`)
      t.equal(applied.length, entries.length)
      await database.close()
    }
  })

  await t.test('a database of the release before opens and works with its data', async (t) => {
    const earlier = await openDatabase(url, options)
    // Takes back what later migrations have added.
    for (const undo of UNDO_PLANS) await earlier.db.execute(sql.raw(undo))
    const [session_id, batch_id, open, completed] = Array.from({ length: 4 }, () => randomUUID())
    await earlier.db.execute(sql`insert into batches (id, session_id) values (${batch_id}, ${session_id})`)
    await earlier.db.execute(sql`
      insert into tasks (id, session_id, batch_id, position, title, status, completed_at) values
        (${open}, ${session_id}, ${batch_id}, 0, 'open', 'in_progress', null),
        (${completed}, ${session_id}, ${batch_id}, 1, 'completed', 'completed', now())`)
    await earlier.close()

    const database = await openDatabase(url, options)
    const { tasks, batches, claims, sessions } = storesOf(database)
    const batch = JSON.parse((await batches.get(anonymous, batch_id!))!)
    t.match(batch, { metadata: {}, progress: { total: 2, completed: 1, in_progress: 1, ready: 0 } })
    for (const task of batch.tasks)
      t.match(task, { key: null, blocked_by: [], attempts: 0, claimed_by: null, result: null, metadata: {} })
    t.equal(JSON.parse(await sessions.get(anonymous, session_id!)).progress.percent, 50)
    await tasks.update(anonymous, open!, { status: 'pending', blocked_by: [completed!], metadata: { a: 1 } })
    const scope = { worker: 'one', session_id: session_id!, lease_seconds: 60, resume: false }
    const claimed: any = await claims.next(anonymous, scope)
    t.match(JSON.parse(claimed.json).task, { id: open, attempts: 1, metadata: { a: 1 } })
    await database.db.execute(sql`truncate tasks, batches`)
    await database.close()
  })

  await t.test('a database in which the rules are the cheaper ones already opens and works', async (t) => {
    const earlier = await openDatabase(url, options)
    for (const undo of UNDO_EVENTS) await earlier.db.execute(sql.raw(undo))
    for (const undo of [
      'drop function json_merge_patches, merge_metadata',
      `create function merge_metadata(metadata jsonb, patches jsonb) returns jsonb language sql immutable
         return json_merge_patch(metadata, patches -> 0)`,
      // As if neither the migration that brings them nor later ones had run.
      `delete from drizzle.__drizzle_migrations where created_at >= ${entries[6]!.when}`,
    ])
      await earlier.db.execute(sql.raw(undo))
    await earlier.close()

    const database = await openDatabase(url, options)
    const { tasks } = storesOf(database)
    const id = randomUUID()
    await database.db.execute(sql`insert into tasks (id, title) values (${id}, 'a')`)
    await tasks.update(anonymous, id, { metadata: { a: 1 } })
    t.match(JSON.parse((await tasks.get(anonymous, id))!.json), { metadata: { a: 1 } })
    const merged = await rows(database, sql`select merge_metadata('{"a":1}', '[{"b":2},{"a":null}]') as it`)
    t.same(merged[0].it, { b: 2 }, 'servers that still run call it by its former name')
    const large = JSON.stringify([{ a: 'x'.repeat(9000) }])
    await t.rejects(database.db.execute(sql`select merge_metadata('{}', ${large}::jsonb)`))
    await database.db.execute(sql`truncate tasks, events`)
    await database.close()
  })

  await t.test(
    'servers of the release before, which still run during an upgrade, keep the rules',
    async (t) => {
      const database = await openDatabase(url, options)
      const { tasks, claims } = storesOf(database)
      const [session_id, id, dependent] = Array.from({ length: 3 }, () => randomUUID())
      // The columns and changes that they know.
      await database.db.execute(sql`
      insert into tasks (id, session_id, batch_id, position, title, description, status, priority, due_date, completed_at,
                         created_at, updated_at)
      select id, session_id, batch_id, 0, title, null, 'pending', null, null, null, now(), now()
      from jsonb_populate_recordset(null::tasks, ${JSON.stringify([
        { id, session_id, title: 'a' },
        { id: dependent, session_id, title: 'b' },
      ])}::jsonb)`)
      await tasks.update(anonymous, dependent!, { blocked_by: [id!] })
      await claims.one(anonymous, id!, { worker: 'one', lease_seconds: 60 })
      await database.db.execute(
        sql`update tasks set status = 'completed', completed_at = now(), updated_at = now() where id = ${id}`,
      )
      const read = async (id: string) => JSON.parse((await tasks.get(anonymous, id))!.json)
      t.match(await read(id!), { status: 'completed', claimed_by: null, lease_expires_at: null, attempts: 1 })
      t.match(await read(dependent!), { is_ready: true, blocked_by: [id] })
      await database.db.execute(sql`delete from tasks where id = ${id}`)
      t.match(await read(dependent!), { is_ready: true, blocked_by: [] })
      await database.db.execute(sql`truncate tasks`)
      await database.close()
    },
  )

  await t.test('the database rejects rows that violate a constraint', async (t) => {
    const database = await openDatabase(url, options)
    const batch = randomUUID()
    await database.db.execute(sql`insert into batches (id) values (${batch})`)
    const insert = async (columns: Record<string, unknown>) => {
      const row = { id: randomUUID(), title: 'a', ...columns }
      const names = sql.join(
        Object.keys(row).map((name) => sql.identifier(name)),
        sql`, `,
      )
      const values = sql.join(
        Object.values(row).map((value) => sql`${value}`),
        sql`, `,
      )
      await database.db.execute(sql`insert into tasks (${names}) values (${values})`)
      return row.id
    }
    const code = (insertion: Promise<unknown>) =>
      insertion.then(
        () => 'accepted',
        (error) => error.cause?.code,
      )

    const moment = '2025-01-01T00:00:00Z'
    for (const accepted of [
      {},
      { title: '😀'.repeat(255), description: '한'.repeat(1000) },
      { status: 'completed', completed_at: moment, priority: 'high', due_date: moment, batch_id: batch },
    ]) {
      t.equal(await code(insert(accepted)), 'accepted')
    }
    const [notNull, foreignKey, unique, check] = ['23502', '23503', '23505', '23514']
    const [tooLong, notInEnum] = ['22001', '22P02']
    for (const [rejected, reason] of [
      [{ title: '' }, check],
      [{ title: null }, notNull],
      [{ title: '😀'.repeat(256) }, tooLong],
      [{ description: '한'.repeat(1001) }, tooLong],
      [{ status: 'done' }, notInEnum],
      [{ status: null }, notNull],
      [{ priority: 'urgent' }, notInEnum],
      [{ status: 'completed' }, check],
      [{ status: 'pending', completed_at: moment }, check],
      [{ status: 'in_progress', completed_at: moment }, check],
      [{ batch_id: randomUUID() }, foreignKey],
      [{ id: null }, notNull],
    ] as const) {
      t.equal(await code(insert(rejected)), reason, JSON.stringify(rejected).slice(0, 80))
    }
    const id = await insert({ batch_id: batch })
    t.equal(await code(insert({ id })), unique)
    t.equal(
      await code(database.db.execute(sql`update tasks set status = 'completed' where id = ${id}`)),
      check,
    )
    t.equal(await code(database.db.execute(sql`delete from batches where id = ${batch}`)), foreignKey)
    t.equal(
      await code(
        database.db.execute(
          sql`insert into batches (id, reason) values (${randomUUID()}, ${'a'.repeat(10_001)})`,
        ),
      ),
      tooLong,
    )
    await database.close()
  })

  await t.test(
    'a newer server upgrades the schema and keeps the data, and this one can use it until a migration requires a newer one',
    async (t) => {
      const create = async (title: string) => {
        const database = await openDatabase(url, options)
        const created: any = await storesOf(database).tasks.create(anonymous, { title, status: 'pending' })
        await database.close()
        return JSON.parse(created.json).id
      }
      const upgrade = async (entry: string, id: string, title: string) => {
        const newer = startServer(t, { DATABASE_URL: url }, { entry })
        const task: any = await (await fetch(`${await newer.listening()}/api/v1/tasks/${id}`)).json()
        t.equal(task.title, title)
        newer.child.kill('SIGTERM')
        t.equal((await newer.ended).code, 0)
      }
      const id = await create('before')
      await upgrade(newerServer(t, expand), id, 'before')
      await upgrade(newerServer(t, expand, contract), await create('rolled back'), 'rolled back')

      t.match(
        await failure(t, openDatabase(url, options)),
        /^cannot open the database \(.+\): The database schema \(2100-01-02\) requires a newer server\. Upgrade this server, or restore the backup from before the schema was upgraded\.$/,
      )
    },
  )
}

/** A migration after which this server works, and one after which only servers that have the former do. */
const number = (n: number) => String(n).padStart(4, '0')
const expand = `-- minimum server: ${number(entries.length - 1)}\nALTER TABLE tasks ADD COLUMN more text;`
const contract = `-- minimum server: ${number(entries.length)}\nALTER TABLE tasks DROP COLUMN more;`

/** A newer version of this server: a copy with more migrations. */
function newerServer(t: Test, ...more: string[]): string {
  const folder = newFolder(t)
  build()
  for (const name of ['dist', 'migrations', 'package.json', 'openapi.json']) {
    cpSync(join(server, name), join(folder, name), { recursive: true })
  }
  symlinkSync(join(server, 'node_modules'), join(folder, 'node_modules'))
  const journal = readJson('migrations/meta/_journal.json')
  const added = more.map((text, nth) => {
    const tag = `${number(entries.length + nth)}_more`
    writeFileSync(join(folder, `migrations/${tag}.sql`), text)
    const when = Date.UTC(2100, 0, 1 + nth)
    return { idx: entries.length + nth, version: '7', when, tag, breakpoints: true }
  })
  const changed = { ...journal, entries: [...entries, ...added] }
  writeFileSync(join(folder, 'migrations/meta/_journal.json'), JSON.stringify(changed))
  return join(folder, 'dist/start/cli.js')
}

async function post(base: string, path: string, body: unknown): Promise<any> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(base + path, { method: 'POST', headers, body: JSON.stringify(body) })
  return response.json()
}

t.test('embedded database', async (t) => {
  await onAnyDatabase(t, `file:${newFolder(t)}/data`)

  await t.test(
    'a folder is used by one process at a time, and is free again after that process is killed',
    async (t) => {
      const folder = join(newFolder(t), 'data')
      const holder = startServer(t, { DATABASE_URL: `file:${folder}` })
      const base = await holder.listening()
      const inUse = (pid?: number) =>
        `the database folder ${folder} is in use by process ${pid}. Stop that process, or set DATABASE_URL=file:another-folder`
      t.equal(await failure(t, openDatabase(`file:${folder}`, options)), inUse(holder.child.pid))

      const acknowledged: string[] = []
      for (let n = 0; n < 20; n++) acknowledged.push((await post(base, '/api/v1/tasks', { title: 'a' })).id)
      holder.child.kill('SIGKILL')
      await holder.ended

      const database = await openDatabase(`file:${folder}`, options)
      const { tasks } = storesOf(database)
      for (const id of acknowledged) t.ok(await tasks.get(anonymous, id))
      t.equal(await failure(t, openDatabase(`file:${folder}`, options)), inUse(process.pid))
      await database.close()
      await (await openDatabase(`file:${folder}`, options)).close()
    },
  )

  await t.test('a server starts on a folder whose creation was interrupted by SIGKILL', async (t) => {
    const folder = join(newFolder(t), 'data')
    for (const trace of ['postgres.new/PG_VERSION', 'postgres']) {
      const { child, ended } = startServer(t, { DATABASE_URL: `file:${folder}` })
      await until(`${trace} exists`, () => existsSync(join(folder, trace)))
      child.kill('SIGKILL')
      t.equal((await ended).signal, 'SIGKILL')
    }
    const database = await openDatabase(`file:${folder}`, options)
    t.ok(await storesOf(database).tasks.create(anonymous, { title: 'a', status: 'pending' }))
    await database.close()
  })
})

t.test('a URL that cannot be opened is reported in one line, without its password', async (t) => {
  const quick = { ...options, startTimeout: 400 }
  const fails = async (t: Test, url: string, reason: RegExp) => {
    const start = performance.now()
    const message = await failure(t, openDatabase(url, quick))
    t.match(message, reason)
    t.notMatch(message, /secret|\n/)
    t.ok(performance.now() - start < 4000, 'in time')
  }
  const schemes = /DATABASE_URL must begin with postgres:\/\//
  for (const url of ['mysql://u:secret@h/d', 'nonsense', '', 'memory:/', 'http://u:secret@h/d']) {
    await t.test(`scheme: ${url}`, (t) => fails(t, url, schemes))
  }
  for (const url of [
    'postgres://u:secret#@h/d',
    'postgres://u:secret@h:port/d',
    'postgres://u:secret%zz@h/d',
  ]) {
    await t.test(`malformed URL: ${url}`, (t) => fails(t, url, /DATABASE_URL/))
  }
  await t.test('nothing listens on the port', async (t) => {
    const port = await freePort()
    await fails(
      t,
      `postgres://u:secret@127.0.0.1:${port}/d`,
      new RegExp(`\\(PostgreSQL at 127.0.0.1:${port}/d\\): .*ECONNREFUSED`),
    )
  })
  await t.test('an unknown host', (t) =>
    fails(
      t,
      'postgres://u:secret@nowhere.invalid/d',
      /\(PostgreSQL at nowhere\.invalid\/d\): .*(ENOTFOUND|EAI_AGAIN)/,
    ),
  )

  /** Starts a server that is not PostgreSQL, and returns a URL of it. */
  const impostor = async (t: Test, onConnection: (socket: Socket) => void) => {
    const sockets = new Set<Socket>()
    const listener = createServer((socket) => {
      sockets.add(socket.on('error', () => {}))
      onConnection(socket)
    })
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
      listener.close()
    })
    return `postgres://u:secret@127.0.0.1:${(listener.address() as any).port}/d`
  }
  await t.test('a server that sends nothing', async (t) =>
    fails(t, await impostor(t, () => {}), /\(PostgreSQL at 127.0.0.1:\d+\/d\): /),
  )
  await t.test('a server that closes the connection', async (t) =>
    fails(t, await impostor(t, (socket) => socket.end()), /\(PostgreSQL at 127.0.0.1:\d+\/d\): /),
  )
  await t.test('a server that speaks HTTP', async (t) =>
    fails(
      t,
      await impostor(t, (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
      /\(PostgreSQL at 127.0.0.1:\d+\/d\): /,
    ),
  )
})

t.test('PostgreSQL', { skip: skipPostgres }, async (t) => {
  const { cluster, newDatabase, port } = await startPostgres(t)
  await onAnyDatabase(t, await newDatabase())

  await t.test(
    'five servers that start at once on an empty database all start and create the schema once',
    async (t) => {
      const url = await newDatabase()
      const servers = Array.from({ length: 5 }, () => startServer(t, { DATABASE_URL: url }))
      const bases = await Promise.all(servers.map((server) => server.listening()))
      const tasks = await Promise.all(bases.map((base) => post(base, '/api/v1/tasks', { title: 'a' })))
      for (const base of bases) {
        for (const { id } of tasks) t.equal((await fetch(`${base}/api/v1/tasks/${id}`)).status, 200)
      }
      const other = postgres(url, { max: 1 })
      t.equal((await other`select from drizzle.__drizzle_migrations`).length, entries.length)
      await other.end()
    },
  )

  await t.test('the rows of a statement do not refer to the driver', async (t) => {
    const database = await openDatabase(await newDatabase(), options)
    t.teardown(() => database.close())
    const rows = await database.db.run('select 1 as one', [])
    t.equal(rows.constructor, Array)
    t.same(Object.getOwnPropertyNames(rows), ['0', 'length'])
  })

  await t.test('one process can open an empty database eight times at once', async (t) => {
    const url = await newDatabase()
    const opened = await Promise.all(Array.from({ length: 8 }, () => openDatabase(url, options)))
    await Promise.all(opened.map((database) => database.ping()))
    t.equal((await rows(opened[0]!, sql`select from drizzle.__drizzle_migrations`)).length, entries.length)
    await Promise.all(opened.map((database) => database.close()))
  })

  /** Calls a server without pause until `stop`, which returns the statuses that were not successes and the slowest call. */
  const load = (base: () => string) => {
    let stopped = false
    const result = { calls: 0, failed: [] as string[], slowest: 0 }
    const call = async (method: string, path: string, body?: object) => {
      const start = performance.now()
      const answer = await send(base(), method, `/api/v1${path}`, body)
      result.calls++
      result.slowest = Math.max(result.slowest, performance.now() - start)
      if (answer.status >= 300) result.failed.push(`${method} ${path}: ${answer.status}`)
      return answer.body
    }
    const work = async () => {
      while (!stopped) {
        const { id, session_id } = await call('POST', '/tasks', { title: 'a', session_id: randomUUID() })
        await call('PUT', `/tasks/${id}`, { status: 'completed' })
        await call('PUT', '/tasks/bulk', { tasks: [{ id, title: 'b' }] })
        await call('GET', `/tasks?session_id=${session_id}`)
        await call('POST', '/batches', { tasks: [{ title: 'c' }], session_id })
        await call('GET', `/batches/latest?session_id=${session_id}`)
        await call('DELETE', `/tasks/${id}`)
      }
    }
    const workers = Promise.all(Array.from({ length: 2 }, work))
    return {
      result,
      more: () => {
        const { calls } = result
        return until('more calls return', () => result.calls > calls + 20)
      },
      stop: async () => {
        stopped = true
        await workers
        return result
      },
    }
  }

  await t.test(
    'this server works on a schema that a newer one upgrades under load, and also if it starts afterwards',
    async (t) => {
      const url = await newDatabase()
      const start = (entry: string) => startServer(t, { DATABASE_URL: url }, { entry })
      const before = start(build())
      let base = await before.listening()
      const calls = load(() => base)
      await calls.more()
      const newBase = await start(newerServer(t, expand)).listening()
      const newCalls = load(() => newBase)
      await calls.more()
      base = await start(build()).listening()
      await calls.more()
      await newCalls.more()
      t.strictSame((await calls.stop()).failed, [])
      t.strictSame((await newCalls.stop()).failed, [])
    },
  )

  await t.test('a migration that waits for a long transaction lets other callers continue', async (t) => {
    const url = await newDatabase()
    const old = startServer(t, { DATABASE_URL: url })
    const base = await old.listening()
    const other = postgres(url, { max: 2, onnotice: () => {} })
    const reading = await other.reserve()
    await reading`begin`
    await reading`select from tasks`
    const calls = load(() => base)
    await calls.more()

    const newer = startServer(t, { DATABASE_URL: url }, { entry: newerServer(t, expand) })
    const attempts = async () =>
      (
        await other`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
          and query like '%ADD COLUMN more%'`
      ).length
    for (let time = 0; time < 2; time++) {
      await until('the migration waits for the table', async () => (await attempts()) === 1)
      await until('it gives up', async () => (await attempts()) === 0)
      await calls.more()
    }
    t.match(newer.logs()[0].msg, /^waiting for a lock in PostgreSQL at .+ that a long transaction holds$/)
    t.equal(newer.logs().length, 1, 'reported once')
    await reading`commit`
    await newer.listening()
    await calls.more()
    const { failed, slowest } = await calls.stop()
    t.strictSame(failed, [])
    t.ok(slowest < 4500, `the slowest call took ${Math.round(slowest)} ms`)
    reading.release()
    await other.end()
  })

  await t.test('every URL scheme of PostgreSQL and SQLAlchemy is accepted', async (t) => {
    const url = await newDatabase()
    for (const scheme of ['postgres:', 'postgresql:', 'postgresql+asyncpg:', 'postgres+asyncpg:']) {
      const database = await openDatabase(url.replace('postgres:', scheme), options)
      await database.ping()
      t.equal(database.location, `PostgreSQL at 127.0.0.1:${port}/${url.split('/').at(-1)}`)
      await database.close()
    }
  })

  await t.test(
    'a wrong password or a missing database fails at once, without waiting for startTimeout',
    async (t) => {
      const url = await newDatabase()
      for (const [wrong, reason] of [
        [url.replace('password', 'secret'), /: password authentication failed for user "postgres"$/],
        [url.replace(/\w+$/, 'nowhere'), /\/nowhere\): database "nowhere" does not exist$/],
      ] as const) {
        const start = performance.now()
        const waited = { ...options, startTimeout: 60_000 }
        const message = await failure(t, openDatabase(wrong, waited))
        t.match(message, reason)
        t.notMatch(message, /secret|\n/)
        t.ok(performance.now() - start < 5000)
      }
    },
  )

  await t.test('opening waits until the database is reachable', async (t) => {
    const url = await newDatabase()
    await cluster.stop()
    const waits: string[] = []
    const opening = openDatabase(url, {
      ...options,
      startTimeout: 60_000,
      onWait: (place) => waits.push(place),
    })
    await until('it waits', () => waits.length > 0)
    await cluster.start()
    const database = await opening
    await database.ping()
    t.strictSame(waits, [database.location], 'reported once')
    await database.close()
  })
})
