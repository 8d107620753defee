import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { onEachDatabase, type TestResponse } from './support.js'

const keysOf = (tasks: any[], ids: string[]) => ids.map((id) => tasks.find((task) => task.id === id).key)
const ready = (tasks: any[]) => tasks.filter(({ is_ready }) => is_ready).map(({ key, title }) => key ?? title)
const refused = ({ status, body }: TestResponse) => ({
  status,
  error_code: body.error_code,
  paths: body.errors?.map(({ path }: any) => path),
})
const invalid = (...paths: string[]) => ({ status: 422, error_code: 'validation_error', paths })

onEachDatabase(async (t, { call, plan, clear, database }) => {
  t.beforeEach(clear)

  /** Creates `a`, `b` blocked by a, and `c` blocked by b and a. */
  const chain = async (session_id: string = randomUUID()) => {
    const batch = await plan(
      [
        { key: 'c', title: 'C', blocked_by: ['b', 'a'] },
        { key: 'b', title: 'B', blocked_by: ['a'] },
        { key: 'a', title: 'A' },
      ],
      session_id,
    )
    const [c, b, a] = batch.tasks
    return { batch, a, b, c }
  }
  const complete = (...ids: string[]) =>
    call('PUT', '/tasks/bulk', { tasks: ids.map((id) => ({ id, status: 'completed' })) })

  await t.test(
    'tasks of a batch name their blockers by key, in any order, and keep that order',
    async (t) => {
      const { batch } = await chain()
      const { tasks } = batch
      t.same(
        tasks.map(({ key, blocked_by }: any) => [key, keysOf(tasks, blocked_by)]),
        [
          ['c', ['b', 'a']],
          ['b', ['a']],
          ['a', []],
        ],
      )
      t.same(ready(tasks), ['a'])
      t.match(batch.progress, { total: 3, pending: 3, ready: 1, blocked: 2, deferred: 0, percent: 0 })
      t.same((await call('GET', `/batches/${batch.id}`)).body, batch)
    },
  )

  await t.test('a task is ready once all its blockers are completed', async (t) => {
    const { batch, a, b } = await chain()
    const readyNow = async () => ready((await call('GET', `/batches/${batch.id}`)).body.tasks)
    t.equal((await call('PUT', `/tasks/${a.id}`, { status: 'in_progress' })).body.is_ready, false)
    t.same(await readyNow(), [])
    await complete(a.id)
    t.same(await readyNow(), ['b'])
    await complete(b.id)
    t.same(await readyNow(), ['c'])
    await call('PUT', `/tasks/${a.id}`, { status: 'pending' })
    t.same(await readyNow(), ['a'])
  })

  await t.test('a key that is not in the batch returns 422 with the keys and the nearest one', async (t) => {
    const tasks = [
      { key: 'create-pod', title: 'a' },
      { key: 'read-logs', title: 'b', blocked_by: ['creat-pod'] },
      { title: 'c', blocked_by: ['x'.repeat(64)] },
    ]
    const { status, body } = await call('POST', '/batches', { tasks })
    t.equal(status, 422)
    t.same(
      body.errors.map(({ path, allowed, did_you_mean }: any) => ({ path, allowed, did_you_mean })),
      [
        { path: 'tasks[1].blocked_by[0]', allowed: ['create-pod'], did_you_mean: 'create-pod' },
        {
          path: 'tasks[2].blocked_by[0]',
          allowed: ['create-pod', 'read-logs'],
          did_you_mean: undefined,
        },
      ],
    )
    t.match(body.detail, 'Did you mean `create-pod`?')
    t.equal((await call('GET', '/tasks')).body.total, 0)
  })

  await t.test('a key that two tasks of a batch have returns 422', async (t) => {
    const { batch } = await chain()
    const twice = [
      { key: 'n', title: 'n' },
      { key: 'n', title: 'n' },
    ]
    t.same(refused(await call('POST', '/batches', { tasks: twice })), invalid('tasks[1].key'))
    const again = { tasks: [{ key: 'a', title: 'again' }] }
    t.same(refused(await call('POST', `/batches/${batch.id}/tasks`, again)), invalid('tasks[0].key'))
    t.equal((await plan([{ key: 'a', title: 'a' }])).tasks[0].key, 'a', 'another batch can use it')
  })

  await t.test('a task that names itself or one task twice returns 422', async (t) => {
    const { a, b, c, batch } = await chain()
    for (const [blocked_by, path] of [
      [['n'], 'tasks[0].blocked_by[0]'],
      [['a', a.id.toUpperCase()], 'tasks[0].blocked_by[1]'],
    ]) {
      const tasks = { tasks: [{ key: 'n', title: 'n', blocked_by }] }
      t.same(refused(await call('POST', `/batches/${batch.id}/tasks`, tasks)), invalid(path as string))
    }
    const twice = { blocked_by: [a.id, b.id, a.id.toUpperCase()] }
    t.same(refused(await call('PUT', `/tasks/${c.id}`, twice)), invalid('blocked_by[2]'))
    t.same(refused(await call('POST', '/tasks', { title: 'n', ...twice })), invalid('blocked_by[2]'))
    const bulk = { tasks: [{ id: a.id }, { id: c.id, ...twice }] }
    t.same(refused(await call('PUT', '/tasks/bulk', bulk)), invalid('tasks[1].blocked_by[2]'))
    for (const status of ['pending', 'in_progress', 'completed']) {
      const itself = { blocked_by: [a.id.toUpperCase()], status }
      t.same(refused(await call('PUT', `/tasks/${a.id}`, itself)), invalid('blocked_by[0]'))
    }
  })

  await t.test(
    'a blocker that does not exist or is in another session returns 422 and is not shown',
    async (t) => {
      const { a, b, batch } = await chain()
      const other = (await plan([{ title: 'secret of another session' }])).tasks[0]
      const alone = (await call('POST', '/tasks', { title: 'secret without a session' })).body
      for (const unknown of [other.id, alone.id, randomUUID(), batch.id]) {
        for (const status of ['pending', 'in_progress', 'completed']) {
          const blocked_by = [unknown]
          const { session_id } = a
          const rejected: [TestResponse, string][] = [
            [await call('POST', '/tasks', { title: 'n', session_id, blocked_by, status }), 'blocked_by[0]'],
            [await call('PUT', `/tasks/${a.id}`, { blocked_by, status }), 'blocked_by[0]'],
            [
              await call('PUT', '/tasks/bulk', { tasks: [{ id: b.id }, { id: a.id, blocked_by, status }] }),
              'tasks[1].blocked_by[0]',
            ],
            [
              await call('POST', '/batches', { session_id, tasks: [{ title: 'n', blocked_by, status }] }),
              'tasks[0].blocked_by[0]',
            ],
            [
              await call('POST', `/batches/${batch.id}/tasks`, {
                tasks: [{ title: 'n', blocked_by, status }],
              }),
              'tasks[0].blocked_by[0]',
            ],
          ]
          for (const [response, path] of rejected) {
            t.same(refused(response), invalid(path))
            t.notMatch(response.text, 'secret')
          }
        }
      }
      t.equal((await call('GET', '/tasks')).body.total, 5)
      const task = await call('POST', '/tasks', { title: 'n', blocked_by: [alone.id] })
      t.match(task, { status: 201, body: { blocked_by: [alone.id], is_ready: false } })
    },
  )

  await t.test('an id in blocked_by is accepted in either case', async (t) => {
    const { a, batch } = await chain()
    const blocked_by = [a.id.toUpperCase()]
    for (const { body } of [
      await call('POST', '/tasks', { title: 'n', session_id: a.session_id, blocked_by }),
      await call('PUT', `/tasks/${batch.tasks[1].id}`, { blocked_by }),
    ])
      t.same(body.blocked_by, [a.id])
    const { body } = await call('POST', `/batches/${batch.id.toUpperCase()}/tasks`, {
      tasks: [{ title: 'n', blocked_by }],
    })
    t.same(body.tasks.at(-1).blocked_by, [a.id])
  })

  await t.test('a circle within a plan returns 422 and spells it out', async (t) => {
    const tasks = [
      { key: 'a', title: 'A' },
      { key: 'b', title: 'B', blocked_by: ['a', 'c'] },
      { key: 'c', title: 'C', blocked_by: ['d'] },
      { key: 'd', title: 'D', blocked_by: ['b'] },
    ]
    const { status, body } = await call('POST', '/batches', { tasks })
    t.match({ status, body }, { status: 422, body: { error_code: 'dependency_cycle' } })
    t.match(body.detail, 'b → c → d → b')
    t.equal((await call('GET', '/tasks')).body.total, 0)
  })

  await t.test('a change that closes a circle returns 422 and changes nothing', async (t) => {
    const { a, b, c, batch } = await chain()
    for (const [method, path, body] of [
      ['PUT', `/tasks/${a.id}`, { blocked_by: [c.id] }],
      ['PATCH', `/tasks/${a.id}`, { blocked_by: [c.id] }],
      ['PUT', '/tasks/bulk', { tasks: [{ id: c.id }, { id: a.id, title: 'changed', blocked_by: [c.id] }] }],
    ] as const) {
      const response = await call(method, path, body)
      t.match(response, { status: 422, body: { error_code: 'dependency_cycle' } })
      t.match(response.body.detail, /(a → c → (b → )?a)|(c → (b → )?a → c)/)
    }
    t.same((await call('GET', `/batches/${batch.id}`)).body, batch)
    const turned = await call('PUT', '/tasks/bulk', {
      tasks: [
        { id: a.id, blocked_by: [b.id] },
        { id: b.id, blocked_by: [] },
        { id: c.id, blocked_by: [a.id] },
      ],
    })
    t.equal(turned.status, 200, 'a bulk call can turn an edge round')
    const titles = await plan([{ title: 'x' }, { title: 'y' }])
    const [x, y] = titles.tasks
    await call('PUT', `/tasks/${x.id}`, { blocked_by: [y.id] })
    const { detail } = (await call('PUT', `/tasks/${y.id}`, { blocked_by: [x.id] })).body
    t.match(detail, /(x → y → x|y → x → y)/, 'tasks without keys are named by title')
  })

  await t.test('a plan of 500 tasks that all block the next, and a dense one, are created', async (t) => {
    const line = Array.from({ length: 500 }, (_, n) => ({
      key: `${n}`,
      title: 'a',
      ...(n < 499 && { blocked_by: [`${n + 1}`] }),
    }))
    const batch = await plan(line)
    t.match(batch.progress, { total: 500, ready: 1, blocked: 499 })
    const [first, last] = [batch.tasks[0], batch.tasks.at(-1)]
    t.match(await call('PUT', `/tasks/${last.id}`, { blocked_by: [first.id] }), {
      status: 422,
      body: { error_code: 'dependency_cycle' },
    })
    const dense = Array.from({ length: 200 }, (_, n) => ({
      key: `${n}`,
      title: 'a',
      blocked_by: Array.from({ length: Math.min(n, 50) }, (_, back) => `${n - 1 - back}`),
    }))
    const { tasks } = await plan(dense)
    const closing = await call('PUT', `/tasks/${tasks[0].id}`, { blocked_by: [tasks[199].id] })
    t.equal(closing.body.error_code, 'dependency_cycle')
  })

  await t.test('of 25 000 unknown blockers, the first 20 are described and all are counted', async (t) => {
    const tasks = Array.from({ length: 500 }, (_, n) => ({
      key: `key-number-${n}`,
      title: 'a',
      blocked_by: Array.from({ length: 50 }, (_, place) => `key-${n}-${place}`),
    }))
    const { status, body } = await call('POST', '/batches', { tasks })
    t.match({ status, body }, { status: 422, body: { error_count: 25_000 } })
    t.equal(body.errors.length, 20)
  })

  await t.test('a task cannot wait for more than 5000 tasks that wait themselves', async (t) => {
    const { session_id, tasks } = await plan([{ title: 'first' }, { title: 'next' }, { title: 'other' }])
    const [first, next, other] = tasks.map(({ id }: any) => id)
    // A line of 5000 tasks that ends with `first`.
    await database.db.execute(sql`
      insert into tasks (id, session_id, title, blocked_by)
      select md5('line' || n)::uuid, ${session_id}::uuid, 'line',
             array[case n when 1 then ${first}::uuid else md5('line' || n - 1)::uuid end]
      from generate_series(1, 5000) n`)
    const end = async (n: number) => {
      const found = (await database.db.execute(sql`select md5('line' || ${n}::int)::uuid::text as id`)) as any
      return (found.rows ?? found)[0].id
    }
    t.equal((await call('PUT', `/tasks/${next}`, { blocked_by: [await end(4999)] })).status, 200)
    t.same(
      refused(await call('PUT', `/tasks/${other}`, { blocked_by: [await end(5000)] })),
      invalid('blocked_by'),
    )
    const circle = await call('PUT', `/tasks/${first}`, { blocked_by: [await end(4998)] })
    t.match(circle, { status: 422, body: { error_code: 'dependency_cycle' } })
    t.ok(circle.body.detail.length < 1000, 'a long circle is not spelled out')
  })

  await t.test('a task takes 50 blockers and not 51', async (t) => {
    const { session_id, tasks } = await plan(Array.from({ length: 51 }, () => ({ title: 'a' })))
    const ids = tasks.map(({ id }: any) => id)
    const create = (blocked_by: string[]) => call('POST', '/tasks', { title: 'n', session_id, blocked_by })
    t.same((await create(ids.slice(1))).body.blocked_by, ids.slice(1))
    t.same(refused(await create(ids)), invalid('blocked_by'))
  })

  await t.test(
    'beginning or completing a task with an open blocker returns 409 with its open blockers',
    async (t) => {
      const { a, b, c, batch } = await chain()
      for (const [method, path, body] of [
        ['PUT', `/tasks/${c.id}`, { status: 'completed' }],
        ['PATCH', `/tasks/${c.id}`, { status: 'in_progress' }],
        [
          'PUT',
          '/tasks/bulk',
          {
            tasks: [
              { id: a.id, description: 'x' },
              { id: c.id, status: 'completed' },
            ],
          },
        ],
        [
          'POST',
          '/tasks',
          { title: 'n', session_id: a.session_id, blocked_by: [b.id, a.id], status: 'completed' },
        ],
      ] as const) {
        const response = await call(method, path, body)
        t.match(response, { status: 409, body: { error_code: 'task_blocked' } })
        t.same(response.body.open_blockers, [
          { id: b.id, key: 'b', title: 'B', status: 'pending' },
          { id: a.id, key: 'a', title: 'A', status: 'pending' },
        ])
        t.match(response.body.detail, 'waits for 2 tasks that are not completed: `B`, `A`')
      }
      t.same((await call('GET', `/batches/${batch.id}`)).body, batch)
      const tasks = [
        { key: 'x', title: 'X' },
        { title: 'Y', status: 'in_progress', blocked_by: ['x'] },
      ]
      t.match(await call('POST', '/batches', { tasks }), {
        status: 409,
        body: { open_blockers: [{ key: 'x' }] },
      })
    },
  )

  await t.test('what counts is the state after the whole request', async (t) => {
    const { a, b, c } = await chain()
    const bulk = await complete(c.id, b.id, a.id)
    t.equal(bulk.status, 200)
    t.same(
      bulk.body.updated.map(({ status }: any) => status),
      ['completed', 'completed', 'completed'],
    )
    const other = await chain()
    const freed = await call('PUT', `/tasks/${other.c.id}`, { blocked_by: [], status: 'completed' })
    t.match(freed, { status: 200, body: { blocked_by: [], status: 'completed' } })
    const tasks = [
      { key: 'a', title: 'A', status: 'completed' },
      { title: 'B', status: 'completed', blocked_by: ['a'] },
    ]
    t.equal((await call('POST', '/batches', { tasks })).status, 201)
    const third = await chain()
    const opened = await call('PUT', '/tasks/bulk', {
      tasks: [
        { id: third.a.id, status: 'completed' },
        { id: third.b.id, title: 'B' },
      ],
    })
    t.same(
      opened.body.updated.map(({ is_ready }: any) => is_ready),
      [false, true],
      'the response shows it, too',
    )
  })

  await t.test('reopening a blocker leaves dependents alone that have begun', async (t) => {
    const { a, b } = await chain()
    await complete(a.id)
    await call('PUT', `/tasks/${b.id}`, { status: 'in_progress' })
    await call('PUT', `/tasks/${a.id}`, { status: 'pending' })
    t.match((await call('GET', `/tasks/${b.id}`)).body, { status: 'in_progress' })
    t.equal((await call('PUT', `/tasks/${b.id}`, { title: 'x' })).status, 200)
    t.equal((await call('PUT', `/tasks/${b.id}`, { status: 'completed' })).status, 409)
  })

  await t.test('a deleted task drops out of blocked_by, and its dependents have a new version', async (t) => {
    const { a, b, c } = await chain()
    await call('DELETE', `/tasks/${a.id}`)
    const after = async ({ id }: any) => (await call('GET', `/tasks/${id}`)).body
    t.match(await after(b), { blocked_by: [], is_ready: true })
    t.same((await after(c)).blocked_by, [b.id])
    t.ok((await after(b)).updated_at > b.updated_at)
    const { deleted_count } = (await call('DELETE', '/tasks/bulk', { ids: [b.id] })).body
    t.equal(deleted_count, 1)
    t.match(await after(c), { blocked_by: [], is_ready: true })
  })

  await t.test('tasks are appended after the others, and can name keys of the whole batch', async (t) => {
    const { batch, a, c } = await chain()
    await call('DELETE', `/tasks/${a.id}`)
    const { status, body } = await call('POST', `/batches/${batch.id}/tasks`, {
      tasks: [
        { key: 'e', title: 'E', blocked_by: ['d', 'c'] },
        { key: 'd', title: 'D', priority: 'high', not_before: '2099-01-01' },
      ],
    })
    t.equal(status, 201)
    t.same(
      body.tasks.map(({ key }: any) => key),
      ['c', 'b', 'e', 'd'],
    )
    t.same(body.tasks[2].blocked_by, [body.tasks[3].id, c.id])
    t.match(body.tasks[3], { session_id: batch.session_id, batch_id: batch.id, is_ready: false })
    t.match(body.progress, { total: 4, ready: 1, blocked: 2, deferred: 1 })
    t.same((await call('GET', `/batches/${batch.id}`)).body, body)
    t.match(await call('POST', `/batches/${randomUUID()}/tasks`, { tasks: [{ title: 'n' }] }), {
      status: 404,
      body: { error_code: 'batch_not_found' },
    })
  })

  await t.test('appending with an Idempotency-Key appends once, and only to that batch', async (t) => {
    const { batch } = await chain()
    const other = await chain()
    const append = (id: string, title = 'n') =>
      call('POST', `/batches/${id}/tasks`, { tasks: [{ title }] }, { headers: { 'idempotency-key': 'more' } })
    const first = await append(batch.id)
    const again = await append(batch.id.toUpperCase())
    t.equal(again.headers['idempotency-replayed'], 'true')
    t.same(again.body, first.body)
    for (const response of [await append(other.batch.id), await append(batch.id, 'm')])
      t.match(response, { status: 422, body: { error_code: 'idempotency_key_reused' } })
    t.equal((await call('GET', `/tasks?batch_id=${batch.id}`)).body.total, 4)
    t.equal((await call('GET', `/tasks?batch_id=${other.batch.id}`)).body.total, 3)
  })

  await t.test('a batch takes 2000 tasks and not one more', async (t) => {
    const many = (length: number) => ({ tasks: Array.from({ length }, () => ({ title: 'a' })) })
    const { id } = (await call('POST', '/batches', many(500))).body
    for (let n = 0; n < 2; n++) await call('POST', `/batches/${id}/tasks`, many(500))
    await call('POST', `/batches/${id}/tasks`, many(499))
    const full = await call('POST', `/batches/${id}/tasks`, many(2))
    t.same(refused(full), invalid('tasks'))
    t.match(full.body.detail, 'must have at most 1 items: a batch has at most 2000 tasks')
    t.equal((await call('POST', `/batches/${id}/tasks`, many(1))).body.progress.total, 2000)
  })

  await t.test('not_before and result can be set, changed and cleared', async (t) => {
    const created = await call('POST', '/tasks', {
      title: 'a',
      not_before: '2099-01-01T09:00:00+09:00',
      result: 'none yet',
    })
    const path = `/tasks/${created.body.id}`
    t.match(created.body, { not_before: '2099-01-01T00:00:00.000Z', result: 'none yet', is_ready: false })
    t.match((await call('PUT', path, { not_before: '2020-01-01', result: 'done' })).body, {
      not_before: '2020-01-01T00:00:00.000Z',
      result: 'done',
      is_ready: true,
    })
    t.match((await call('PUT', path, { not_before: null, result: null })).body, {
      not_before: null,
      result: null,
    })
    t.match(await call('PUT', path, { not_before: '2099-01-01', status: 'completed' }), { status: 200 })
    t.same(refused(await call('PUT', path, { result: 'x'.repeat(4001) })), invalid('result'))
    t.equal((await call('PUT', path, { result: '😀'.repeat(4000) })).status, 200)
  })

  await t.test('PATCH is PUT, and a merge patch is JSON', async (t) => {
    const { id } = (await call('POST', '/tasks', { title: 'a', metadata: { a: 1, b: 2 } })).body
    for (const type of ['application/json', 'application/merge-patch+json']) {
      const changes = { title: type, metadata: { a: null } }
      const init = { headers: { 'content-type': type } }
      t.match(await call('PATCH', `/tasks/${id}`, changes, init), {
        status: 200,
        body: { title: type, metadata: { b: 2 } },
      })
      t.equal((await call('PUT', `/tasks/${id}`, changes, init)).status, 200)
    }
    t.same(refused(await call('PATCH', `/tasks/${id}`, { titel: 'b' })), invalid('titel'))
  })
})
