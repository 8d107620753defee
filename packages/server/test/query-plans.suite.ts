import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import postgres from 'postgres'
import t from 'tap'
import type { Database } from '../src/db/database.js'
import { openDatabase } from '../src/db/open.js'
import { anonymous, type Caller } from '../src/http/caller.js'
import { countReady } from '../src/tasks/progress.js'
import type { TaskListQuery } from '../src/tasks/schemas.js'
import { options, sharedPostgres, skipPostgres, startPostgres, storesOf } from './support.js'

async function rows({ db }: Database, statement: ReturnType<typeof sql>): Promise<any[]> {
  return (await db.execute(statement)) as any
}

/** Records the statements that the driver sends from now on, until it is stopped. */
function recordStatements({ db }: Database) {
  const sent: { statement: string; parameters: unknown[] }[] = []
  const { options: driver } = (db as any).$client
  driver.debug = (_connection: number, statement: string, parameters: unknown[]) =>
    sent.push({ statement, parameters: [...parameters] })
  const stop = () => {
    driver.debug = false
  }
  return { sent, stop }
}

t.test(
  'each call is one prepared statement that uses an index for every scan',
  { skip: skipPostgres },
  async (t) => {
    const { newDatabase } = await startPostgres(t)
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
    insert into tasks (id, session_id, batch_id, position, key, title, status, priority, due_date, completed_at, updated_at,
      blocked_by, claimed_by, lease_token, lease_expires_at)
    select ${uuidOf('task', sql`n`)}, ${uuidOf('session', sql`n / 40`)}, ${uuidOf('batch', sql`n / 10`)}, n % 10, n % 10, 'a',
      (enum_range(null::task_status))[n % 3 + 1], (enum_range(null::task_priority))[n % 4],
      now() + n % 1000 * interval '1 hour', case when n % 3 = 2 then now() end, now() - n * interval '1 second',
      case when n % 10 > 0 and n % 3 = 0 then array[${uuidOf('task', sql`(n - 1)`)}] else '{}' end,
      case when n % 3 = 1 then 'worker' end, case when n % 3 = 1 then ${uuidOf('token', sql`n`)} end,
      case when n % 3 = 1 then now() - interval '1 second' end
    from generate_series(0, 199999) n`)
    await db.execute(sql`
    insert into idempotency_keys (caller, key, fingerprint, json, version, created_at)
    select 'anonymous', 'old ' || n, '', '{}', '', now() - n * interval '1 minute' from generate_series(0, 19999) n`)
    await db.execute(sql`vacuum analyze idempotency_keys`)
    await db.execute(sql`vacuum analyze tasks`)
    await db.execute(sql`vacuum analyze batches`)
    // Those of the session are not among the tasks that are deleted.
    const [{ session_id, batch_id }] = await rows(
      database,
      sql`select session_id, batch_id from tasks order by id desc limit 1`,
    )
    const ids = (await rows(database, sql`select id from tasks order by id limit 500`)).map(
      ({ id }) => id as string,
    )

    const { sent, stop } = recordStatements(database)

    const { tasks, batches, claims, sessions } = storesOf(database)
    const restricted: Caller = { ...anonymous, sessions: [session_id, randomUUID()] }
    let keys = 0
    const once = () => ({ caller: 'anonymous', key: `new ${keys++}`, fingerprint: '' })
    // Tasks of the session that wait for nothing, so that others can wait for them, and others.
    const ofSession = await rows(
      database,
      sql`select id, blocked_by = '{}' as is_free from tasks where session_id = ${session_id} order by id`,
    )
    const idsOf = (free: boolean) =>
      ofSession.flatMap(({ id, is_free }) => (is_free === free ? [id as string] : []))
    const [blockers, dependents] = [idsOf(true), idsOf(false)]
    const claim = { worker: 'a', lease_seconds: 900, resume: false }
    const plan = Array.from({ length: 500 }, (_, n) => ({ title: `${n}`, status: 'pending' as const }))
    const calls: Record<string, () => Promise<unknown>> = {
      'create a task': () => tasks.create(anonymous, { title: 'a', status: 'pending' }),
      'create a task with a key': () => tasks.create(anonymous, { title: 'a', status: 'pending' }, once()),
      'get a task': () => tasks.get(anonymous, ids[0]!),
      'update a task': () => tasks.update(anonymous, ids[0]!, { status: 'completed' }),
      'update a task of a version': () =>
        tasks.update(anonymous, ids[0]!, {}, { versions: ['2025-12-06T10:00:00.000Z'] }),
      'update 500 tasks': () =>
        tasks.updateMany(
          anonymous,
          ids.map((id) => ({ id, title: 'b' })),
        ),
      'delete a task': () => tasks.delete(anonymous, ids[0]!),
      'delete a task of a version': () =>
        tasks.delete(anonymous, ids[0]!, { versions: ['2025-12-06T10:00:00.000Z'] }),
      'delete 500 tasks': () => tasks.deleteMany(anonymous, ids),
      'create a batch of 500': () => batches.create(anonymous, { session_id, tasks: plan }),
      'create a batch of 500 with a key': () =>
        batches.create(anonymous, { session_id, tasks: plan }, once()),
      'get a batch': () => batches.get(anonymous, batch_id),
      'list the batches of a session': () => batches.list(anonymous, { session_id, page: 2, limit: 3 }),
      'get the latest batch of a session': () => batches.latest(anonymous, session_id),
      'get the latest batch of a session without any': () => batches.latest(anonymous, randomUUID()),
      'get a task as the caller of two sessions': () => tasks.get(restricted, ids[0]!),
      'update 500 tasks as the caller of two sessions': () =>
        tasks.updateMany(
          restricted,
          ids.map((id) => ({ id, title: 'b' })),
        ),
      'delete 500 tasks as the caller of two sessions': () => tasks.deleteMany(restricted, ids),
      'list the tasks of two sessions': () =>
        tasks.list(restricted, { sort_by: 'updated_at', order: 'desc', page: 1, limit: 3 }),
      'list few tasks of two sessions': () =>
        tasks.listFew(restricted, { sort_by: 'updated_at', order: 'desc', page: 1, limit: 3 }),
      'list few batches of a session': () => batches.listFew(anonymous, { session_id, page: 2, limit: 3 }),
      'list few batches of two sessions': () => batches.listFew(restricted, { page: 1, limit: 3 }),
      'list the batches of two sessions': () => batches.list(restricted, { page: 1, limit: 3 }),
      'get the latest batch of two sessions': () => batches.latest(restricted, undefined),
      'update a task under a lease': () => tasks.update(anonymous, ids[0]!, {}, { leaseToken: randomUUID() }),
      'merge metadata': () => tasks.update(anonymous, ids[0]!, { metadata: { a: null } }),
      'count the ready tasks': () => countReady(database.db),
      'get a session': () => sessions.get(anonymous, session_id),
      'get a session as the caller of two': () => sessions.get(restricted, session_id),
      'claim a task by its id': () => claims.one(anonymous, ids[0]!, { worker: 'a', lease_seconds: 900 }),
      'renew a lease': () => claims.renew(anonymous, ids[0]!, { token: randomUUID(), lease_seconds: 900 }),
      'release a task': () => claims.release(anonymous, ids[0]!, { token: randomUUID() }),
      'release a task until later': () =>
        claims.release(anonymous, ids[0]!, { token: randomUUID(), not_before: '2099-01-01' }),
      'claim from a batch': () => claims.next(anonymous, { ...claim, batch_id }),
      'claim from a session': () => claims.next(anonymous, { ...claim, session_id }),
      'claim from a session as the caller of two': () =>
        claims.next(restricted, { ...claim, session_id, max_attempts: 9 }),
      'resume in a session': () =>
        claims.next(anonymous, { ...claim, worker: 'worker', session_id, resume: true }),
    }
    // These run several statements, in a transaction unless they only read.
    const severalStatements: Record<string, () => Promise<unknown>> = {
      'create a task with blockers': () =>
        tasks.create(anonymous, { title: 'a', status: 'pending', session_id, blocked_by: blockers }),
      'change the blockers of a task': () =>
        tasks.update(anonymous, dependents[0]!, { blocked_by: blockers }),
      'change the blockers of several tasks': () =>
        tasks.updateMany(
          anonymous,
          dependents.map((id) => ({ id, blocked_by: blockers })),
        ),
      'create a batch whose tasks wait for others': () =>
        batches.create(anonymous, { session_id, tasks: [{ ...plan[0]!, blocked_by: blockers }] }),
      'append 500 to a batch': () => batches.extend(anonymous, batch_id, plan),
      'claim once per key': () => claims.next(anonymous, { ...claim, session_id }, once()),
      'claim when nothing is ready': () => claims.next(anonymous, { ...claim, session_id: randomUUID() }),
      'complete a task and claim the next': async () => {
        const lease = await claims.next(anonymous, { ...claim, session_id, resume: true, worker: 'worker' })
        const {
          task,
          lease: { token },
        } = JSON.parse((lease as { json: string }).json)
        sent.length = 0
        await claims.next(anonymous, {
          ...claim,
          done: { task_id: task.id, token, result: 'a', metadata: {} },
        })
      },
    }
    const status = ['pending' as const]
    const newest = { sort_by: 'updated_at', order: 'desc', page: 1, limit: 10 } as const
    const time = '2026-01-01T00:00:00.000Z'
    const keyOf = { updated_at: time, created_at: time, due_date: time, priority: 'low', status: 'pending' }
    const after = { id: ids[0]!, key: time }
    for (const [name, filter] of Object.entries({
      status: { status: ['pending', 'in_progress'] },
      priority: { priority: ['high', 'low'] },
      ready: { ready: true },
      claimed_by: { claimed_by: 'worker' },
      ids: { ids: ids.slice(0, 3) },
      due_before: { due_before: time, due_after: '2001-01-01' },
      updated_since: { updated_since: time },
      q: { q: 'pod 생성' },
      fields: { fields: ['title', 'status'] },
    } as Record<string, Partial<TaskListQuery>>)) {
      calls[`list the tasks of a session with ${name}`] = () =>
        tasks.list(anonymous, { ...newest, ...filter, session_id }, after)
      calls[`list few tasks of a batch with ${name}`] = () =>
        tasks.listFew(anonymous, { ...newest, ...filter, batch_id }, after)
      calls[`list the tasks of two sessions with ${name}`] = () =>
        tasks.list(restricted, { ...newest, ...filter })
    }
    calls['list the batches of a session after one'] = () =>
      batches.list(anonymous, { session_id, page: 1, limit: 3, fields: ['progress'] }, after)
    calls['list few batches of a session without their tasks'] = () =>
      batches.listFew(anonymous, { session_id, page: 1, limit: 3, fields: ['reason'] }, after)
    calls['get some fields of a session'] = () => sessions.get(anonymous, session_id, { fields: ['title'] })
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
          calls[`list few tasks ${name} by ${sort_by} ${order}`] = () =>
            tasks.listFew(anonymous, { ...filter, sort_by, order, page: 2, limit: 3 })
          for (const key of [keyOf[sort_by], ...(['due_date', 'priority'].includes(sort_by) ? [null] : [])])
            calls[`list the tasks ${name} by ${sort_by} ${order} after ${key}`] = () =>
              tasks.list(anonymous, { ...filter, sort_by, order, page: 1, limit: 3 }, { id: ids[0]!, key })
        }
      }
    }

    const other = postgres(url, { max: 1, onnotice: () => {} })
    const assertBounded = async (name: string, { statement, parameters }: (typeof sent)[0]) => {
      for (const mode of ['force_generic_plan', 'force_custom_plan']) {
        const scans = scansOf(await explain(other, statement, parameters, mode))
        t.ok(scans.length > 0 || !readsRows.test(statement), `${name}: has scans`)
        t.strictSame(
          scans.filter(({ bound }) => !bound).map(({ node }) => node),
          [],
          `${name}: an index condition bounds every scan (${mode})`,
        )
      }
    }
    for (const [name, call] of Object.entries(calls)) {
      sent.length = 0
      await call()
      t.equal(sent.length, 1, `${name}: one statement`)
      const [first] = sent as [(typeof sent)[0]]
      // The second call uses the prepared statement of the first.
      await call()
      t.equal(sent[1]!.statement, first.statement)
      await assertBounded(name, first)
    }
    for (const [name, call] of Object.entries(severalStatements)) {
      sent.length = 0
      await call()
      const statements = sent.filter(({ statement }) => !/^(begin|commit|savepoint)/i.test(statement))
      t.ok(statements.length > 1 || name.startsWith('complete'), `${name}: ${statements.length} statements`)
      for (const one of statements) await assertBounded(`${name}: ${one.statement.slice(0, 40)}`, one)
    }
    // Lists of all sessions have no filter that an index could bound.
    const ofAll: Record<string, () => Promise<unknown>> = {}
    for (const sort_by of ['updated_at', 'created_at'] as const) {
      for (const order of ['asc', 'desc'] as const) {
        const first = { sort_by, order, page: 1, limit: 100 }
        const middle = await rows(
          database,
          sql`select id, ${sql.identifier(sort_by)} as key from tasks order by key, id offset 100000 limit 1`,
        )
        const far = { id: middle[0].id, key: new Date(middle[0].key).toISOString() }
        ofAll[`list all tasks by ${sort_by} ${order}`] = () => tasks.list(anonymous, first)
        ofAll[`list all tasks by ${sort_by} ${order} after one`] = () => tasks.list(anonymous, first, far)
        ofAll[`list the tasks with a status by ${sort_by} ${order}`] = () =>
          tasks.list(anonymous, { ...first, status })
        ofAll[`list all tasks by ${sort_by} ${order}, as deep as pages go`] = () =>
          tasks.list(anonymous, { ...first, page: 100 })
      }
    }
    ofAll['list all batches'] = () => batches.list(anonymous, { page: 1, limit: 100 })
    ofAll['list all batches after one'] = () => batches.list(anonymous, { page: 1, limit: 100 }, after)
    for (const [name, call] of Object.entries(ofAll)) {
      sent.length = 0
      await call()
      const [{ statement, parameters }] = sent as [(typeof sent)[0]]
      for (const mode of ['force_generic_plan', 'force_custom_plan']) {
        const read = mostRead(await explain(other, statement, parameters, mode, 'analyze, '))
        t.ok(read <= 10_001, `${name}: no scan reads more than what is counted, ${read} rows (${mode})`)
      }
    }
    await other.unsafe(
      'set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0',
    )
    sent.length = 0
    await tasks.list(anonymous, { sort_by: 'priority', order: 'desc', page: 1, limit: 100 })
    const scan = JSON.stringify(
      await explain(other, sent[0]!.statement, sent[0]!.parameters, 'force_custom_plan'),
    )
    t.match(scan, 'Seq Scan')
    t.notMatch(
      scan,
      'Gather',
      'a list of everything uses one process of PostgreSQL, and leaves the others to other calls',
    )
    stop()
    const prepared = await rows(database, sql`select statement from pg_prepared_statements`)
    t.equal(
      new Set(prepared.map(({ statement }) => statement)).size,
      prepared.length,
      'no statement is prepared twice',
    )
    await other.end()
    await database.close()
  },
)

t.test(
  'a claim reads its session only, with statistics from before others worked',
  { skip: skipPostgres },
  async (t) => {
    const { newDatabase } = await sharedPostgres()
    const url = await newDatabase()
    const database = await openDatabase(url, { ...options, poolSize: 1, statementTimeout: 60_000 })
    const { db } = database
    await db.execute(sql`
    insert into tasks (id, session_id, title) select gen_random_uuid(), md5((n / 5)::text)::uuid, 'a'
    from generate_series(0, 9999) n`)
    await db.execute(sql`vacuum analyze tasks`)
    await db.execute(sql`
    update tasks set status = 'in_progress', claimed_by = 'other', lease_token = gen_random_uuid(),
      lease_expires_at = now() + interval '1 hour'
    where id in (select distinct on (session_id) id from tasks)`)
    const [{ session_id }] = await rows(database, sql`select session_id from tasks limit 1`)
    const { sent, stop } = recordStatements(database)
    const other = postgres(url, { max: 1, onnotice: () => {} })
    for (const resume of [true, false]) {
      sent.length = 0
      await storesOf(database).claims.next(anonymous, { worker: 'a', lease_seconds: 900, session_id, resume })
      const [{ statement, parameters }] = sent as [(typeof sent)[0]]
      for (const mode of ['force_generic_plan', 'force_custom_plan']) {
        // It takes effect: a worker that holds nothing yet.
        const values = parameters.map((value) => (value === 'a' ? `a with ${mode}` : value))
        const read = mostRead(await explain(other, statement, values, mode, 'analyze, '))
        t.ok(read <= 100, `resume ${resume}: ${read} rows (${mode})`)
      }
    }
    stop()
    await other.end()
    await database.close()
  },
)

t.test('looking for circles compares no task with all others', { skip: skipPostgres }, async (t) => {
  const { newDatabase } = await sharedPostgres()
  const url = await newDatabase()
  const database = await openDatabase(url, { ...options, poolSize: 1 })
  const { db } = database
  // A line of 2000 tasks, before PostgreSQL has statistics.
  await db.execute(sql`
    insert into tasks (id, title, blocked_by)
    select md5(n::text)::uuid, 'a', case when n > 1 then array[md5((n - 1)::text)::uuid] else '{}' end
    from generate_series(1, 2000) n`)
  const [{ id }] = await rows(
    database,
    sql`insert into tasks (id, title) values (${randomUUID()}, 'a') returning id`,
  )
  const [{ end }] = await rows(database, sql`select md5('2000')::uuid as end`)
  const { sent, stop } = recordStatements(database)
  await storesOf(database).tasks.update(anonymous, id, { blocked_by: [end] })
  stop()
  const { statement, parameters } = sent.find(({ statement }) => statement.includes('recursive'))!
  const other = postgres(url, { max: 1, onnotice: () => {} })
  const plan = await explain(other, statement, parameters, 'auto', 'analyze, ')
  t.ok(mostRead(plan) >= 1999, 'all are looked at')
  t.ok(compared(plan) <= 10_000, `${compared(plan)} rows are compared`)
  await other.end()
  await database.close()
})

/** How many rows joins have compared in vain. */
function compared(plan: any): number {
  const here = (plan['Rows Removed by Join Filter'] ?? 0) * plan['Actual Loops']
  return (plan.Plans ?? []).reduce((sum: number, below: any) => sum + compared(below), here)
}

/** Whether a statement reads rows of tables: an insert, or the completion of a key, has none to find. */
const readsRows = /\b(from|update) "tasks"(?! (select|values))/

/** Returns the plan of a statement; with the option analyze, as it ran. */
async function explain(
  client: postgres.Sql,
  statement: string,
  parameters: unknown[],
  mode: string,
  options = '',
) {
  const literals = parameters.map((value) =>
    value === null || value === undefined ? 'null' : `'${String(value).replaceAll("'", "''")}'`,
  )
  await client.unsafe(`set plan_cache_mode = ${mode}`)
  await client.unsafe(`prepare call as ${statement}`)
  const [explained] = await client.unsafe(`explain (${options}format json) execute call(${literals})`)
  await client.unsafe('deallocate call')
  return explained!['QUERY PLAN'][0].Plan
}

/** Returns every scan of a table or an index in a plan, and whether an index condition bounds it. */
function scansOf(plan: any): { node: string; bound: boolean }[] {
  const below = (plan.Plans ?? []).flatMap(scansOf)
  const of = plan['Relation Name'] ?? plan['Index Name']
  if (of === undefined || !plan['Node Type'].includes('Scan')) return below
  // A bitmap heap scan reads the rows that the index scans below it found, and a TID scan those of another scan.
  const bound =
    plan['Index Cond'] !== undefined || ['Bitmap Heap Scan', 'Tid Scan'].includes(plan['Node Type'])
  return [{ node: `${plan['Node Type']} on ${of}`, bound }, ...below]
}

/** Returns the most rows that a scan in a plan that ran has read, those included that it left out. */
function mostRead(plan: any): number {
  const read = (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops']
  const below = (plan.Plans ?? []).map(mostRead)
  return Math.max(plan['Node Type'].includes('Scan') ? read : 0, ...below)
}
