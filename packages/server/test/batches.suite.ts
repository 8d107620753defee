import { randomUUID } from 'node:crypto'
import { onEachDatabase } from './support.js'

const titles = (tasks: { title: string }[]) => tasks.map((task) => task.title).join('')

onEachDatabase(async (t, { call, plan, clear }) => {
  t.beforeEach(clear)

  await t.test('a batch is created with all its tasks, in the order given', async (t) => {
    const session_id = randomUUID()
    const { status, body } = await call('POST', '/batches', {
      session_id,
      reason: 'Kubernetes 기초 학습을 위한 단계별 과제입니다.',
      tasks: [
        { title: 'Pod 개념 이해하기', priority: 'high' },
        { title: 'nginx Pod 생성하기', priority: 'high', due_date: '2025-12-31', description: 'kubectl run' },
        { title: 'Pod 로그 확인하기', priority: 'medium', status: 'completed' },
        { title: 'Pod 삭제하기', priority: 'low' },
      ],
    })
    t.equal(status, 201)
    t.match(body, {
      session_id,
      reason: 'Kubernetes 기초 학습을 위한 단계별 과제입니다.',
      tasks: [
        { title: 'Pod 개념 이해하기', priority: 'high', status: 'pending', completed_at: null },
        { title: 'nginx Pod 생성하기', due_date: '2025-12-31T00:00:00.000Z', description: 'kubectl run' },
        { title: 'Pod 로그 확인하기', status: 'completed', completed_at: body.created_at },
        { title: 'Pod 삭제하기', priority: 'low' },
      ],
    })
    t.equal(body.tasks.length, 4)
    for (const task of body.tasks)
      t.match(task, { session_id, batch_id: body.id, created_at: body.created_at })
    t.same((await call('GET', `/batches/${body.id}`)).body, body)
  })

  await t.test('session_id and reason of a batch are optional and may be null', async (t) => {
    for (const omitted of [{}, { session_id: null, reason: null }]) {
      const { status, body } = await call('POST', '/batches', { ...omitted, tasks: [{ title: 'a' }] })
      t.equal(status, 201)
      t.match(body, { session_id: null, reason: null, tasks: [{ session_id: null }] })
    }
  })

  await t.test(
    'tasks have the session of their batch, and a session_id in an item has no effect',
    async (t) => {
      const session_id = randomUUID()
      const batch = await plan(
        [
          { title: 'a', session_id: randomUUID() },
          { title: 'b', session_id: null },
        ],
        session_id,
      )
      t.same(
        batch.tasks.map((task: { session_id: string }) => task.session_id),
        [session_id, session_id],
      )
      const { body } = await call('POST', '/batches', { tasks: [{ title: 'a', session_id }] })
      t.equal(body.tasks[0].session_id, null)
    },
  )

  await t.test('a batch with one invalid task returns 422 and creates nothing', async (t) => {
    const tasks = [{ title: 'a' }, { title: 'b', status: 'done' }]
    const { status, body } = await call('POST', '/batches', { tasks })
    t.equal(status, 422)
    t.match(body.errors, [{ path: 'tasks[1].status', did_you_mean: 'completed' }])
    t.equal((await call('GET', '/batches')).body.total, 0)
    t.equal((await call('GET', '/tasks')).body.total, 0)
  })

  await t.test('a batch takes 1 to 500 tasks and keeps their order', async (t) => {
    const tasks = Array.from({ length: 500 }, (_, i) => ({ title: `${(i * 7919) % 500}` }))
    const batch = await plan(tasks)
    t.same(
      batch.tasks.map((task: { title: string }) => task.title),
      tasks.map((task) => task.title),
    )
    t.same((await call('GET', `/batches/${batch.id}`)).body, batch)
    for (const invalid of [[], [...tasks, { title: 'a' }]]) {
      const { status, body } = await call('POST', '/batches', { tasks: invalid })
      t.equal(status, 422)
      t.equal(body.errors[0].path, 'tasks')
    }
  })

  await t.test(
    'a batch returns the current state of its tasks, in order and without deleted ones',
    async (t) => {
      const batch = await plan([{ title: 'a' }, { title: 'b' }, { title: 'c' }, { title: 'd' }])
      const [a, b, , d] = batch.tasks
      await call('PUT', `/tasks/${d.id}`, { status: 'completed' })
      await call('PUT', '/tasks/bulk', { tasks: [{ id: a.id, title: 'A' }] })
      await call('DELETE', `/tasks/${b.id}`)
      for (const path of [`/batches/${batch.id}`, '/batches/latest']) {
        const { body } = await call('GET', path)
        t.equal(titles(body.tasks), 'Acd')
        t.equal(body.tasks[2].status, 'completed')
      }
      t.equal(titles((await call('GET', '/batches')).body.items[0].tasks), 'Acd')
      await call('DELETE', '/tasks/bulk', { ids: batch.tasks.map((task: { id: string }) => task.id) })
      const { progress } = (await call('GET', `/batches/${batch.id}`)).body
      t.match(progress, { total: 0, percent: 0, last_activity_at: null })
      t.same((await call('GET', `/batches/${batch.id}`)).body, { ...batch, progress, tasks: [] })
    },
  )

  await t.test('batches are listed newest first, with paging and a filter by session', async (t) => {
    const session_id = randomUUID()
    for (let i = 0; i < 12; i++) await plan([{ title: `${i}` }], i % 2 ? session_id : undefined)
    const first = (await call('GET', '/batches')).body
    t.match(first, { total: 12, page: 1, limit: 10, total_pages: 2, has_next: true, has_prev: false })
    t.same(
      first.items.map((batch: any) => batch.tasks[0].title),
      ['11', '10', '9', '8', '7', '6', '5', '4', '3', '2'],
    )
    const second = (await call('GET', '/batches?page=2')).body
    t.same(
      second.items.map((batch: any) => batch.tasks[0].title),
      ['1', '0'],
    )
    const ofSession = (await call('GET', `/batches?session_id=${session_id}&limit=4`)).body
    t.match(ofSession, { total: 6, limit: 4, total_pages: 2 })
    t.same(
      ofSession.items.map((batch: any) => batch.tasks[0].title),
      ['11', '9', '7', '5'],
    )
    t.match((await call('GET', '/batches?page=9')).body, {
      items: [],
      total: 12,
      has_next: false,
      has_prev: true,
    })
    t.match((await call('GET', `/batches?session_id=${randomUUID()}`)).body, {
      items: [],
      total: 0,
      total_pages: 0,
    })
  })

  await t.test('the latest batch is the newest of all or of one session, or null', async (t) => {
    const none = await call('GET', '/batches/latest')
    t.equal(none.status, 200)
    t.equal(none.text, 'null')
    const session_id = randomUUID()
    await plan([{ title: 'a' }], session_id)
    const latestOfSession = await plan([{ title: 'b' }], session_id)
    const latest = await plan([{ title: 'c' }])
    t.same((await call('GET', '/batches/latest')).body, latest)
    t.same((await call('GET', `/batches/latest?session_id=${session_id}`)).body, latestOfSession)
    t.equal((await call('GET', `/batches/latest?session_id=${randomUUID()}`)).text, 'null')
  })

  await t.test('an unknown batch returns 404', async (t) => {
    const { status, body } = await call('GET', `/batches/${randomUUID()}`)
    t.equal(status, 404)
    t.equal(body.error_code, 'batch_not_found')
    t.equal((await call('GET', `/tasks?batch_id=${randomUUID()}`)).body.total, 0)
  })
})
