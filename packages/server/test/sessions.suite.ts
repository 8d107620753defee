import { randomUUID } from 'node:crypto'
import { hashKey, makeKey } from '../src/access/keys.js'
import { createApi, onEachDatabase } from './support.js'

onEachDatabase(async (t, { call, plan, clear, database }) => {
  t.beforeEach(clear)
  const get = async (session_id: string) => (await call('GET', `/sessions/${session_id}`)).body

  await t.test('a session that nobody used has zeros and nulls', async (t) => {
    const session_id = randomUUID()
    t.same(await get(session_id.toUpperCase()), {
      session_id,
      progress: {
        total: 0,
        pending: 0,
        in_progress: 0,
        completed: 0,
        ready: 0,
        blocked: 0,
        deferred: 0,
        overdue: 0,
        percent: 0,
        last_activity_at: null,
      },
      next: null,
      in_progress: [],
      recent: [],
      notes: [],
      latest_batch: null,
    })
  })

  await t.test(
    'a session shows what a claim would take, what is in progress, and what came of the last tasks',
    async (t) => {
      const session_id = randomUUID()
      await plan([{ title: 'earlier' }], session_id)
      const batch = await plan(
        [
          { key: 'a', title: 'a', priority: 'high' },
          { title: 'b', priority: 'high', blocked_by: ['a'] },
          { title: 'c', priority: 'medium' },
        ],
        session_id,
      )
      await plan([{ title: 'of another session', priority: 'high' }])
      const before = await get(session_id)
      t.same(before.next, batch.tasks[0])
      const { id, reason, created_at } = batch
      t.same(before.latest_batch, { id, reason, created_at, progress: batch.progress })

      const { task, lease } = (await call('POST', '/tasks/claim', { worker: 'one', session_id })).body
      t.equal(task.id, before.next.id)
      const claimed = await get(session_id)
      t.same(claimed.in_progress, [task])
      t.equal(claimed.next.title, 'c')
      t.match(claimed.progress, { total: 4, pending: 3, in_progress: 1, ready: 2, blocked: 1 })

      const done = { task_id: task.id, token: lease.token, result: 'Pod nginx is running' }
      const next = (await call('POST', '/tasks/claim', { worker: 'one', done })).body.task
      const after = await get(session_id)
      t.match(after.recent, [{ id: task.id, result: 'Pod nginx is running', status: 'completed' }])
      t.same(after.in_progress, [next])
      t.match(after.progress, { completed: 1, percent: 25, last_activity_at: next.updated_at })
      t.match(after.latest_batch.progress, { total: 3, completed: 1, percent: 33 })
    },
  )

  await t.test(
    'a session lists the latest 10 tasks in progress and the last 5 that were completed',
    async (t) => {
      const { session_id, tasks } = await plan(Array.from({ length: 18 }, (_, n) => ({ title: `${n}` })))
      for (const [n, { id }] of tasks.entries())
        await call('PUT', `/tasks/${id}`, { status: n < 12 ? 'in_progress' : 'completed' })
      const { in_progress, recent, next } = await get(session_id)
      const titles = (listed: any[]) => listed.map(({ title }) => title).join()
      t.equal(titles(in_progress), '11,10,9,8,7,6,5,4,3,2')
      t.equal(titles(recent), '17,16,15,14,13')
      t.equal(next, null)
    },
  )

  await t.test('an invalid session id returns 422', async (t) => {
    for (const id of ['1', 'null', '%00', `${randomUUID()}0`]) {
      const { status, body } = await call('GET', `/sessions/${id}`)
      t.match({ status, body }, { status: 422, body: { errors: [{ in: 'path', path: 'session_id' }] } })
    }
  })

  await t.test('a caller that is bound to sessions can claim, read and block in these only', async (t) => {
    const [own, other] = [randomUUID(), randomUUID()]
    const secret = makeKey()
    const API_KEYS = JSON.stringify([
      { name: 'bound', hash: hashKey(secret), scopes: ['tasks:read', 'tasks:write'], sessions: [own] },
    ])
    const bound = await createApi(database, { API_KEYS })
    t.teardown(() => bound.app.close())
    const headers = { authorization: `Bearer ${secret}` }
    const as = (method: string, path: string, body?: unknown) => bound.call(method, path, body, { headers })
    const mine = await plan([{ title: 'mine' }], own)
    const theirs = await plan([{ title: 'theirs' }, { title: 'also theirs' }], other)
    const [theirTask] = theirs.tasks
    const { task, lease } = (await call('POST', '/tasks/claim', { worker: 'one', session_id: other })).body

    t.match((await as('GET', `/sessions/${other}`)).body, {
      progress: { total: 0 },
      next: null,
      notes: [],
      latest_batch: null,
    })
    t.match((await as('GET', `/sessions/${own}`)).body, { progress: { total: 1 }, next: { title: 'mine' } })
    const { token } = lease
    for (const [path, body, status] of [
      ['/tasks/claim', { worker: 'one', session_id: other }, 422],
      ['/tasks/claim', { worker: 'one', batch_id: theirs.id }, 404],
      ['/tasks/claim', { worker: 'one', done: { task_id: task.id, token } }, 404],
      [`/tasks/${theirTask.id}/claim`, { worker: 'one' }, 404],
      [`/tasks/${task.id}/renew`, { token }, 404],
      [`/tasks/${task.id}/release`, { token }, 404],
      [`/batches/${theirs.id}/tasks`, { tasks: [{ title: 'a' }] }, 404],
      ['/tasks', { title: 'a', blocked_by: [theirTask.id] }, 422],
      ['/tasks', { title: 'a', blocked_by: [theirTask.id], status: 'in_progress' }, 422],
    ] as const) {
      const response = await as('POST', path, body)
      t.equal(response.status, status, `${path} ${JSON.stringify(body)}`)
      t.notMatch(response.text, 'theirs')
    }
    t.same((await call('GET', `/tasks/${task.id}`)).body, task)
    t.match((await as('POST', '/tasks/claim', { worker: 'one' })).body.task, { id: mine.tasks[0].id })
  })
})
