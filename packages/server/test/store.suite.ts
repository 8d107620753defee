import { randomUUID } from 'node:crypto'
import { eq, type Placeholder } from 'drizzle-orm'
import t from 'tap'
import { BATCH_FIELDS } from '../src/batches/schemas.js'
import { joined } from '../src/db/database.js'
import { type Json, jsonArray, jsonObject, toJson } from '../src/db/json.js'
import { openDatabase } from '../src/db/open.js'
import { visibleTo } from '../src/db/sql.js'
import { qb, statement } from '../src/db/statement.js'
import { tasks as table } from '../src/db/tables.js'
import { anonymous } from '../src/http/caller.js'
import type { TaskListQuery } from '../src/tasks/schemas.js'
import { onEachDatabase, options, sharedPostgres, skipPostgres, storesOf } from './support.js'

onEachDatabase(async (t, { database, clear }) => {
  t.beforeEach(clear)
  const { tasks, batches } = storesOf(database)
  const all = { sort_by: 'created_at', order: 'asc', page: 1, limit: 100 } as const
  const totals = async () => {
    const [taskPage, batchPage] = [await tasks.list(anonymous, all), await batches.list(anonymous, all)]
    return { tasks: taskPage.total, batches: batchPage.total }
  }

  await t.test('rows that both stores create in a transaction exist only after it commits', async (t) => {
    const create = (fails: boolean) =>
      database.transaction(async (db) => {
        const stores = storesOf({ db })
        await stores.tasks.create(anonymous, { title: 'a', status: 'pending' })
        const once = { caller: 'a', key: 'a', fingerprint: '' }
        const batch = { tasks: [{ title: 'b', status: 'pending' as const }] }
        await stores.batches.create(anonymous, batch, once)
        t.equal((await stores.batches.create(anonymous, batch, once)).outcome, 'replayed')
        t.equal((await stores.tasks.list(anonymous, all)).total, 2, 'it sees its own writes')
        if (fails) throw new Error('roll back')
        return 'committed'
      })
    await t.rejects(create(true), { message: 'roll back' })
    t.same(await totals(), { tasks: 0, batches: 0 })
    t.equal(await create(false), 'committed')
    t.same(await totals(), { tasks: 2, batches: 1 })
  })

  await t.test('an update returns whether it completed the task', async (t) => {
    const idOf = async (status: 'pending' | 'completed') => {
      const created: any = await tasks.create(anonymous, { title: 'a', status })
      return JSON.parse(created.json).id as string
    }
    const id = await idOf('pending')
    for (const [changes, expected] of [
      [{ title: 'b' }, false],
      [{ status: 'completed' }, true],
      [{ status: 'completed' }, false],
      [{}, false],
      [{ status: 'completed', title: 'c' }, false],
      [{ status: 'in_progress' }, false],
      [{ status: 'completed' }, true],
    ] as const) {
      const updated = await tasks.update(anonymous, id, changes)
      t.equal(updated!.becameCompleted, expected, JSON.stringify(changes))
      t.notMatch(updated!.json, 'became')
    }

    const open = await idOf('pending')
    const { becameCompleted } = await tasks.updateMany(anonymous, [
      // Reopened in between: a new completion.
      { id, status: 'pending' },
      { id, status: 'completed' },
      { id: open, status: 'completed' },
      { id: await idOf('completed'), status: 'completed' },
      { id: await idOf('completed'), status: 'pending' },
      { id: randomUUID(), status: 'completed' },
    ])
    t.equal(becameCompleted, 2)
  })
})

t.test(
  'a connection keeps a limited number of statements prepared, whatever is listed',
  { skip: skipPostgres },
  async (t) => {
    const { newDatabase } = await sharedPostgres()
    const database = await openDatabase(await newDatabase(), { ...options, poolSize: 1 })
    const { tasks, batches, sessions } = storesOf(database)
    const [session_id, batch_id] = [randomUUID(), randomUUID()]
    const filters = [{}, { status: ['pending' as const] }].flatMap((status) =>
      [{}, { session_id }].flatMap((session) =>
        [{}, { batch_id }].map((batch) => ({ ...status, ...session, ...batch })),
      ),
    )
    let lists = 0
    for (const caller of [anonymous, { ...anonymous, sessions: [session_id] }]) {
      for (const filter of filters) {
        for (const sort_by of ['updated_at', 'created_at', 'due_date', 'priority', 'status'] as const) {
          for (const order of ['asc', 'desc'] as const) {
            await tasks.list(caller, { ...filter, sort_by, order, page: 1, limit: 3 })
            lists++
          }
        }
      }
    }
    const countPrepared = async () => {
      const counted = await database.db.run(
        'select count(*)::int as prepared from pg_prepared_statements',
        [],
        false,
      )
      return (counted as [{ prepared: number }])[0].prepared
    }
    t.equal(lists, 160)
    t.equal(await countPrepared(), 80)

    // What only some callers ask for is not kept, however it is combined.
    const after = { key: '2026-01-01T00:00:00.000Z', id: randomUUID() }
    const rare: Partial<TaskListQuery>[] = [
      { status: ['pending', 'completed'] },
      { priority: ['high'] },
      { ready: true },
      { claimed_by: 'a' },
      { due_before: '2026-01-01' },
      { due_after: '2026-01-01' },
      { updated_since: '2026-01-01' },
      { q: 'a' },
      { fields: ['title'] },
      { fields: ['title', 'status'] },
    ]
    const order = { sort_by: 'updated_at', order: 'desc', page: 1, limit: 3 } as const
    for (let chosen = 1; chosen < 2 ** rare.length; chosen += 3) {
      const query = Object.assign({ session_id, ...order }, ...rare.filter((_, i) => chosen & (1 << i)))
      await tasks.list(anonymous, query, chosen % 2 ? after : undefined)
      await tasks.listFew(anonymous, query)
    }
    for (const fields of BATCH_FIELDS) {
      await batches.list(anonymous, { page: 1, limit: 3, fields: [fields] })
      await sessions.get(anonymous, session_id, { fields: ['id', 'title'] })
    }
    t.equal(await countPrepared(), 80)
    await database.close()
  },
)

t.test('plain text, or JSON of another type, is a type error where JSON is expected', async (t) => {
  // @ts-expect-error: a string is not JSON
  const text: Json<string> = 'text'
  // @ts-expect-error: nor is it the JSON of a value of another type
  const number: Json<number> = toJson('1')
  // @ts-expect-error: and an object must have the JSON of each field
  const object: Json<{ a: number }> = jsonObject({ a: 1 })
  t.same([text, number, object], ['text', '"1"', '{"a":1}'])

  const json: Json<{ list: number[]; 'a "name"': null }> = jsonObject({
    list: jsonArray([toJson(1), toJson(2)]),
    'a "name"': toJson(null),
  })
  t.same(JSON.parse(json), { list: [1, 2], 'a "name"': null })
})

t.test('a statement without one of its values is a type error', async (t) => {
  const select = statement<{ id: string; title?: string }, { id: string }>(($) => {
    // @ts-expect-error: it has no such value
    $.other
    // @ts-expect-error: there is no placeholder if the value is missing
    $.title satisfies Placeholder
    return qb.select({ id: table.id }).from(table).where(eq(table.id, $.id))
  })
  const sent: unknown[] = []
  const db = joined(async (...args) => {
    sent.push(args)
    return []
  })
  await select(db, { id: 'a' })
  // @ts-expect-error: the id is missing
  await select(db, {}).catch(() => {})
  // @ts-expect-error: a row has no title
  const rows: { title: string }[] = await select(db, { id: 'a' })
  t.same(rows, [])
  t.match(sent[0], [/^select "id" from "tasks" where "tasks"."id" = \$1$/, ['a'], true])
})

t.test(
  'a caller without a list of sessions sees everything, and one with an empty list nothing',
  async (t) => {
    t.same(visibleTo({}), { own_sessions: undefined })
    t.same(visibleTo({ sessions: [] }), { own_sessions: '{}' })
  },
)
