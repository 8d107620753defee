/** Lists: cursors while tasks change, filters, fields, and the bounds on what a list costs. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { hashKey, makeKey } from '../src/access/keys.js'
import { numRuns } from './generators.js'
import { createApi, onEachDatabase } from './support.js'

const SORTS = ['updated_at', 'created_at', 'due_date', 'priority', 'status'] as const
const RANKS: Record<string, string[]> = {
  status: ['pending', 'in_progress', 'completed'],
  priority: ['low', 'medium', 'high'],
}

const fields = fc.record(
  {
    title: fc.constantFrom('a', 'b'),
    priority: fc.constantFrom('low', 'medium', 'high', null),
    due_date: fc.constantFrom('2026-01-01', '2026-01-02', null),
    status: fc.constantFrom('pending', 'in_progress', 'completed'),
  },
  { requiredKeys: ['title'] },
)
/** What happens while a page is read: which task is changed, and how. */
const change = fc.record({ nth: fc.nat(40), how: fc.constantFrom('change', 'delete', 'create'), fields })

onEachDatabase(async (t, { call, plan, clear, database }) => {
  t.beforeEach(clear)
  const list = async (query: Record<string, string>, path = '/tasks') => {
    const { status, body, text } = await call('GET', `${path}?${new URLSearchParams(query)}`)
    assert.equal(status, 200, text)
    return body
  }
  const titles = async (query: Record<string, string>) =>
    (await list({ sort_by: 'created_at', order: 'asc', ...query })).items
      .map(({ title }: any) => title)
      .join(' ')
  const refused = async (query: Record<string, string>, path = '/tasks') => {
    const { status, body } = await call('GET', `${path}?${new URLSearchParams(query)}`)
    return { status, errors: body.errors as { path: string; message: string }[] }
  }

  for (const sort_by of SORTS) {
    for (const order of ['asc', 'desc']) {
      const name = `a walk by ${sort_by} ${order} meets each task that keeps its place once, in order, whatever else changes`
      await t.test(name, async (t) => {
        await fc.assert(
          fc.asyncProperty(
            fc.array(fields, { minLength: 1, maxLength: 20, size: 'max' }),
            fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 10, size: 'max' }),
            fc.integer({ min: 1, max: 5 }),
            async (planned, changes, limit) => {
              const { session_id } = await plan(planned)
              const { tasks: later } = await plan(planned, session_id)
              const all = (await list({ session_id, limit: '100' })).items
              assert.equal(all.length, 2 * planned.length)
              const ids = [...all, ...later].map(({ id }: any) => id as string)
              const moved = new Set<string>()
              const met: any[] = []
              let cursor: string | null = null
              for (let page = 0; page === 0 || cursor !== null; page++) {
                assert.ok(page < 200, 'the walk ends')
                const read = list({
                  session_id,
                  sort_by,
                  order,
                  limit: `${limit}`,
                  ...(cursor && { cursor }),
                })
                for (const { nth, how, fields } of changes[page] ?? []) {
                  const id = ids[nth % ids.length]!
                  if (how === 'create') await call('POST', '/tasks', { ...fields, session_id })
                  else {
                    const path = `/tasks/${id}`
                    if (how === 'delete') await call('DELETE', path)
                    else await call('PUT', path, fields)
                    if (how === 'delete' || sort_by === 'updated_at' || sort_by in fields) moved.add(id)
                  }
                }
                const { items, next_cursor, has_next } = await read
                assert.equal(has_next, next_cursor !== null)
                met.push(...items)
                cursor = next_cursor
              }
              const kept = all.filter(({ id }: any) => !moved.has(id))
              const walked = met.filter(({ id }) => kept.some((task: any) => task.id === id))
              assert.deepEqual(
                walked.map(({ id }) => id),
                sorted(kept, sort_by, order).map(({ id }) => id),
              )
              const others = met.map(({ id }) => id as string).filter((id) => !moved.has(id))
              assert.equal(new Set(others).size, others.length, 'none is met twice unless it moved')
            },
          ),
          { numRuns: Math.ceil(numRuns / 4) },
        )
        t.pass('each once')
      })
    }
  }

  await t.test('a walk through batches meets each one once while others are created', async (t) => {
    const session_id = randomUUID()
    const ids: string[] = []
    for (let n = 0; n < 7; n++) ids.unshift((await plan([{ title: `${n}` }], session_id)).id)
    const met: string[] = []
    for (let cursor = ''; ; ) {
      const page = await list(
        { session_id, limit: '2', fields: 'reason', ...(cursor && { cursor }) },
        '/batches',
      )
      met.push(...page.items.map(({ id }: any) => id))
      await plan([{ title: 'new' }], session_id)
      if (page.next_cursor === null) break
      cursor = page.next_cursor
    }
    t.same(met, ids)
  })

  await t.test('each filter finds what it says, alone and with the others', async (t) => {
    const { session_id, tasks } = await plan([
      { key: 'a', title: 'a', priority: 'high', due_date: '2026-01-01' },
      { title: 'b', priority: 'low', blocked_by: ['a'] },
      { title: 'c', status: 'completed', priority: 'medium', due_date: '2026-01-02' },
      { title: 'd', due_date: '2026-01-03T12:00:00+09:00' },
    ])
    const claimed = await call('POST', `/tasks/${tasks[3].id}/claim`, { worker: 'agent-1' })
    await plan([{ title: 'elsewhere', priority: 'high', due_date: '2026-01-01' }])
    const since = claimed.body.task.updated_at
    for (const [query, expected] of [
      [{ status: 'pending,in_progress' }, 'a b d'],
      [{ status: 'completed' }, 'c'],
      [{ priority: 'high' }, 'a'],
      [{ priority: 'low,high' }, 'a b'],
      [{ priority: 'low,high', status: 'completed' }, ''],
      [{ ready: 'true' }, 'a'],
      [{ ready: 'false' }, 'b c d'],
      [{ ready: 'false', status: 'pending' }, 'b'],
      [{ claimed_by: 'agent-1' }, 'd'],
      [{ claimed_by: 'agent' }, ''],
      [{ ids: `${tasks[2].id},${tasks[0].id.toUpperCase()},${randomUUID()}` }, 'a c'],
      [{ ids: `${tasks[2].id},${tasks[0].id}`, status: 'completed' }, 'c'],
      [{ due_before: '2026-01-02' }, 'a'],
      [{ due_before: '2026-01-02T00:00:00.001' }, 'a c'],
      [{ due_after: '2026-01-01' }, 'c d'],
      [{ due_after: '2026-01-01', due_before: '2026-01-03T03:00:00Z' }, 'c'],
      [{ due_after: '2026-01-01', due_before: '2026-01-03T03:00:00.001Z' }, 'c d'],
      [{ updated_since: since }, 'd'],
      [{ updated_since: '2001-01-01', batch_id: tasks[0].batch_id }, 'a b c d'],
      [{ updated_since: '2999-01-01' }, ''],
    ] as [Record<string, string>, string][]) {
      t.equal(await titles({ session_id, ...query }), expected, JSON.stringify(query))
      t.equal((await list({ session_id, ...query })).total, expected.split(' ').filter(Boolean).length)
    }
    t.equal(await titles({ priority: 'high' }), 'a elsewhere')
    t.equal(await titles({ due_before: '2026-01-02' }), 'a elsewhere')
    const { body } = await call('GET', `/tasks?session_id=${session_id}&status=pending&status=completed`)
    t.equal(body.total, 3, 'a parameter may be repeated instead')
  })

  await t.test(
    'q finds every word in title, description or result, in any case, and nothing else',
    async (t) => {
      const { session_id } = await plan([
        { title: 'nginx Pod 생성하기', description: 'kubectl run' },
        { title: 'Service 노출하기', description: '100% of the traffic' },
        { title: 'snake_case', description: 'C:\\path' },
        { title: 'done', status: 'completed', result: 'Pod nginx가 Running 상태입니다.' },
      ])
      await plan([{ title: 'nginx elsewhere' }])
      const found = async (q: string) =>
        (await list({ session_id, q, sort_by: 'created_at', order: 'asc' })).items
          .map(({ title }: any) => title[0])
          .join('')
      for (const [q, expected] of [
        ['nginx', 'nd'],
        ['NGINX pod', 'nd'],
        ['생성', 'n'],
        ['노출하기', 'S'],
        ['상태 nginx', 'd'],
        ['  run\tPOD\n', 'nd'],
        ['kubectl 생성', 'n'],
        ['nginx traffic', ''],
        ['%', 'S'],
        ['100%', 'S'],
        ['_', 's'],
        ['e_c', 's'],
        ['\\', 's'],
        ['c:\\P', 's'],
        ['n%x', ''],
        ["'", ''],
        ['없음', ''],
      ] as const)
        t.equal(await found(q), expected, q)
    },
  )

  await t.test('q, ready and claimed_by without a session or batch return 422 that says so', async (t) => {
    const alone = await refused({ q: 'a', ready: 'true', claimed_by: 'b', status: 'pending' })
    t.match(alone, {
      status: 422,
      errors: ['q', 'ready', 'claimed_by'].map((path) => ({ path, message: /session_id or batch_id/ })),
    })
    const { id, session_id } = await plan([{ title: 'a' }])
    for (const scope of [{ session_id }, { batch_id: id }] as Record<string, string>[])
      t.equal((await list({ q: 'a', ready: 'true', ...scope })).total, 1)
  })

  await t.test('ids finds tasks of several sessions, without naming one', async (t) => {
    const [one, two] = [await plan([{ title: 'a' }]), await plan([{ title: 'b' }])]
    t.equal(await titles({ ids: `${two.tasks[0].id},${one.tasks[0].id}` }), 'a b')
    const many = Array.from({ length: 101 }, () => randomUUID()).join(',')
    t.match(await refused({ ids: many }), {
      status: 422,
      errors: [{ path: 'ids', message: /1 to 100 items/ }],
    })
    t.match(await refused({ ids: 'a' }), { status: 422, errors: [{ path: 'ids[0]' }] })
  })

  await t.test('fields returns these and the id, of tasks, batches and sessions', async (t) => {
    const { session_id, tasks, ...batch } = await plan([{ title: 'a' }, { title: 'b', status: 'completed' }])
    const [b] = (await list({ session_id, fields: 'status,title', status: 'completed' })).items
    t.same(b, { id: tasks[1].id, title: 'b', status: 'completed' })
    for (const field of Object.keys(tasks[0])) {
      const { items } = await list({ session_id, fields: field, sort_by: 'created_at', order: 'asc' })
      t.same(items[0], { id: tasks[0].id, [field]: tasks[0][field] })
    }
    const plans = await list({ session_id, fields: 'progress' }, '/batches')
    t.same(plans.items, [{ id: batch.id, progress: batch.progress }])
    t.same((await list({ session_id, fields: 'tasks,id' }, '/batches')).items, [{ id: batch.id, tasks }])
    const state = await list({ fields: 'title' }, `/sessions/${session_id}`)
    t.match(state, { next: { id: tasks[0].id, title: 'a' }, progress: { total: 2 } })
    t.same(Object.keys(state.next), ['id', 'title'])
    t.same(state.recent, [{ id: tasks[1].id, title: 'b' }])
  })

  await t.test(
    'a cursor that was changed, or comes from another list, returns 422 that says so',
    async (t) => {
      const { session_id, id: batch_id } = await plan([{ title: 'a' }, { title: 'b' }, { title: 'c' }])
      const filters = { session_id, status: 'pending', limit: '1' }
      const { next_cursor: cursor } = await list(filters)
      t.equal((await list({ ...filters, cursor })).items.length, 1)
      t.equal(
        (await list({ cursor, limit: '2', status: 'pending', session_id })).items.length,
        2,
        'another limit',
      )
      t.equal(
        (await list({ ...filters, cursor, fields: 'title' })).items[0].status,
        undefined,
        'other fields',
      )
      const [checksum, key, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString())
      const forged = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url')
      for (const other of [
        { ...filters, status: 'completed' },
        { ...filters, session_id: randomUUID() },
        { ...filters, batch_id },
        { ...filters, sort_by: 'created_at' },
        { ...filters, order: 'asc' },
        { ...filters, q: 'a' },
        { limit: '1', status: 'pending' },
        ...['', 'a', 'null', cursor.slice(1), cursor.slice(0, -4), `${cursor}AAAA`].map((cursor) => ({
          ...filters,
          cursor,
        })),
        { ...filters, cursor: forged(checksum, key, randomUUID()) },
        { ...filters, cursor: forged(checksum, '2026-01-01T00:00:00.000Z', id) },
        { ...filters, cursor: forged(checksum, key, "'; --") },
        { ...filters, cursor: forged(checksum, null, id) },
        { ...filters, cursor: forged() },
      ]) {
        const answer = await refused({ cursor, ...other })
        t.match(
          answer,
          { status: 422, errors: [{ path: 'cursor', message: /same filters and sort.*Start again/ }] },
          JSON.stringify(other),
        )
      }
      t.match(await refused({ session_id, cursor }, '/batches'), {
        status: 422,
        errors: [{ path: 'cursor' }],
      })
      t.match(await refused({ ...filters, cursor, page: '2' }), { status: 422, errors: [{ path: 'page' }] })
    },
  )

  await t.test(
    'tasks with tabs, line breaks and commas in them are cut into pages as others are',
    async (t) => {
      const text = '},\t{"title":"\n\r\\",\t'
      const metadata = { [text]: [text], a: 1 }
      const task = { title: text, description: text, result: text, metadata, status: 'completed' }
      const { session_id, tasks } = await plan([{ ...task, key: 'a' }, task, task])
      for (const limit of ['1', '2', '3']) {
        const { items } = await list({ session_id, limit, sort_by: 'created_at', order: 'asc' })
        t.same(items, tasks.slice(0, Number(limit)))
      }
      t.notMatch((await call('GET', `/tasks?session_id=${session_id}`)).text, '\n', 'a response is one line')
    },
  )

  await t.test('the last page has no cursor, and a cursor after the last item an empty page', async (t) => {
    const { session_id, tasks } = await plan([{ title: 'a' }, { title: 'b' }])
    const first = await list({ session_id, limit: '1' })
    t.match(first, { has_next: true, has_prev: false, next_cursor: String })
    const last = await list({ session_id, limit: '1', cursor: first.next_cursor })
    t.match(last, { has_next: false, has_prev: true, next_cursor: null, items: [{ id: tasks[0].id }] })
    await call('DELETE', `/tasks/${tasks[0].id}`)
    t.match(await list({ session_id, cursor: first.next_cursor }), { items: [], next_cursor: null, total: 1 })
  })

  await t.test('page × limit beyond 10 000 returns 422 that points to cursor', async (t) => {
    for (const path of ['/tasks', '/batches']) {
      t.same((await list({ page: '100', limit: '100' }, path)).items, [])
      for (const [page, limit] of [
        ['101', '100'],
        ['1001', '10'],
        ['2147483647', '1'],
      ] as const)
        t.match(await refused({ page, limit }, path), {
          status: 422,
          errors: [{ path: 'page', message: /10000.*next_cursor.*as cursor/ }],
        })
    }
  })

  await t.test('total is exact up to 10 000 and says when it is not', async (t) => {
    const session_id = randomUUID()
    await database.db.execute(sql`
      insert into tasks (id, session_id, title) select gen_random_uuid(), ${session_id}::uuid, 'a' from generate_series(1, 10000)`)
    await database.db.execute(sql`
      insert into batches (id, session_id) select gen_random_uuid(), ${session_id}::uuid from generate_series(1, 10000)`)
    for (const path of ['/tasks', '/batches']) {
      const most = { total: 10_000, total_is_exact: true, total_pages: 1000, has_next: true }
      for (const query of [{}, { session_id }] as Record<string, string>[])
        t.match(await list(query, path), most, `${path} ${JSON.stringify(query)}`)
      const last = await list({ session_id, page: '100', limit: '100' }, path)
      t.match(last, { has_next: false, next_cursor: null })
    }
    await plan([{ title: 'one more' }], session_id)
    for (const path of ['/tasks', '/batches']) {
      const more = { total: 10_000, total_is_exact: false, total_pages: 1000, has_next: true }
      for (const query of [{}, { session_id }] as Record<string, string>[])
        t.match(await list(query, path), more, `${path} ${JSON.stringify(query)}`)
      const last = await list({ session_id, page: '100', limit: '100' }, path)
      t.match(last, { has_next: true, next_cursor: String })
      const beyond = await list({ session_id, limit: '100', cursor: last.next_cursor }, path)
      t.match(beyond, { items: { length: 1 }, has_next: false })
    }
    t.match(await list({ status: 'completed' }), { total: 0, total_is_exact: true })
  })

  await t.test('a caller that is bound to sessions lists only these, and needs no session_id', async (t) => {
    const [own, other] = [randomUUID(), randomUUID()]
    const [key, otherKey] = [makeKey(), makeKey()]
    const API_KEYS = JSON.stringify([
      { name: 'bound', hash: hashKey(key), scopes: ['tasks:read'], sessions: [own, randomUUID()] },
      { name: 'second', hash: hashKey(otherKey), scopes: ['tasks:read'], sessions: [own, other] },
    ])
    const bound = await createApi(database, { API_KEYS })
    t.teardown(() => bound.app.close())
    const get = async (query: Record<string, string>, secret = key) =>
      bound.call('GET', `/tasks?${new URLSearchParams(query)}`, undefined, {
        headers: { authorization: `Bearer ${secret}` },
      })
    const mine = await plan([{ title: 'mine a' }, { title: 'mine b' }, { title: 'mine c' }], own)
    await plan([{ title: 'theirs' }, { title: 'mine as well' }], other)
    const walk: string[] = []
    let cursor: string | null = null
    do {
      const { status, body } = await get({ q: 'mine', ready: 'true', limit: '1', ...(cursor && { cursor }) })
      t.match({ status, total: body.total }, { status: 200, total: 3 })
      walk.push(...body.items.map(({ id }: any) => id))
      cursor = body.next_cursor
    } while (cursor !== null)
    t.same(walk, mine.tasks.map(({ id }: any) => id).reverse())
    t.match((await get({ session_id: other, q: 'mine' })).body, { total: 0 })

    const first = (await get({ limit: '1' })).body.next_cursor
    t.match(await get({ limit: '1', cursor: first }, otherKey), {
      status: 422,
      body: { errors: [{ path: 'cursor' }] },
    })
  })
})

/** Sorts by rank or value, null last, and by id where they are equal. */
function sorted(tasks: any[], sort_by: string, order: string): any[] {
  const sign = order === 'desc' ? -1 : 1
  const keyOf = (task: any) => RANKS[sort_by]?.indexOf(task[sort_by]) ?? task[sort_by]
  return [...tasks].sort((a, b) => {
    if ((a[sort_by] === null) !== (b[sort_by] === null)) return a[sort_by] === null ? 1 : -1
    const [left, right] = keyOf(a) === keyOf(b) ? [a.id, b.id] : [keyOf(a), keyOf(b)]
    return left < right ? -sign : sign
  })
}
