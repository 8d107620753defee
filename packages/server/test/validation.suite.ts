import { randomUUID } from 'node:crypto'
import { type TSchema, Type } from '@sinclair/typebox'
import t from 'tap'
import { createCompiler } from '../src/http/validation.js'
import { onEachDatabase } from './support.js'

const COMMON = ['title', 'description', 'status', 'priority', 'due_date']
const FIELDS = [...COMMON, 'not_before', 'result', 'metadata', 'blocked_by', 'session_id']
const CHANGES = [...COMMON, 'blocked_by', 'not_before', 'result', 'metadata', 'note']
const STATUS = ['pending', 'in_progress', 'completed']
const PRIORITY = ['high', 'medium', 'low', null]
const id = '019b0f3e-7c00-7000-8000-000000000001'

/** Invalid bodies, and all errors that are reported for each. */
const bodies: [method: string, path: string, body: unknown, errors: object[]][] = [
  ['POST', '/tasks', {}, [{ path: 'title', message: 'is required' }]],
  ['POST', '/tasks', null, [{ path: '', message: 'must be an object, not null' }]],
  ['POST', '/tasks', [], [{ path: '', message: 'must be an object, not an array' }]],
  ['POST', '/tasks', 'text', [{ path: '', message: 'must be an object, not a string' }]],
  ['POST', '/tasks', { title: 123 }, [{ path: 'title', message: 'must be a string, not a number' }]],
  ['POST', '/tasks', { title: null }, [{ path: 'title', message: 'must be a string, not null' }]],
  ['POST', '/tasks', { title: ['a'] }, [{ path: 'title', message: 'must be a string, not an array' }]],
  ['POST', '/tasks', { title: '' }, [{ path: 'title', message: 'must not be empty' }]],
  ['POST', '/tasks', { title: ' \t\n　' }, [{ path: 'title', message: 'must not be blank' }]],
  [
    'POST',
    '/tasks',
    { title: 'a'.repeat(256) },
    [{ path: 'title', message: 'must have at most 255 characters, has 256' }],
  ],
  [
    'POST',
    '/tasks',
    { title: 'a\0' },
    [{ path: 'title', message: 'must not contain NUL characters or unpaired surrogates' }],
  ],
  [
    'POST',
    '/tasks',
    { title: 'a', description: '\ud800' },
    [{ path: 'description', message: 'must not contain NUL characters or unpaired surrogates' }],
  ],
  [
    'POST',
    '/tasks',
    { title: 'a', description: 5 },
    [{ path: 'description', message: 'must be a string or null, not a number' }],
  ],
  [
    'POST',
    '/tasks',
    { title: 'a', status: null },
    [{ path: 'status', message: 'must be pending, in_progress or completed', allowed: STATUS }],
  ],
  [
    'POST',
    '/tasks',
    { title: 'a', status: 'done' },
    [{ path: 'status', allowed: STATUS, did_you_mean: 'completed' }],
  ],
  ['POST', '/tasks', { title: 'a', status: 'COMPLETED' }, [{ path: 'status', did_you_mean: 'completed' }]],
  [
    'POST',
    '/tasks',
    { title: 'a', status: 'in-progress' },
    [{ path: 'status', did_you_mean: 'in_progress' }],
  ],
  [
    'POST',
    '/tasks',
    { title: 'a', priority: 'urgent' },
    [
      {
        path: 'priority',
        message: 'must be high, medium, low or null',
        allowed: PRIORITY,
        did_you_mean: 'high',
      },
    ],
  ],
  ['POST', '/tasks', { title: 'a', priority: 1 }, [{ path: 'priority', allowed: PRIORITY }]],
  ['POST', '/tasks', { title: 'a', session_id: 'me' }, [{ path: 'session_id', message: /must be a UUID/ }]],
  ['POST', '/tasks', { title: 'a', session_id: `urn:uuid:${id}` }, [{ path: 'session_id' }]],
  ['POST', '/tasks', { title: 'a', session_id: `{${id}}` }, [{ path: 'session_id' }]],
  ['POST', '/tasks', { title: 'a', session_id: id.replaceAll('-', '') }, [{ path: 'session_id' }]],
  [
    'POST',
    '/tasks',
    { title: 'a', due_date: 20251231 },
    [{ path: 'due_date', message: 'must be a string or null, not a number' }],
  ],
  [
    'POST',
    '/tasks',
    { title: 'a', dueDate: '2025-12-31' },
    [
      {
        path: 'dueDate',
        message: `unknown field; allowed: ${FIELDS.join(', ')}`,
        allowed: FIELDS,
        did_you_mean: 'due_date',
      },
    ],
  ],
  ['POST', '/tasks', { title: 'a', deadline: 1 }, [{ path: 'deadline', did_you_mean: 'due_date' }]],
  ['POST', '/tasks', { title: 'a', completed_at: '2025-12-31' }, [{ path: 'completed_at', allowed: FIELDS }]],
  ['POST', '/tasks', { titel: 'a' }, [{ path: 'title' }, { path: 'titel', did_you_mean: 'title' }]],
  [
    'PUT',
    `/tasks/${id}`,
    { status: null, title: null },
    [
      { path: 'title', message: 'must be a string, not null' },
      { path: 'status', allowed: STATUS },
    ],
  ],
  ['PUT', `/tasks/${id}`, { session_id: id }, [{ path: 'session_id', allowed: CHANGES }]],
  ['PUT', `/tasks/${id}`, { id }, [{ path: 'id', allowed: CHANGES }]],
  [
    'PUT',
    '/tasks/bulk',
    { tasks: [{ id }, { status: 'completed' }] },
    [{ path: 'tasks[1].id', message: 'is required' }],
  ],
  [
    'PUT',
    '/tasks/bulk',
    { tasks: [{ id, state: 'completed' }] },
    [{ path: 'tasks[0].state', did_you_mean: 'status' }],
  ],
  ['PUT', '/tasks/bulk', { tasks: { id } }, [{ path: 'tasks', message: 'must be an array, not an object' }]],
  ['PUT', '/tasks/bulk', { tasks: [] }, [{ path: 'tasks', message: 'must have 1 to 500 items, has 0' }]],
  ['PUT', '/tasks/bulk', [{ id }], [{ path: '', message: 'must be an object, not an array' }]],
  [
    'DELETE',
    '/tasks/bulk',
    { ids: [id, 'x', 5] },
    [
      { path: 'ids[1]', message: /must be a UUID/ },
      { path: 'ids[2]', message: 'must be a string, not a number' },
    ],
  ],
  [
    'DELETE',
    '/tasks/bulk',
    { task_ids: [id] },
    [{ path: 'ids' }, { path: 'task_ids', allowed: ['ids'], did_you_mean: 'ids' }],
  ],
  ['POST', '/batches', { session_id: id }, [{ path: 'tasks', message: 'is required' }]],
  [
    'POST',
    '/batches',
    { tasks: [{ title: 'a' }, { name: 'b' }] },
    [{ path: 'tasks[1].title' }, { path: 'tasks[1].name', did_you_mean: 'title' }],
  ],
  ['POST', '/batches', { tasks: ['a'] }, [{ path: 'tasks[0]', message: 'must be an object, not a string' }]],
  [
    'POST',
    '/batches',
    { tasks: [{ title: 'a' }], reason: 'a'.repeat(10_001) },
    [{ path: 'reason', message: 'must have at most 10000 characters, has 10001' }],
  ],
]

/** Invalid queries, and all errors that are reported for each. */
const queries: [path: string, errors: object[]][] = [
  ['/tasks?page=0', [{ path: 'page', message: 'must be a whole number from 1 to 2147483647' }]],
  ['/tasks?page=-1', [{ path: 'page' }]],
  ['/tasks?page=1.5', [{ path: 'page' }]],
  ['/tasks?page=1e2', [{ path: 'page' }]],
  ['/tasks?page=0x10', [{ path: 'page' }]],
  ['/tasks?page=', [{ path: 'page' }]],
  ['/tasks?page=%201', [{ path: 'page' }]],
  ['/tasks?page=one', [{ path: 'page' }]],
  ['/tasks?page=2147483648', [{ path: 'page' }]],
  ['/tasks?page=99999999999999999999999', [{ path: 'page' }]],
  ['/tasks?page=1&page=2', [{ path: 'page' }]],
  ['/tasks?limit=101', [{ path: 'limit', message: 'must be a whole number from 1 to 100' }]],
  ['/tasks?limit=0', [{ path: 'limit' }]],
  ['/tasks?status=done', [{ path: 'status', allowed: STATUS, did_you_mean: 'completed' }]],
  ['/tasks?status=', [{ path: 'status', allowed: STATUS }]],
  ['/tasks?status=pending,done&status=pending', [{ path: 'status[0]', allowed: STATUS }]],
  ['/tasks?status=pending,done', [{ path: 'status[1]', did_you_mean: 'completed' }]],
  ['/tasks?priority=urgent', [{ path: 'priority[0]', allowed: ['high', 'medium', 'low'] }]],
  ['/tasks?fields=titel,state', [{ path: 'fields[0]', did_you_mean: 'title' }, { path: 'fields[1]' }]],
  ['/tasks?fields=', [{ path: 'fields[0]' }]],
  ['/batches?fields=goal', [{ path: 'fields[0]' }]],
  [`/sessions/${id}?fields=tasks`, [{ path: 'fields[0]' }]],
  ['/tasks?ready=1', [{ path: 'ready', message: /must be a boolean/ }]],
  [`/tasks?session_id=${id}&q=%20`, [{ path: 'q', message: /must not be blank/ }]],
  [`/tasks?session_id=${id}&q=${'a'.repeat(201)}`, [{ path: 'q', message: /at most 200 characters/ }]],
  ['/tasks?due_before=tomorrow', [{ path: 'due_before' }]],
  ['/tasks?session_id=me', [{ path: 'session_id', message: /must be a UUID/ }]],
  ['/tasks?session_id=%00', [{ path: 'session_id' }]],
  ['/tasks?sessionId=x', [{ path: 'sessionId', did_you_mean: 'session_id' }]],
  ['/tasks?sort=due_date', [{ path: 'sort', did_you_mean: 'sort_by' }]],
  [
    '/tasks?sort_by=title',
    [{ path: 'sort_by', allowed: ['updated_at', 'created_at', 'due_date', 'priority', 'status'] }],
  ],
  ['/tasks?order=descending', [{ path: 'order', allowed: ['desc', 'asc'], did_you_mean: 'desc' }]],
  ['/tasks?per_page=5', [{ path: 'per_page', did_you_mean: 'limit' }]],
  ['/tasks?__proto__=x', [{ path: '__proto__' }]],
  [
    '/batches?status=pending',
    [{ path: 'status', allowed: ['page', 'limit', 'cursor', 'session_id', 'fields'] }],
  ],
  ['/batches/latest?session=x', [{ path: 'session', allowed: ['session_id'], did_you_mean: 'session_id' }]],
  [`/tasks/${id}?x=1`, [{ path: 'x', message: 'unknown parameter; none are allowed', allowed: [] }]],
]

t.test('a schema that could reject a value without a message does not compile', (t) => {
  const part = Type.Object({ size: Type.Integer({ minimum: 1 }) }, { $id: 'Part' })
  const schemas: [TSchema, RegExp][] = [
    [Type.String({ minLength: 2 }), /minLength: has a message only for 1/],
    [Type.String({ pattern: '^a' }), /pattern: has a message only for/],
    [Type.String({ format: 'email' }), /no message for the format email/],
    [Type.Integer({ minimum: 1 }), /minimum: needs an integer with minimum and maximum/],
    [Type.Integer(), /type: needs an integer with minimum and maximum/],
    [Type.Number({ minimum: 1, maximum: 2 }), /minimum: needs an integer/],
    [Type.Array(Type.String(), { minItems: 1 }), /minItems: needs both/],
    [Type.Array(Type.String(), { uniqueItems: true }), /uniqueItems: no message/],
    [Type.Union([Type.String(), Type.Null()]), /anyOf: no message/],
    [
      Type.Object({ list: Type.Array(Type.Object({ a: Type.Literal('a') })) }),
      /^list\.\[\]\.a: const: no message/,
    ],
    [Type.Object({ part: Type.Ref('Part') }), /^part\.Part\.size: minimum: needs/],
  ]
  const compile = createCompiler([part])
  for (const [schema, message] of schemas) t.throws(() => compile(schema), { message })
  t.end()
})

onEachDatabase(async (t, { call, plan }) => {
  await t.test(
    'an invalid body returns 422 with every error, the allowed values and the one that was meant',
    async (t) => {
      for (const [method, path, body, errors] of bodies) {
        const answer = await call(method, path, body === null ? 'null' : JSON.stringify(body))
        const name = `${method} ${path} ${JSON.stringify(body).slice(0, 80)}`
        t.equal(answer.status, 422, name)
        t.equal(answer.body.error_code, 'validation_error')
        t.equal(answer.body.error_count, errors.length)
        t.equal(answer.body.errors.length, errors.length, name)
        t.match(
          answer.body.errors,
          errors.map((error) => ({ in: 'body', ...error })),
          name,
        )
      }
    },
  )

  await t.test('an invalid query returns 422, also for an unknown parameter', async (t) => {
    for (const [path, errors] of queries) {
      const { status, body } = await call('GET', path)
      t.equal(status, 422, path)
      t.match(
        body.errors,
        errors.map((error) => ({ in: 'query', ...error })),
        path,
      )
      t.equal(body.errors.length, errors.length, path)
    }
    const writes: [string, string, object?][] = [
      ['POST', '/tasks?session_id=x', { title: 'a' }],
      ['POST', '/batches?dry_run=true', { tasks: [{ title: 'a' }] }],
      ['DELETE', `/tasks/${id}?force=true`],
      ['DELETE', '/tasks/bulk?all=true', { ids: [id] }],
    ]
    for (const [method, path, body] of writes) t.equal((await call(method, path, body)).status, 422, path)
  })

  await t.test('an invalid id in the path returns 422 and names the parameter', async (t) => {
    for (const wrong of ['1', 'uuid-1', `${id}0`, 'null', '%00', 'a'.repeat(5000), '..%2f..%2fetc', '한글']) {
      for (const [method, path, parameter] of [
        ['GET', `/tasks/${encodeURI(wrong)}`, 'task_id'],
        ['PUT', `/tasks/${encodeURI(wrong)}`, 'task_id'],
        ['DELETE', `/tasks/${encodeURI(wrong)}`, 'task_id'],
        ['GET', `/batches/${encodeURI(wrong)}`, 'batch_id'],
      ] as const) {
        const { status, body } = await call(method, path, method === 'PUT' ? {} : undefined)
        t.equal(status, 422, `${method} ${path.slice(0, 60)}`)
        t.match(body.errors, [{ in: 'path', path: parameter, message: /must be a UUID/ }])
      }
    }
  })

  await t.test('errors in path, query and body are returned together', async (t) => {
    const { status, body } = await call('PUT', '/tasks/1?x=1', { titel: 'a' })
    t.equal(status, 422)
    t.match(body.errors, [
      { in: 'path', path: 'task_id' },
      { in: 'query', path: 'x' },
      { in: 'body', path: 'titel' },
    ])
    t.equal(
      body.detail,
      '3 validation errors. The path parameter `task_id` must be a UUID such as 550e8400-e29b-41d4-a716-446655440001. ' +
        'Unknown query parameter `x`. None are allowed. ' +
        `Unknown field \`titel\` in the body. Allowed: ${CHANGES.join(', ')}. Did you mean \`title\`?`,
    )
  })

  await t.test('the detail of each kind of error is a sentence that names its place', async (t) => {
    const details: [string, string, unknown, string, Record<string, string>?][] = [
      [
        'PUT',
        `/tasks/${id}`,
        { dueDate: '2025-12-31', status: 'complete' },
        `2 validation errors. Unknown field \`dueDate\` in the body. Allowed: ${CHANGES.join(', ')}. Did you mean \`due_date\`? ` +
          '`status` in the body must be pending, in_progress or completed. Did you mean `completed`?',
      ],
      ['POST', '/tasks', {}, '1 validation error. `title` in the body is required.'],
      ['POST', '/tasks', 'null', '1 validation error. The body must be an object, not null.'],
      [
        'GET',
        '/batches/latest?session=x',
        undefined,
        '1 validation error. Unknown query parameter `session`. Allowed: session_id. Did you mean `session_id`?',
      ],
      [
        'GET',
        '/tasks?limit=0',
        undefined,
        '1 validation error. The query parameter `limit` must be a whole number from 1 to 100.',
      ],
      [
        'PUT',
        `/tasks/${id}`,
        {},
        '1 validation error. The header `If-Match` must be the updated_at of the task in double quotes, such as "2025-12-06T10:00:00.000Z", or *.',
        { 'if-match': 'x' },
      ],
    ]
    for (const [method, path, body, detail, headers = {}] of details) {
      t.equal((await call(method, path, body, { headers })).body.detail, detail)
    }
  })

  await t.test('of more than 20 errors, 20 are listed and all are counted', async (t) => {
    const { body } = await call('DELETE', '/tasks/bulk', { ids: Array.from({ length: 300 }, () => 'x') })
    t.equal(body.errors.length, 20)
    t.equal(body.error_count, 300)
    t.match(body.detail, /^300 validation errors\..* 295 more: see `errors`\.$/)
  })

  await t.test('a list that is too long is reported with its length, beside other errors', async (t) => {
    const tasks = Array.from({ length: 600 }, () => ({ id, status: 'done' }))
    const { body } = await call('PUT', '/tasks/bulk', { tasks, dryRun: true })
    t.equal(body.errors.length, 20)
    t.match(body.errors, [
      { path: 'dryRun', message: 'unknown field; allowed: tasks' },
      { path: 'tasks', message: 'must have 1 to 500 items, has 600' },
      { path: 'tasks[0].status', did_you_mean: 'completed' },
    ])
  })

  await t.test('of 10 000 unknown fields, 20 are listed and all are counted', async (t) => {
    const unknown = Object.fromEntries(Array.from({ length: 10_000 }, (_, nth) => [`field${nth}`, 1]))
    const { body } = await call('POST', '/tasks', { ...unknown, title: 'a', status: 'done' })
    t.equal(body.error_count, 10_001)
    t.equal(body.errors.length, 20)
    const inItems = await call('POST', '/batches', { tasks: [unknown, { ...unknown, title: 'a' }] })
    t.equal(inItems.body.error_count, 20_001)
  })

  await t.test('a query with thousands of unknown parameters returns 422 and counts them', async (t) => {
    const { status, body } = await call(
      'GET',
      `/tasks?${Array.from({ length: 3000 }, (_, nth) => `p${nth}`).join('&')}`,
    )
    t.equal(status, 422)
    t.equal(body.error_count, 3000)
  })

  await t.test('a body with more than 30 000 items and fields returns 422', async (t) => {
    const title = 'a'.repeat(40_000)
    const withValues = (count: number) => ({ title, tasks: Array.from({ length: count - 2 }, () => 0) })
    const message = 'must have at most 30000 items and fields in total. Split it into several requests'
    const { status, body } = await call('POST', '/tasks', withValues(30_001))
    t.equal(status, 422)
    t.strictSame(body.errors, [{ in: 'body', path: '', message }])
    t.equal(body.detail, `1 validation error. The body ${message}.`)
    t.match((await call('POST', '/tasks', withValues(30_000))).body.errors, [
      { path: 'tasks' },
      { path: 'title' },
    ])
    const texts = { title, description: ',[{'.repeat(20_000) + '\\"'.repeat(20_000) }
    t.match((await call('POST', '/tasks', texts)).body.errors, [{ path: 'title' }, { path: 'description' }])
  })

  await t.test('the response to a body with 100 000 errors is short', async (t) => {
    const many = Array.from({ length: 100_000 }, (_, i) => `${i}`)
    for (const [path, body] of [
      ['/tasks/bulk', { ids: many }],
      ['/tasks/bulk', Object.fromEntries(many.slice(0, 80_000).map((key) => [key, 1]))],
      ['/tasks/bulk', { ['x'.repeat(500_000)]: 1 }],
    ] as const) {
      const { status, text } = await call('DELETE', path, body)
      t.equal(status, 422)
      t.ok(text.length < 10_000, `${text.length} characters`)
    }
  })

  await t.test('a suggestion is never applied by itself', async (t) => {
    const { tasks } = await plan([{ title: 'a' }])
    for (const body of [{ status: 'done' }, { Status: 'completed' }, { titel: 'b' }]) {
      t.equal((await call('PUT', `/tasks/${tasks[0].id}`, body)).status, 422)
    }
    t.same((await call('GET', `/tasks/${tasks[0].id}`)).body, tasks[0])
  })

  await t.test('a common synonym of a field or value gets a suggestion', async (t) => {
    const meant = async (body: object) => (await call('POST', '/tasks', body)).body.errors.at(-1).did_you_mean
    for (const [word, status] of Object.entries({
      todo: 'pending',
      doing: 'in_progress',
      finished: 'completed',
      완료: 'completed',
      inProgress: 'in_progress',
      pendign: 'pending',
    })) {
      t.equal(await meant({ title: 'a', status: word }), status, word)
    }
    for (const [word, priority] of Object.entries({
      critical: 'high',
      normal: 'medium',
      hi: undefined,
      Low: 'low',
      mediun: 'medium',
      xyz: undefined,
    })) {
      t.equal(await meant({ title: 'a', priority: word }), priority, word)
    }
    for (const [word, field] of Object.entries({
      Title: 'title',
      name: 'title',
      desc: undefined,
      details: 'description',
      due: 'due_date',
      sessionID: 'session_id',
      prioritiy: 'priority',
      x: undefined,
      constructor: undefined,
    })) {
      t.equal(await meant({ title: 'a', [word]: 1 }), field, word)
    }
  })

  await t.test('a rejected request stores nothing', async (t) => {
    const session_id = randomUUID()
    await call('POST', '/tasks', { title: 'a', session_id, x: 1 })
    await call('POST', '/tasks?x=1', { title: 'a', session_id })
    t.equal((await call('GET', `/tasks?session_id=${session_id}`)).body.total, 0)
  })
})
