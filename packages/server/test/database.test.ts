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
import { openDatabase } from '../src/db/open.js'
import * as tables from '../src/db/tables.js'
import { anonymous, type Caller } from '../src/http/caller.js'
import { build, newFolder, startServer, until } from './process.js'
import { freePort, options, postgresMissing, startPostgres, storesOf } from './support.js'

const skip = (!process.env.CI && postgresMissing()) || false
const server = fileURLToPath(new URL('..', import.meta.url))
const readJson = (path: string) => JSON.parse(readFileSync(join(server, path), 'utf8'))
const { entries } = readJson('migrations/meta/_journal.json')

t.test('the committed migrations make the tables that tables.ts declares', async (t) => {
  const last = readJson(`migrations/meta/${String(entries.length - 1).padStart(4, '0')}_snapshot.json`)
  t.strictSame(await generateMigration(last, generateDrizzleJson(tables, last.id) as any), [])
  // It does see a difference where there is one.
  const { tasks, ...less } = tables
  t.not((await generateMigration(last, generateDrizzleJson(less, last.id) as any)).length, 0)
})

/** The rows of a statement, on either driver. */
async function rows(database: Database, statement: ReturnType<typeof sql>): Promise<any[]> {
  const result: any = await database.db.execute(statement)
  return result.rows ?? result
}

/** The error with which it fails to open. */
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

/** What holds on every database, beginning with a new and empty one. */
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

  await t.test('it refuses rows that break the rules, whoever writes them', async (t) => {
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
    const code = (refused: Promise<unknown>) =>
      refused.then(
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
    const [tooLong, noEnum] = ['22001', '22P02']
    for (const [refused, reason] of [
      [{ title: '' }, check],
      [{ title: null }, notNull],
      [{ title: '😀'.repeat(256) }, tooLong],
      [{ description: '한'.repeat(1001) }, tooLong],
      [{ status: 'done' }, noEnum],
      [{ status: null }, notNull],
      [{ priority: 'urgent' }, noEnum],
      [{ status: 'completed' }, check],
      [{ status: 'pending', completed_at: moment }, check],
      [{ status: 'in_progress', completed_at: moment }, check],
      [{ batch_id: randomUUID() }, foreignKey],
      [{ id: null }, notNull],
    ] as const) {
      t.equal(await code(insert(refused)), reason, JSON.stringify(refused).slice(0, 80))
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
    'a newer server upgrades the schema and keeps the data; an older one then refuses it',
    async (t) => {
      const database = await openDatabase(url, options)
      const created: any = await storesOf(database).tasks.create({ title: 'kept', status: 'pending' })
      const { id } = JSON.parse(created.json)
      await database.close()

      const newer = startServer(t, { DATABASE_URL: url }, { entry: newerServer(t) })
      const task: any = await (await fetch(`${await newer.listening()}/api/v1/tasks/${id}`)).json()
      t.equal(task.title, 'kept')
      newer.child.kill('SIGTERM')
      t.equal((await newer.ended).code, 0)

      t.match(
        await failure(t, openDatabase(url, options)),
        /^cannot open the database \(.+\): The database schema \(2100-01-01\) is newer than this server\. Upgrade the server\.$/,
      )
    },
  )
}

/** A server as it may be next year: this one, with one migration more. */
function newerServer(t: Test): string {
  const folder = newFolder(t)
  build()
  for (const name of ['dist', 'migrations', 'vendor', 'package.json', 'openapi.json']) {
    cpSync(join(server, name), join(folder, name), { recursive: true })
  }
  symlinkSync(join(server, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'migrations', '9999_more.sql'), 'ALTER TABLE tasks ADD COLUMN more text;')
  const more = {
    idx: entries.length,
    version: '7',
    when: Date.UTC(2100, 0),
    tag: '9999_more',
    breakpoints: true,
  }
  const journal = { ...readJson('migrations/meta/_journal.json'), entries: [...entries, more] }
  writeFileSync(join(folder, 'migrations/meta/_journal.json'), JSON.stringify(journal))
  return join(folder, 'dist/start/cli.js')
}

async function post(base: string, path: string, body: unknown): Promise<any> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(base + path, { method: 'POST', headers, body: JSON.stringify(body) })
  return response.json()
}

t.test('embedded database', async (t) => {
  await onAnyDatabase(t, `file:${newFolder(t)}/data`)

  await t.test('a folder is used by one process at a time; that of a killed one is taken over', async (t) => {
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
  })

  await t.test('a folder whose creation was killed does not stop the next start', async (t) => {
    const folder = join(newFolder(t), 'data')
    for (const trace of ['postgres.new/PG_VERSION', 'postgres']) {
      const { child, ended } = startServer(t, { DATABASE_URL: `file:${folder}` })
      await until(`${trace} exists`, () => existsSync(join(folder, trace)))
      child.kill('SIGKILL')
      t.equal((await ended).signal, 'SIGKILL')
    }
    const database = await openDatabase(`file:${folder}`, options)
    t.ok(await storesOf(database).tasks.create({ title: 'a', status: 'pending' }))
    await database.close()
  })
})

t.test('a URL that cannot be opened is told in a line, without its password', async (t) => {
  const quick = { ...options, startTimeout: 400 }
  const refused = async (t: Test, url: string, reason: RegExp) => {
    const start = performance.now()
    const message = await failure(t, openDatabase(url, quick))
    t.match(message, reason)
    t.notMatch(message, /secret|\n/)
    t.ok(performance.now() - start < 4000, 'in time')
  }
  const schemes = /DATABASE_URL must begin with postgres:\/\//
  for (const url of ['mysql://u:secret@h/d', 'nonsense', '', 'memory:/', 'http://u:secret@h/d']) {
    await t.test(`scheme: ${url}`, (t) => refused(t, url, schemes))
  }
  for (const url of [
    'postgres://u:secret#@h/d',
    'postgres://u:secret@h:port/d',
    'postgres://u:secret%zz@h/d',
  ]) {
    await t.test(`no URL: ${url}`, (t) => refused(t, url, /DATABASE_URL/))
  }
  await t.test('nobody listens', async (t) => {
    const port = await freePort()
    await refused(
      t,
      `postgres://u:secret@127.0.0.1:${port}/d`,
      new RegExp(`\\(PostgreSQL at 127.0.0.1:${port}/d\\): .*ECONNREFUSED`),
    )
  })
  await t.test('no such host', (t) =>
    refused(
      t,
      'postgres://u:secret@nowhere.invalid/d',
      /\(PostgreSQL at nowhere\.invalid\/d\): .*(ENOTFOUND|EAI_AGAIN)/,
    ),
  )

  /** Something that listens and is no PostgreSQL. */
  const impostor = async (t: Test, meet: (socket: Socket) => void) => {
    const sockets = new Set<Socket>()
    const listener = createServer((socket) => {
      sockets.add(socket.on('error', () => {}))
      meet(socket)
    })
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
      listener.close()
    })
    return `postgres://u:secret@127.0.0.1:${(listener.address() as any).port}/d`
  }
  await t.test('a peer that says nothing', async (t) =>
    refused(t, await impostor(t, () => {}), /\(PostgreSQL at 127.0.0.1:\d+\/d\): /),
  )
  await t.test('a peer that hangs up', async (t) =>
    refused(t, await impostor(t, (socket) => socket.end()), /\(PostgreSQL at 127.0.0.1:\d+\/d\): /),
  )
  await t.test('a peer that speaks HTTP', async (t) =>
    refused(
      t,
      await impostor(t, (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
      /\(PostgreSQL at 127.0.0.1:\d+\/d\): /,
    ),
  )
})

t.test('PostgreSQL', { skip }, async (t) => {
  const { cluster, newDatabase, port } = await startPostgres(t)
  await onAnyDatabase(t, await newDatabase())

  await t.test(
    'five servers that start at once on an empty database all come up, and make the schema once',
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

  await t.test('so do many that open it in one process', async (t) => {
    const url = await newDatabase()
    const opened = await Promise.all(Array.from({ length: 8 }, () => openDatabase(url, options)))
    await Promise.all(opened.map((database) => database.ping()))
    t.equal((await rows(opened[0]!, sql`select from drizzle.__drizzle_migrations`)).length, entries.length)
    await Promise.all(opened.map((database) => database.close()))
  })

  await t.test('a server goes on while a newer one upgrades the schema under it', async (t) => {
    const url = await newDatabase()
    const old = startServer(t, { DATABASE_URL: url })
    const base = await old.listening()
    const { id } = await post(base, '/api/v1/tasks', { title: 'a' })
    await startServer(t, { DATABASE_URL: url }, { entry: newerServer(t) }).listening()
    for (const init of [
      { method: 'GET' },
      { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"status":"completed"}' },
      { method: 'DELETE' },
    ]) {
      t.ok((await fetch(`${base}/api/v1/tasks/${id}`, init)).ok, init.method)
    }
    t.match(await post(base, '/api/v1/batches', { tasks: [{ title: 'b' }] }), { tasks: [{ title: 'b' }] })
  })

  await t.test('every form of its URL is understood', async (t) => {
    const url = await newDatabase()
    for (const scheme of ['postgres:', 'postgresql:', 'postgresql+asyncpg:', 'postgres+asyncpg:']) {
      const database = await openDatabase(url.replace('postgres:', scheme), options)
      await database.ping()
      t.equal(database.location, `PostgreSQL at 127.0.0.1:${port}/${url.split('/').at(-1)}`)
      await database.close()
    }
  })

  await t.test('a wrong password and a missing database are told at once, without waiting', async (t) => {
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
  })

  await t.test('a database that is away at start is waited for', async (t) => {
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
    t.strictSame(waits, [database.location], 'told once')
    await database.close()
  })

  await t.test('each call is one statement, prepared once, that finds its rows by an index', async (t) => {
    const url = await newDatabase()
    const database = await openDatabase(url, { ...options, poolSize: 1, statementTimeout: 60_000 })
    const { db } = database
    // 5000 sessions with 4 batches of 10 tasks each.
    const uuidOf = (kind: string, n: ReturnType<typeof sql>) =>
      sql`md5(${sql.raw(`'${kind}'`)} || ${n})::uuid`
    await db.execute(sql`
      insert into batches (id, session_id, created_at)
      select ${uuidOf('batch', sql`n`)}, ${uuidOf('session', sql`n / 4`)}, now() - n * interval '1 second'
      from generate_series(0, 19999) n`)
    await db.execute(sql`
      insert into tasks (id, session_id, batch_id, position, title, status, priority, due_date, completed_at, updated_at)
      select ${uuidOf('task', sql`n`)}, ${uuidOf('session', sql`n / 40`)}, ${uuidOf('batch', sql`n / 10`)}, n % 10, 'a',
        (enum_range(null::task_status))[n % 3 + 1], (enum_range(null::task_priority))[n % 4],
        now() + n % 1000 * interval '1 hour', case when n % 3 = 2 then now() end, now() - n * interval '1 second'
      from generate_series(0, 199999) n`)
    await db.execute(sql`
      insert into idempotency_keys (caller, key, fingerprint, json, version, created_at)
      select 'anonymous', 'old ' || n, '', '{}', '', now() - n * interval '1 minute' from generate_series(0, 19999) n`)
    await db.execute(sql`vacuum analyze idempotency_keys`)
    await db.execute(sql`vacuum analyze tasks`)
    await db.execute(sql`vacuum analyze batches`)
    const [{ session_id, batch_id }] = await rows(
      database,
      sql`select session_id, batch_id from tasks limit 1`,
    )
    const ids = (await rows(database, sql`select id from tasks limit 500`)).map(({ id }) => id as string)

    // What the driver sends, whatever the store meant to.
    const sent: { statement: string; parameters: unknown[] }[] = []
    const { options: driver } = (db as any).$client
    driver.debug = (_connection: number, statement: string, parameters: unknown[]) =>
      sent.push({ statement, parameters: [...parameters] })

    const { tasks, batches } = storesOf(database)
    const bound: Caller = { ...anonymous, sessions: [session_id, randomUUID()] }
    let keys = 0
    const once = () => ({ caller: 'anonymous', key: `new ${keys++}`, fingerprint: '' })
    const plan = Array.from({ length: 500 }, (_, n) => ({ title: `${n}`, status: 'pending' as const }))
    const calls: Record<string, () => Promise<unknown>> = {
      'create a task': () => tasks.create({ title: 'a', status: 'pending' }),
      'create a task with a key': () => tasks.create({ title: 'a', status: 'pending' }, once()),
      'get a task': () => tasks.get(anonymous, ids[0]!),
      'update a task': () => tasks.update(anonymous, ids[0]!, { status: 'completed' }),
      'update a task of a version': () => tasks.update(anonymous, ids[0]!, {}, ['2025-12-06T10:00:00.000Z']),
      'update 500 tasks': () =>
        tasks.updateMany(
          anonymous,
          ids.map((id) => ({ id, title: 'b' })),
        ),
      'delete a task': () => tasks.delete(anonymous, ids[0]!),
      'delete a task of a version': () => tasks.delete(anonymous, ids[0]!, ['2025-12-06T10:00:00.000Z']),
      'delete 500 tasks': () => tasks.deleteMany(anonymous, ids),
      'create a batch of 500': () => batches.create({ session_id, tasks: plan }),
      'create a batch of 500 with a key': () => batches.create({ session_id, tasks: plan }, once()),
      'get a batch': () => batches.get(anonymous, batch_id),
      'list the batches of a session': () => batches.list(anonymous, { session_id, page: 2, limit: 3 }),
      'get the latest batch of a session': () => batches.latest(anonymous, session_id),
      'get the latest batch of a session without any': () => batches.latest(anonymous, randomUUID()),
      'get a task as the caller of two sessions': () => tasks.get(bound, ids[0]!),
      'update 500 tasks as the caller of two sessions': () =>
        tasks.updateMany(
          bound,
          ids.map((id) => ({ id, title: 'b' })),
        ),
      'delete 500 tasks as the caller of two sessions': () => tasks.deleteMany(bound, ids),
      'list the tasks of two sessions': () =>
        tasks.list(bound, { sort_by: 'updated_at', order: 'desc', page: 1, limit: 3 }),
      'list the batches of two sessions': () => batches.list(bound, { page: 1, limit: 3 }),
      'get the latest batch of two sessions': () => batches.latest(bound, undefined),
    }
    const status = 'pending' as const
    for (const [name, filter] of Object.entries({
      'of a session': { session_id },
      'of a session with a status': { session_id, status },
      'of a batch': { batch_id },
      'of a batch with a status': { batch_id, status },
      'of a batch and its session': { batch_id, session_id, status },
    })) {
      for (const sort_by of ['updated_at', 'created_at', 'due_date', 'priority', 'status'] as const) {
        for (const order of ['asc', 'desc'] as const) {
          calls[`list the tasks ${name} by ${sort_by} ${order}`] = () =>
            tasks.list(anonymous, { ...filter, sort_by, order, page: 2, limit: 3 })
        }
      }
    }

    const other = postgres(url, { max: 1, onnotice: () => {} })
    for (const [name, call] of Object.entries(calls)) {
      sent.length = 0
      await call()
      t.equal(sent.length, 1, `${name}: one statement`)
      const [{ statement, parameters }] = sent as [(typeof sent)[0]]
      // A second time, it is known to the server.
      await call()
      t.equal(sent[1]!.statement, statement)
      for (const mode of ['force_generic_plan', 'force_custom_plan']) {
        const scans = scansOf(await explain(other, statement, parameters, mode))
        t.ok(scans.length > 0 || name.startsWith('create'), `${name}: has scans`)
        t.strictSame(
          scans.filter(({ bound }) => !bound).map(({ node }) => node),
          [],
          `${name}: every scan is bound to an index (${mode})`,
        )
      }
    }
    driver.debug = false
    const prepared = await rows(database, sql`select statement from pg_prepared_statements`)
    t.equal(
      new Set(prepared.map(({ statement }) => statement)).size,
      prepared.length,
      'nothing is prepared twice',
    )
    await other.end()
    await database.close()
  })
})

/** How PostgreSQL would run a prepared statement. */
async function explain(client: postgres.Sql, statement: string, parameters: unknown[], mode: string) {
  const literals = parameters.map((value) =>
    value === null || value === undefined ? 'null' : `'${String(value).replaceAll("'", "''")}'`,
  )
  await client.unsafe(`set plan_cache_mode = ${mode}`)
  await client.unsafe(`prepare call as ${statement}`)
  const [explained] = await client.unsafe(`explain (format json) execute call(${literals})`)
  await client.unsafe('deallocate call')
  return explained!['QUERY PLAN'][0].Plan
}

/** Every scan of a table or an index in a plan, and whether a condition on an index bounds it. */
function scansOf(plan: any): { node: string; bound: boolean }[] {
  const below = (plan.Plans ?? []).flatMap(scansOf)
  const of = plan['Relation Name'] ?? plan['Index Name']
  if (of === undefined || !plan['Node Type'].includes('Scan')) return below
  // The scan of a heap by a bitmap is bound as the scans of the indexes below it are.
  // And rows that another scan has found are fetched by their place.
  const bound =
    plan['Index Cond'] !== undefined || ['Bitmap Heap Scan', 'Tid Scan'].includes(plan['Node Type'])
  return [{ node: `${plan['Node Type']} on ${of}`, bound }, ...below]
}
