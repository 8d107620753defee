import { onEachDatabase } from './support.js'

const ofSize = (bytes: number) => ({ a: 'x'.repeat(bytes - '{"a":""}'.length) })
const nested = (levels: number): object => (levels === 1 ? {} : { a: nested(levels - 1) })

onEachDatabase(async (t, { call, plan, clear, app }) => {
  t.beforeEach(clear)
  const newTask = async (metadata: object) => (await call('POST', '/tasks', { title: 'a', metadata })).body

  await t.test('metadata is returned as it was given, and is {} if it was not', async (t) => {
    const metadata = { 한: { b: [1, -2.5, null, true, ''], 'a.b c': '\u2028"\\' }, max: 2 ** 53 - 1 }
    const tasks = [{ title: 'a', metadata }, { title: 'b' }]
    const { body } = await call('POST', '/batches', { metadata, tasks })
    t.same([body.metadata, ...body.tasks.map((task: any) => task.metadata)], [metadata, metadata, {}])
    t.same((await call('GET', `/tasks/${body.tasks[0].id}`)).body.metadata, metadata)
    t.same((await call('GET', `/batches/${body.id}`)).body.metadata, metadata)
    t.same((await plan([{ title: 'a' }])).metadata, {})
  })

  await t.test('an update merges metadata by RFC 7396', async (t) => {
    // Its appendix A, as members.
    for (const [target, patch, result] of [
      ['b', 'c', 'c'],
      ['b', null, undefined],
      [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
      [{ a: 'b' }, { a: null }, {}],
      [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
      [['b'], 'c', 'c'],
      ['c', ['b'], ['b']],
      [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
      [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
      [
        ['a', 'b'],
        ['c', 'd'],
        ['c', 'd'],
      ],
      [{ a: 'b' }, ['c'], ['c']],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [[1, 2], { a: 'b', c: null }, { a: 'b' }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ] as const) {
      const { id } = await newTask({ kept: 1, x: target })
      const merged = { kept: 1, ...(result !== undefined && { x: result }) }
      const { body } = await call('PUT', `/tasks/${id}`, { metadata: { x: patch } })
      t.same(body.metadata, merged, JSON.stringify([target, patch]))
    }
  })

  await t.test(
    'a bulk update merges the metadata of several changes of a task one after the other',
    async (t) => {
      const { id } = await newTask({ a: 1, b: { c: 1 } })
      const { body } = await call('PUT', '/tasks/bulk', {
        tasks: [
          { id, metadata: { a: null, b: { d: 1 } } },
          { id: id.toUpperCase(), metadata: { a: { e: 1 }, b: { c: null } } },
          { id, metadata: { a: { f: null } } },
        ],
      })
      t.same(body.updated[0].metadata, { a: { e: 1 }, b: { d: 1 } })
      t.equal(body.updated.length, 1)
    },
  )

  await t.test('metadata has at most 8192 bytes as JSON, also after a merge', async (t) => {
    const { id } = await newTask(ofSize(8192))
    const tooLarge = (response: any, path: string) => {
      t.equal(response.status, 422)
      t.match(response.body.errors, [{ in: 'body', path, message: /8192 bytes/ }])
    }
    tooLarge(await call('POST', '/tasks', { title: 'a', metadata: ofSize(8193) }), 'metadata')
    tooLarge(await call('PUT', `/tasks/${id}`, { metadata: { b: 1 } }), 'metadata')
    const bulk = {
      tasks: [
        { id, title: 'b' },
        { id, metadata: { b: 1 } },
      ],
    }
    tooLarge(await call('PUT', '/tasks/bulk', bulk), 'tasks[1].metadata')
    tooLarge(await call('POST', '/batches', { tasks: [{ title: 'a' }], metadata: ofSize(8193) }), 'metadata')
    const { body } = await call('POST', `/tasks/${id}/claim`, { worker: 'a' })
    const done = { task_id: id, token: body.lease.token, metadata: { b: 1 } }
    tooLarge(await call('POST', '/tasks/claim', { worker: 'a', done }), 'done.metadata')
    t.equal((await call('PUT', `/tasks/${id}`, { metadata: { a: null, b: 1 } })).status, 200)
    t.equal((await newTask({ a: '한'.repeat(2728) })).metadata.a.length, 2728)
    const many = Object.fromEntries(Array.from({ length: 800 }, (_, n) => [`k${n}`, 0]))
    t.same((await newTask(many)).metadata, many, 'what counts is compact JSON')
  })

  await t.test('names have at most 64 characters, and values at most 32 levels', async (t) => {
    const most = { ['x'.repeat(64)]: nested(31) }
    t.same((await newTask(most)).metadata, most)
    for (const metadata of [{ ['x'.repeat(65)]: 1 }, { a: [{ ['x'.repeat(65)]: 1 }] }, nested(33)]) {
      const { status, body } = await call('POST', '/tasks', { title: 'a', metadata })
      t.equal(status, 422)
      t.match(body.errors, [
        { path: 'metadata', message: /must have (names of at most 64|at most 32 levels)/ },
      ])
    }
  })

  await t.test(
    'metadata that the database cannot store or would change returns 422, never 500',
    async (t) => {
      const task = await newTask({})
      const claimed = (await call('POST', `/tasks/${task.id}/claim`, { worker: 'a' })).body
      const done = { task_id: task.id, token: claimed.lease.token }
      const levels = (open: string, close: string, count: number) => open.repeat(count) + close.repeat(count)
      for (const value of [
        '1e300',
        '-1e300',
        '1e999',
        '1e-300',
        '9007199254740993',
        '1'.repeat(400),
        `1${'0'.repeat(100_000)}`,
        '"\\u0000"',
        '"\\ud800"',
        '"\\udc00a"',
        '{"\\u0000":1}',
        '{"\\ud800":1}',
        '[[{"a":["\\u0000"]}]]',
        levels('[', ']', 1000),
        levels('[', ']', 100_000),
        `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
      ]) {
        const metadata = `{"a":${value}}`
        for (const [method, path, body] of [
          ['POST', '/tasks', `{"title":"a","metadata":${metadata}}`],
          ['PUT', `/tasks/${task.id}`, `{"metadata":${metadata}}`],
          ['PUT', '/tasks/bulk', `{"tasks":[{"id":"${task.id}","metadata":${metadata}}]}`],
          ['POST', '/batches', `{"metadata":${metadata},"tasks":[{"title":"a"}]}`],
          ['POST', '/batches', `{"tasks":[{"title":"a","metadata":${metadata}}]}`],
          [
            'POST',
            '/tasks/claim',
            `{"worker":"a","done":${JSON.stringify(done).slice(0, -1)},"metadata":${metadata}}}`,
          ],
        ] as const) {
          const response = await call(method, path, body)
          t.equal(response.status, 422, `${method} ${path}: ${value.slice(0, 40)}`)
          // Nesting that deep is an error of the whole body.
          t.match(response.body.errors[0].path, /metadata$|^$/)
        }
      }
      for (const metadata of [null, [], 'a', 1]) {
        const { status } = await call('PUT', `/tasks/${task.id}`, { metadata })
        t.equal(status, 422, JSON.stringify(metadata))
      }
      for (const name of ['__proto__', 'constructor']) {
        const payload = `{"title":"a","metadata":{"${name}":{"prototype":1}}}`
        const headers = { 'content-type': 'application/json' }
        const { statusCode } = await app.inject({ method: 'POST', url: '/api/v1/tasks', payload, headers })
        t.equal(statusCode, 400, name)
      }
    },
  )

  await t.test(
    'numbers that are small in JSON but long in the database are stored or return 422',
    async (t) => {
      const long = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`k${n}`, 1.5e-90]))
      const tasks = [{ title: 'a' }]
      t.equal((await call('POST', '/tasks', { title: 'a', metadata: long })).status, 422)
      t.equal((await call('POST', '/batches', { metadata: long, tasks })).status, 422)
      const small = { a: 1.5e-90, b: -0.1, c: 5e-100 }
      // 9 digits each in the database, 6 kB in all.
      const fitting = Object.fromEntries(Array.from({ length: 350 }, (_, n) => [`${n}`, 1e-7]))
      t.same((await newTask({ ...fitting, text: 'e-9 1e-90 \\"1e-90' })).metadata.text, 'e-9 1e-90 \\"1e-90')
      const { id, metadata } = await newTask(small)
      t.same(metadata, small)
      const half = Object.fromEntries(Object.entries(long).slice(0, 70))
      t.equal((await call('PUT', `/tasks/${id}`, { metadata: half })).status, 200)
      const others = Object.fromEntries(Object.keys(half).map((name) => [`x${name}`, 1.5e-90]))
      t.equal((await call('PUT', `/tasks/${id}`, { metadata: others })).status, 422)
      t.same((await call('POST', '/batches', { metadata: small, tasks })).body.metadata, small)
    },
  )
})
