import { randomUUID } from 'node:crypto'
import { onEachDatabase } from './support.js'

const UUIDV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

onEachDatabase(async (t, { call, plan, clear }) => {
  t.beforeEach(clear)

  await t.test('a task is created with defaults, and GET returns the same', async (t) => {
    const { status, body } = await call('POST', '/tasks', { title: 'nginx Pod 생성하기' })
    t.equal(status, 201)
    t.match(body, {
      id: UUIDV7,
      session_id: null,
      batch_id: null,
      title: 'nginx Pod 생성하기',
      description: null,
      status: 'pending',
      priority: null,
      due_date: null,
      completed_at: null,
      created_at: MOMENT,
    })
    t.equal(body.updated_at, body.created_at)
    t.ok(Math.abs(Date.parse(body.created_at) - Date.now()) < 60_000, 'created now')
    t.same((await call('GET', `/tasks/${body.id}`)).body, body)
  })

  await t.test('every given field is stored', async (t) => {
    const given = {
      title: 'nginx Pod 생성하기',
      description: 'kubectl run 명령어로 nginx Pod 생성',
      status: 'in_progress',
      priority: 'high',
      due_date: '2025-12-07T23:59:59.000Z',
      session_id: randomUUID(),
    }
    const { body } = await call('POST', '/tasks', given)
    t.match(body, given)
  })

  await t.test('null is the same as leaving a field out when creating', async (t) => {
    const nothing = { description: null, priority: null, due_date: null, session_id: null }
    const { status, body } = await call('POST', '/tasks', { title: 'a', ...nothing })
    t.equal(status, 201)
    t.match(body, nothing)
  })

  await t.test('creating a task as completed sets completed_at', async (t) => {
    const { body } = await call('POST', '/tasks', { title: 'a', status: 'completed' })
    t.equal(body.completed_at, body.created_at)
  })

  await t.test('lengths count code points, not UTF-16 units or bytes', async (t) => {
    const longest = '😀'.repeat(255)
    const { status, body } = await call('POST', '/tasks', { title: longest, description: '한'.repeat(1000) })
    t.equal(status, 201)
    t.equal(body.title, longest)
    t.equal((await call('POST', '/tasks', { title: `${longest}a` })).status, 422)
    t.equal((await call('POST', '/tasks', { title: 'a', description: '한'.repeat(1001) })).status, 422)
  })

  await t.test('any text is returned unchanged', async (t) => {
    for (const text of [
      "'; drop table tasks; --",
      '{"a":1}',
      '\\u0000',
      '%00',
      '$1',
      ' a\t\n ',
      'a\u2028b',
      'e\u0301',
      '👩‍👩‍👧',
    ]) {
      const { status, body } = await call('POST', '/tasks', { title: text, description: text })
      t.equal(status, 201)
      t.equal(body.title, text)
      t.equal((await call('GET', `/tasks/${body.id}`)).body.description, text)
    }
  })

  await t.test(
    'times are accepted in every documented format and returned in UTC with milliseconds',
    async (t) => {
      const forms: [string, string][] = [
        ['2025-12-31T09:00:00Z', '2025-12-31T09:00:00.000Z'],
        ['2025-12-31T09:00:00.5+09:00', '2025-12-31T00:00:00.500Z'],
        ['2025-12-31t09:00:00z', '2025-12-31T09:00:00.000Z'],
        ['2025-12-31 09:00:00Z', '2025-12-31T09:00:00.000Z'],
        ['2025-12-31T09:00:00-00:00', '2025-12-31T09:00:00.000Z'],
        ['2025-12-31T09:00:00', '2025-12-31T09:00:00.000Z'],
        ['2025-12-31T09:00:00.123456', '2025-12-31T09:00:00.123Z'],
        ['2025-12-31', '2025-12-31T00:00:00.000Z'],
        ['2024-02-29', '2024-02-29T00:00:00.000Z'],
        ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
        ['0001-01-01', '0001-01-01T00:00:00.000Z'],
        ['0000-12-31T23:30:00-01:00', '0001-01-01T00:30:00.000Z'],
        ['9999-12-31T23:59:59.9999999Z', '9999-12-31T23:59:59.999Z'],
      ]
      for (const [sent, answered] of forms) {
        const { status, body } = await call('POST', '/tasks', { title: 'a', due_date: sent })
        t.equal(status, 201, sent)
        t.equal(body.due_date, answered)
        t.equal((await call('PUT', `/tasks/${body.id}`, { due_date: sent })).body.due_date, answered)
      }
    },
  )

  await t.test('a time that does not exist or is outside the years 0001 to 9999 returns 422', async (t) => {
    for (const due_date of [
      '2025-02-30',
      '2025-02-29',
      '2025-13-01',
      '2025-00-10',
      '2025-12-31T24:00:00Z',
      '2025-12-31T23:60:00Z',
      '2025-12-31T12:00:60Z',
      '2025-12-31T09:00:00+24:00',
      '2025-12-31T09:00:00+0900',
      '2025-12-31T09Z',
      '31.12.2025',
      '2025-12-31Z',
      ' 2025-12-31',
      '+012025-12-31',
      'tomorrow',
      '',
      '0000-12-31',
      '0001-01-01T00:00:00+01:00',
      '9999-12-31T23:59:59-01:00',
    ]) {
      const { status, body } = await call('POST', '/tasks', { title: 'a', due_date })
      t.equal(status, 422, due_date)
      t.equal(body.errors[0].path, 'due_date')
    }
  })

  await t.test('an update changes the given fields and no others', async (t) => {
    const created = (
      await call('POST', '/tasks', { title: 'a', description: 'b', priority: 'low', due_date: '2025-12-31' })
    ).body
    const { status, body } = await call('PUT', `/tasks/${created.id}`, { title: 'c' })
    t.equal(status, 200)
    t.same({ ...body, updated_at: null }, { ...created, title: 'c', updated_at: null })
    t.ok(body.updated_at > created.updated_at, 'updated_at has risen')
    t.same((await call('GET', `/tasks/${created.id}`)).body, body)
  })

  await t.test('null clears description, priority and due_date', async (t) => {
    const { id } = (
      await call('POST', '/tasks', { title: 'a', description: 'b', priority: 'low', due_date: '2025-12-31' })
    ).body
    const { body } = await call('PUT', `/tasks/${id}`, { description: null, priority: null, due_date: null })
    t.match(body, { title: 'a', description: null, priority: null, due_date: null })
  })

  await t.test('an empty update returns the task and keeps updated_at', async (t) => {
    const created = (await call('POST', '/tasks', { title: 'a', status: 'completed' })).body
    const { status, body } = await call('PUT', `/tasks/${created.id}`, {})
    t.equal(status, 200)
    t.same(body, created)
  })

  await t.test(
    'completed_at is set on completion, kept while the task is completed and cleared after that',
    async (t) => {
      const { id } = (await call('POST', '/tasks', { title: 'a' })).body
      const put = async (changes: object) => (await call('PUT', `/tasks/${id}`, changes)).body
      const completed = await put({ status: 'completed' })
      t.match(completed.completed_at, MOMENT)
      t.equal(completed.completed_at, completed.updated_at)
      t.equal((await put({ status: 'completed' })).completed_at, completed.completed_at)
      t.equal((await put({ title: 'b' })).completed_at, completed.completed_at)
      t.equal((await put({ status: 'in_progress' })).completed_at, null)
      const again = await put({ status: 'completed' })
      t.ok(again.completed_at > completed.completed_at, 'completed anew')
      t.equal((await put({ status: 'pending' })).completed_at, null)
    },
  )

  await t.test('updated_at increases with every change, also within the same millisecond', async (t) => {
    const { id } = (await call('POST', '/tasks', { title: 'a' })).body
    const times: string[] = []
    for (let i = 0; i < 20; i++)
      times.push((await call('PUT', `/tasks/${id}`, { title: `${i}` })).body.updated_at)
    t.same(times, [...new Set(times)].sort())
  })

  await t.test('a deleted task no longer exists, and deleting it again returns 404', async (t) => {
    const { id } = (await call('POST', '/tasks', { title: 'a' })).body
    const { status, text } = await call('DELETE', `/tasks/${id}`)
    t.equal(status, 204)
    t.equal(text, '')
    for (const method of ['GET', 'DELETE']) {
      const { status, body } = await call(method, `/tasks/${id}`)
      t.equal(status, 404)
      t.equal(body.error_code, 'task_not_found')
    }
    t.equal((await call('PUT', `/tasks/${id}`, { title: 'b' })).status, 404)
    t.equal((await call('PUT', `/tasks/${id}`, {})).status, 404)
  })

  await t.test('ids are accepted in upper and lower case and returned in lower case', async (t) => {
    const session_id = randomUUID()
    const created = (await call('POST', '/tasks', { title: 'a', session_id: session_id.toUpperCase() })).body
    t.equal(created.session_id, session_id)
    const upper = created.id.toUpperCase()
    t.equal((await call('GET', `/tasks/${upper}`)).body.id, created.id)
    t.equal((await call('GET', `/tasks?session_id=${session_id.toUpperCase()}`)).body.total, 1)
    const { body } = await call('PUT', '/tasks/bulk', { tasks: [{ id: upper, title: 'b' }] })
    t.equal(body.updated[0].id, created.id)
    const unknown = randomUUID()
    t.same((await call('DELETE', '/tasks/bulk', { ids: [upper, unknown.toUpperCase()] })).body, {
      deleted_count: 1,
      not_found: [unknown],
    })
  })

  await t.test('without tasks the list is empty and its total is 0', async (t) => {
    const { status, body } = await call('GET', '/tasks')
    t.equal(status, 200)
    t.same(body, {
      items: [],
      total: 0,
      total_is_exact: true,
      page: 1,
      limit: 10,
      total_pages: 0,
      has_next: false,
      has_prev: false,
      next_cursor: null,
    })
  })

  await t.test(
    'pages neither overlap nor skip, and a page past the end still reports the total',
    async (t) => {
      const { tasks } = await plan(Array.from({ length: 25 }, (_, i) => ({ title: `${i}` })))
      const seen: string[] = []
      for (const page of [1, 2, 3]) {
        const { body } = await call('GET', `/tasks?page=${page}`)
        t.match(body, { total: 25, page, limit: 10, total_pages: 3, has_next: page < 3, has_prev: page > 1 })
        seen.push(...body.items.map((task: { id: string }) => task.id))
      }
      // Created in the same moment: equal in every sort key, so that the ids decide, downwards.
      t.same(seen, tasks.map((task: { id: string }) => task.id).reverse())
      const past = (await call('GET', '/tasks?page=4')).body
      t.match(past, { items: [], total: 25, page: 4, total_pages: 3, has_next: false, has_prev: true })
      t.match((await call('GET', '/tasks?page=100&limit=100')).body, { items: [], total: 25 })
      t.equal((await call('GET', '/tasks?limit=100')).body.items.length, 25)
      t.equal((await call('GET', '/tasks?limit=1&page=25')).body.items[0].title, '0')
    },
  )

  await t.test('filters are combined with AND', async (t) => {
    const batch = await plan([{ title: 'a' }, { title: 'b', status: 'completed' }])
    const { session_id } = batch
    await call('POST', '/tasks', { title: 'c', session_id })
    await call('POST', '/tasks', { title: 'd' })
    const titles = async (query: string) =>
      (await call('GET', `/tasks?sort_by=created_at&order=asc&${query}`)).body.items.map(
        (task: { title: string }) => task.title,
      )
    t.same(await titles(''), ['a', 'b', 'c', 'd'])
    t.same(await titles(`session_id=${session_id}`), ['a', 'b', 'c'])
    t.same(await titles(`batch_id=${batch.id}`), ['a', 'b'])
    t.same(await titles('status=pending'), ['a', 'c', 'd'])
    t.same(await titles(`session_id=${session_id}&status=pending`), ['a', 'c'])
    t.same(await titles(`session_id=${session_id}&batch_id=${batch.id}&status=completed`), ['b'])
    t.same(await titles(`session_id=${randomUUID()}`), [])
  })

  await t.test('every sort key sorts in both orders, with null last and equal values by id', async (t) => {
    const { tasks } = await plan([
      { title: '0', priority: 'low', due_date: '2025-12-01' },
      { title: '1', priority: 'high', status: 'completed' },
      { title: '2', due_date: '2025-11-01', status: 'in_progress' },
      { title: '3', priority: 'medium', due_date: '2025-12-01' },
      { title: '4', priority: 'high', status: 'completed' },
      { title: '5' },
    ])
    await call('PUT', `/tasks/${tasks[3].id}`, { description: 'touched' })
    const order = async (query: string) =>
      (await call('GET', `/tasks?${query}`)).body.items.map((task: { title: string }) => task.title).join('')
    t.equal(await order('sort_by=priority'), '413052', 'high first by default')
    t.equal(await order('sort_by=priority&order=asc'), '031425')
    t.equal(await order('sort_by=status&order=asc'), '035214')
    t.equal(await order('sort_by=status&order=desc'), '412530')
    t.equal(await order('sort_by=due_date&order=asc'), '203145')
    t.equal(await order('sort_by=due_date&order=desc'), '302541')
    t.equal(await order('sort_by=created_at&order=asc'), '012345')
    t.equal(await order('sort_by=updated_at'), '354210')
    t.equal(await order(''), '354210', 'latest change first by default')
  })

  await t.test(
    'a bulk update applies a patch per task and returns the tasks in the order of the request',
    async (t) => {
      const { tasks } = await plan([{ title: 'a' }, { title: 'b', priority: 'high' }, { title: 'c' }])
      const [a, b, c] = tasks.map((task: { id: string }) => task.id)
      const unknown = randomUUID()
      const { status, body } = await call('PUT', '/tasks/bulk', {
        tasks: [
          { id: c, status: 'completed' },
          { id: unknown, status: 'completed' },
          { id: a, title: 'A', due_date: '2025-12-31' },
          { id: b, priority: null, description: 'd' },
        ],
      })
      t.equal(status, 200)
      t.same(body.not_found, [unknown])
      t.match(body.updated, [
        { id: c, title: 'c', status: 'completed', completed_at: MOMENT },
        { id: a, title: 'A', status: 'pending', due_date: '2025-12-31T00:00:00.000Z' },
        { id: b, title: 'b', priority: null, description: 'd' },
      ])
      t.equal(body.updated.length, 3)
    },
  )

  await t.test(
    'an id that occurs twice in a bulk update is changed in that order and returned once',
    async (t) => {
      const { tasks } = await plan([{ title: 'a', status: 'completed' }, { title: 'b' }])
      const [a, b] = tasks
      const { body } = await call('PUT', '/tasks/bulk', {
        tasks: [
          { id: a.id, status: 'pending', title: 'x' },
          { id: b.id, status: 'completed' },
          { id: a.id, status: 'completed', description: 'y' },
          { id: b.id, status: 'in_progress' },
          { id: a.id.toUpperCase(), title: 'z' },
        ],
      })
      t.match(body.updated, [
        { id: a.id, title: 'z', description: 'y', status: 'completed' },
        { id: b.id, status: 'in_progress', completed_at: null },
      ])
      t.equal(body.updated.length, 2)
      t.ok(body.updated[0].completed_at > a.completed_at, 'reopened in between, it was completed anew')
    },
  )

  await t.test('a bulk item without changes is returned and not changed', async (t) => {
    const { tasks } = await plan([{ title: 'a' }])
    const { body } = await call('PUT', '/tasks/bulk', { tasks: [{ id: tasks[0].id }] })
    t.same(body, { updated: tasks, not_found: [] })
  })

  await t.test('a bulk update with one invalid item returns 422 and changes nothing', async (t) => {
    const { tasks } = await plan([{ title: 'a' }, { title: 'b' }])
    const { status, body } = await call('PUT', '/tasks/bulk', {
      tasks: [
        { id: tasks[0].id, title: 'x' },
        { id: tasks[1].id, title: '' },
      ],
    })
    t.equal(status, 422)
    t.equal(body.errors[0].path, 'tasks[1].title')
    t.equal((await call('GET', `/tasks/${tasks[0].id}`)).body.title, 'a')
  })

  await t.test('a bulk delete deletes the given tasks and no others', async (t) => {
    const { tasks } = await plan([{ title: 'a' }, { title: 'b' }, { title: 'c' }])
    const [a, b, c] = tasks.map((task: { id: string }) => task.id)
    const unknown = randomUUID()
    const { status, body } = await call('DELETE', '/tasks/bulk', { ids: [c, unknown, a, c, unknown] })
    t.equal(status, 200)
    t.same(body, { deleted_count: 2, not_found: [unknown] })
    t.same(
      (await call('GET', '/tasks')).body.items.map((task: { id: string }) => task.id),
      [b],
    )
    const posted = await call('POST', '/tasks/bulk-delete', { ids: [unknown, b, a] })
    t.match(posted, { status: 200, body: { deleted_count: 1, not_found: [unknown, a] } }, 'by POST as well')
  })

  await t.test('bulk calls take 1 to 500 items', async (t) => {
    const { tasks } = await plan(Array.from({ length: 500 }, (_, i) => ({ title: `${i}` })))
    const ids = tasks.map((task: { id: string }) => task.id)
    const patches = ids.map((id: string) => ({ id, status: 'completed' }))
    const { body } = await call('PUT', '/tasks/bulk', { tasks: patches })
    t.same(
      body.updated.map((task: { id: string }) => task.id),
      ids,
    )
    for (const tasks of [[], [...patches, { id: randomUUID() }]]) {
      const { status, body } = await call('PUT', '/tasks/bulk', { tasks })
      t.equal(status, 422)
      t.equal(body.errors[0].path, 'tasks')
    }
    for (const few of [[], [...ids, randomUUID()]]) {
      t.equal((await call('DELETE', '/tasks/bulk', { ids: few })).status, 422)
    }
    t.equal((await call('DELETE', '/tasks/bulk', { ids })).body.deleted_count, 500)
  })
})
