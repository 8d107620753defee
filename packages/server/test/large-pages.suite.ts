import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { anonymous } from '../src/http/caller.js'
import { onEachDatabase, storesOf } from './support.js'

type Query = { session_id: string; limit: number; page: number; status?: 'pending' | 'completed' }

onEachDatabase(async (t, { call, database, plan }) => {
  await t.test('a list that reads more than 1000 rows or 1 MiB has the share of scans', async (t) => {
    const small = (await plan(Array(500).fill({ title: 'a' }))).session_id
    await plan(Array(500).fill({ title: 'a', status: 'in_progress' }), small)
    const large = (await plan([{ title: 'a' }])).session_id
    await database.db.execute(sql`
      insert into tasks (id, session_id, title, updated_at)
      select gen_random_uuid(), ${large}::uuid, 'a', now() - n * interval '1 second' from generate_series(1, 1200) n`)
    const wide = randomUUID()
    for (let i = 0; i < 3; i++)
      await plan(Array(400).fill({ title: 'a', description: 'b'.repeat(1000) }), wide)

    const stores = storesOf(database)
    const order = { sort_by: 'updated_at', order: 'desc' } as const
    for (const [path, query, isScan, total, items] of [
      ['tasks', { session_id: small, limit: 100, page: 10 }, false, 1000, 100],
      ['tasks', { session_id: small, limit: 100, page: 6, status: 'pending' }, false, 500, 0],
      ['tasks', { session_id: large, limit: 10, page: 1 }, true, 1201, 10],
      ['tasks', { session_id: large, limit: 10, page: 1, status: 'completed' }, true, 0, 0],
      ['batches', { session_id: small, limit: 10, page: 1 }, false, 2, 2],
      ['batches', { session_id: large, limit: 10, page: 1 }, false, 1, 1],
      ['batches', { session_id: wide, limit: 2, page: 1 }, false, 3, 2],
      ['batches', { session_id: wide, limit: 3, page: 1 }, true, 3, 3],
    ] as const) {
      const name = `${path} ${JSON.stringify(query)}`
      const { status: only, ...rest }: Query = query
      const few = await stores[path].listFew(anonymous, {
        ...order,
        ...rest,
        ...(only && { status: [only] }),
      })
      t.equal(few === undefined, isScan, name)
      const parameters = new URLSearchParams(query as Record<never, never>)
      const { status, body } = await call('GET', `/${path}?${parameters}`)
      t.match({ status, total: body.total, items: body.items.length }, { status: 200, total, items }, name)
      if (few !== undefined) t.same(JSON.parse(few.items), body.items, name)
    }
  })

  await t.test('the state of a session of more than 1000 tasks has the share of scans', async (t) => {
    const { sessions } = storesOf(database)
    const { session_id } = await plan(Array(500).fill({ title: 'a' }))
    await plan(Array(500).fill({ title: 'a' }), session_id)
    const small = await call('GET', `/sessions/${session_id}`)
    t.same(JSON.parse((await sessions.getSmall(anonymous, session_id))!), small.body)
    await call('POST', '/tasks', { title: 'a', session_id })
    t.equal(await sessions.getSmall(anonymous, session_id), undefined)
    const large = await call('GET', `/sessions/${session_id}?fields=title`)
    t.match(large, { status: 200, body: { progress: { total: 1001, ready: 1001 }, next: { title: 'a' } } })
  })

  await t.test('a page of batches larger than 8 MiB returns 422 with a limit that fits', async (t) => {
    const session_id = randomUUID()
    // The JSON in the response has twice the bytes of the stored text.
    const task = { title: 'a', description: '"'.repeat(1000) }
    for (let i = 0; i < 9; i++) {
      const created = await call('POST', '/batches', { session_id, tasks: Array(480).fill(task) })
      t.equal(created.status, 201)
    }
    const path = `/batches?session_id=${session_id}`
    const refused = await call('GET', `${path}&limit=100`)
    t.match(refused, { status: 422, body: { error_code: 'answer_too_large' } })
    const fitting = Number(/limit=(\d+)/.exec(refused.body.detail)![1])
    const page = await call('GET', `${path}&limit=${fitting}`)
    t.match(page, { status: 200, body: { total: 9, limit: fitting } })
    t.equal(page.body.items.length, fitting)
    t.ok(fitting >= 6, `as many as fit: ${fitting}`)
    const last = await call('GET', `${path}&limit=${fitting}&page=2`)
    t.match(last, { status: 200, body: { has_next: false } })
    t.equal((await call('GET', `${path}&limit=100&page=3`)).body.items.length, 0)
  })
})
