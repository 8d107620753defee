import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { onEachDatabase } from './support.js'

onEachDatabase(async (t, { call, plan, clear, database }) => {
  t.beforeEach(clear)

  const claim = async (body: object) => (await call('POST', '/tasks/claim', { worker: 'one', ...body })).body
  const complete = (id: string) => call('PUT', `/tasks/${id}`, { status: 'completed' })
  const get = async ({ id }: { id: string }) => (await call('GET', `/tasks/${id}`)).body
  /** Lets the lease of a task expire, by the clock of the database. */
  const expire = ({ id }: { id: string }) =>
    database.db.execute(sql`update tasks set lease_expires_at = now() - interval '1 second' where id = ${id}`)

  await t.test(
    'claims take the highest priority first, then the plan in its order, each task once',
    async (t) => {
      const session_id = randomUUID()
      await plan([{ title: '3', priority: 'low' }, { title: '1' }, { title: '2' }], session_id)
      await plan(
        [
          { title: 'c', priority: 'high' },
          { title: 'b', priority: 'medium' },
          { title: 'd', priority: 'high' },
        ],
        session_id,
      )
      const titles: string[] = []
      for (;;) {
        const { task } = await claim({ session_id })
        if (task === null) break
        titles.push(task.title)
      }
      t.equal(titles.join(''), 'cdb312')
    },
  )

  await t.test('a claimed task is in progress under a lease of this worker', async (t) => {
    const { tasks, session_id } = await plan([{ title: 'a' }])
    const [before] = tasks
    const { task, lease, progress } = await claim({ session_id, lease_seconds: 10 })
    t.match(task, { id: before.id, status: 'in_progress', attempts: 1, claimed_by: 'one', is_ready: false })
    t.equal(task.lease_expires_at, lease.expires_at)
    t.equal(Date.parse(lease.expires_at) - Date.parse(task.updated_at), 10_000)
    t.ok(task.updated_at > before.updated_at)
    t.equal(progress, null)
    t.same(await get(task), task)
    const usual = await claim({ session_id: (await plan([{ title: 'a' }])).session_id })
    t.equal(
      Date.parse(usual.lease.expires_at) - Date.parse(usual.task.updated_at),
      900_000,
      '900 s by default',
    )
  })

  await t.test(
    'blocked, deferred, completed and claimed tasks are left out, and progress counts them',
    async (t) => {
      const session_id = randomUUID()
      const { tasks } = await plan(
        [
          { key: 'a', title: 'a' },
          { title: 'blocked', blocked_by: ['a'] },
          { title: 'blocked and deferred', blocked_by: ['a'], not_before: '2099-01-01' },
          { title: 'deferred', not_before: '2099-01-01', due_date: '2020-01-01' },
          { title: 'by hand', status: 'in_progress' },
          { title: 'done', status: 'completed', due_date: '2020-01-01' },
        ],
        session_id,
      )
      t.equal((await claim({ session_id })).task.title, 'a')
      const { task, lease, progress } = await claim({ session_id })
      t.same([task, lease], [null, null])
      t.match(progress, {
        total: 6,
        pending: 3,
        in_progress: 2,
        completed: 1,
        ready: 0,
        blocked: 2,
        deferred: 1,
        overdue: 1,
        percent: 16,
      })
      await complete(tasks[0].id)
      t.equal((await claim({ session_id })).task.title, 'blocked')
      await call('PUT', `/tasks/${tasks[3].id}`, { not_before: '2020-01-01' })
      t.equal((await claim({ session_id })).task.title, 'deferred')
    },
  )

  await t.test('a claim takes tasks of its session and of its batch only', async (t) => {
    const session_id = randomUUID()
    const first = await plan([{ title: 'first' }], session_id)
    const second = await plan([{ title: 'second' }], session_id)
    const withoutSession = (await call('POST', '/batches', { tasks: [{ title: 'third' }] })).body
    t.equal((await claim({ batch_id: second.id.toUpperCase() })).task.title, 'second')
    t.equal((await claim({ batch_id: withoutSession.id })).task.title, 'third')
    const other = randomUUID()
    t.match(await claim({ session_id: other }), { task: null, progress: { total: 0, percent: 0 } })
    t.equal((await claim({ session_id: other, batch_id: first.id })).task, null)
    t.equal((await claim({ session_id: session_id.toUpperCase() })).task.title, 'first')
    t.match(await call('POST', '/tasks/claim', { worker: 'one', batch_id: randomUUID() }), {
      status: 404,
      body: { error_code: 'batch_not_found' },
    })
    const nowhere = await call('POST', '/tasks/claim', { worker: 'one' })
    t.match(nowhere, {
      status: 422,
      body: { errors: [{ path: 'session_id', message: /is required, unless/ }] },
    })
  })

  await t.test('max_attempts leaves out tasks that were claimed that often', async (t) => {
    const { tasks, session_id } = await plan([
      { title: 'kills its workers', priority: 'high' },
      { title: 'b' },
    ])
    for (let attempts = 1; attempts <= 2; attempts++) {
      const { task } = await claim({ session_id, max_attempts: 2 })
      t.match(task, { id: tasks[0].id, attempts })
      await expire(task)
    }
    t.equal((await claim({ session_id, max_attempts: 2 })).task.title, 'b')
    t.match(await claim({ session_id, max_attempts: 2 }), { task: null, progress: { ready: 1 } })
    t.match(await claim({ session_id }), { task: { id: tasks[0].id, attempts: 3 } })
  })

  await t.test('done completes a task and claims the next, also one that waited for it', async (t) => {
    const { session_id } = await plan([
      { key: 'a', title: 'a', metadata: { kept: 1, gone: 2 } },
      { key: 'b', title: 'b', blocked_by: ['a'] },
      { title: 'c', blocked_by: ['b', 'a'] },
    ])
    let { task, lease } = await claim({ session_id })
    const titles = [task.title]
    while (task) {
      const done = {
        task_id: task.id.toUpperCase(),
        token: lease.token.toUpperCase(),
        result: `result of ${task.title}`,
        metadata: { gone: null },
      }
      const next = await claim({ done })
      t.match(await get(task), {
        status: 'completed',
        result: done.result,
        claimed_by: null,
        lease_expires_at: null,
      })
      if (next.task === null) t.match(next.progress, { total: 3, completed: 3, percent: 100 })
      else titles.push(next.task.title)
      ;({ task, lease } = next)
    }
    t.equal(titles.join(''), 'abc')
    const { items } = (await call('GET', `/tasks?session_id=${session_id}&sort_by=created_at&order=asc`)).body
    t.same(items[0].metadata, { kept: 1 })
  })

  await t.test('done without a result keeps the result, and with null clears it', async (t) => {
    const { session_id } = await plan([
      { title: 'a', result: 'kept' },
      { title: 'b', result: 'cleared' },
    ])
    const a = await claim({ session_id })
    const b = await claim({ done: { task_id: a.task.id, token: a.lease.token } })
    await claim({ done: { task_id: b.task.id, token: b.lease.token, result: null } })
    t.equal((await get(a.task)).result, 'kept')
    t.equal((await get(b.task)).result, null)
  })

  await t.test(
    'the next of a done task comes from the scope of the claim, its session, or else its batch',
    async (t) => {
      const [session_id, other] = [randomUUID(), randomUUID()]
      await plan([{ title: 'a1' }, { title: 'a2' }], session_id)
      await plan([{ title: 'b1' }], other)
      const a1 = await claim({ session_id })
      const done = ({ task, lease }: any) => ({ task_id: task.id, token: lease.token })
      const b1 = await claim({ session_id: other, done: done(a1) })
      t.equal(b1.task.title, 'b1')
      t.match(await claim({ done: done(b1) }), { task: null, progress: { total: 1, completed: 1 } })

      const alone = (await call('POST', '/tasks', { title: 'alone' })).body
      await call('POST', '/tasks', { title: 'alone, too' })
      const batch = (await call('POST', '/batches', { tasks: [{ title: 'c1' }, { title: 'c2' }] })).body
      const c1 = await claim({ batch_id: batch.id })
      t.equal((await claim({ done: done(c1) })).task.title, 'c2')
      const single = (await call('POST', `/tasks/${alone.id}/claim`, { worker: 'one' })).body
      t.match(await claim({ done: done(single) }), { task: null, progress: { total: 0 } })
      t.equal((await get(alone)).status, 'completed')
    },
  )

  await t.test('done with a lost lease completes nothing and claims nothing', async (t) => {
    const { session_id } = await plan([{ title: 'a' }, { title: 'b' }])
    const { task, lease } = await claim({ session_id })
    for (const [done, status, error_code] of [
      [{ task_id: task.id, token: randomUUID() }, 409, 'lease_lost'],
      [{ task_id: randomUUID(), token: lease.token }, 404, 'task_not_found'],
    ] as const) {
      for (const scope of [{}, { session_id }, { session_id, resume: true }]) {
        const response = await call('POST', '/tasks/claim', { worker: 'one', ...scope, done })
        t.match(response, { status, body: { error_code } })
        if (status === 409) t.same(response.body.current, task)
      }
    }
    t.match((await call('GET', `/sessions/${session_id}`)).body.progress, { in_progress: 1, pending: 1 })
  })

  await t.test('done is 409 task_blocked when a blocker was reopened, and the lease stays', async (t) => {
    const { tasks, session_id } = await plan([
      { key: 'a', title: 'a', status: 'completed' },
      { title: 'b', blocked_by: ['a'] },
    ])
    const { task, lease } = await claim({ session_id })
    await call('PUT', `/tasks/${tasks[0].id}`, { status: 'pending' })
    const response = await call('POST', '/tasks/claim', {
      worker: 'one',
      done: { task_id: task.id, token: lease.token },
    })
    t.match(response, {
      status: 409,
      body: { error_code: 'task_blocked', open_blockers: [{ id: tasks[0].id }] },
    })
    t.same(await get(task), task)
  })

  await t.test(
    'resume returns the task of the worker with a new token, and does not count as an attempt',
    async (t) => {
      const { session_id } = await plan([{ title: 'a' }, { title: 'b' }])
      const first = await claim({ session_id })
      const again = await claim({ session_id, resume: true })
      t.match(again.task, { id: first.task.id, attempts: 1 })
      t.not(again.lease.token, first.lease.token)
      const renew = (token: string) => call('POST', `/tasks/${first.task.id}/renew`, { token })
      t.match(await renew(first.lease.token), { status: 409, body: { error_code: 'lease_lost' } })
      t.equal((await renew(again.lease.token)).status, 200)

      await expire(first.task)
      t.match((await claim({ session_id, resume: true })).task, { id: first.task.id, attempts: 1 })
      t.match((await claim({ session_id, resume: true, worker: 'two' })).task, {
        title: 'b',
        claimed_by: 'two',
      })
      const latest = await claim({ session_id, resume: true })
      t.equal(latest.task.id, first.task.id, 'each worker has its own')
      const done = { task_id: latest.task.id, token: latest.lease.token }
      t.match(await claim({ resume: true, done }), { task: null, progress: { completed: 1, in_progress: 1 } })
    },
  )

  await t.test(
    'resume returns the latest of several tasks, in the session or batch that is named',
    async (t) => {
      const session_id = randomUUID()
      const { id: batch_id } = await plan([{ title: 'a' }], session_id)
      await plan([{ title: 'b' }], session_id)
      await claim({ session_id })
      await claim({ session_id })
      t.equal((await claim({ session_id, resume: true })).task.title, 'b')
      t.equal((await claim({ batch_id, resume: true })).task.title, 'a')
      t.equal((await claim({ session_id, resume: true })).task.title, 'a', 'that was the latest now')
    },
  )

  await t.test('a task can be claimed by its id, also before its not_before', async (t) => {
    const { tasks } = await plan([{ title: 'a', not_before: '2099-01-01' }])
    const { status, body } = await call('POST', `/tasks/${tasks[0].id.toUpperCase()}/claim`, {
      worker: 'one',
    })
    t.equal(status, 200)
    t.match(body, { task: { id: tasks[0].id, claimed_by: 'one', attempts: 1 }, lease: { token: String } })
    t.same(Object.keys(body).sort(), ['lease', 'task'])
  })

  await t.test('a task that cannot be claimed by its id says why, and who has it', async (t) => {
    const { tasks } = await plan([
      { key: 'a', title: 'a' },
      { title: 'b', blocked_by: ['a'] },
      { title: 'c', status: 'completed' },
      { title: 'd', status: 'in_progress' },
    ])
    const [a, b, c, d] = tasks
    const claimOne = ({ id }: { id: string }, worker = 'two') =>
      call('POST', `/tasks/${id}/claim`, { worker })
    const held = (await claimOne(a, 'one')).body.task
    const refused = (response: unknown, error_code: string, detail: RegExp) =>
      t.match(response, { status: error_code === 'task_not_found' ? 404 : 409, body: { error_code, detail } })
    const byAnother = await claimOne(a)
    refused(byAnother, 'task_claimed', /^Worker `one` holds this task until 20/)
    t.same(byAnother.body.current, held)
    refused(await claimOne(a, 'one'), 'task_claimed', /^This worker holds the task already.*"resume": true/)
    refused(await claimOne(d), 'task_claimed', /^Someone works on this task without a lease/)
    const blocked = await claimOne(b)
    refused(blocked, 'task_blocked', /`b` waits for 1 task that is not completed: `a`/)
    t.match(blocked.body.open_blockers, [{ id: a.id, key: 'a', status: 'in_progress' }])
    refused(await claimOne(c), 'task_completed', /nothing to claim/)
    refused(await claimOne({ id: randomUUID() }), 'task_not_found', /No task has this id/)
    await expire(a)
    t.match(await claimOne(a), { status: 200, body: { task: { claimed_by: 'two', attempts: 2 } } })
  })

  await t.test('a claim with an Idempotency-Key claims once, and returns the same claim again', async (t) => {
    const { session_id } = await plan([{ title: 'a' }, { title: 'b' }])
    const keyed = (key: string, body: object) =>
      call('POST', '/tasks/claim', { worker: 'one', ...body }, { headers: { 'idempotency-key': key } })
    const first = await keyed('1', { session_id })
    const again = await keyed('1', {
      session_id: session_id.toUpperCase(),
      lease_seconds: 900,
      resume: false,
    })
    t.equal(again.headers['idempotency-replayed'], 'true')
    t.same(again.body, first.body)
    t.equal((await keyed('1', { session_id, lease_seconds: 60 })).body.error_code, 'idempotency_key_reused')
    const done = { task_id: first.body.task.id, token: first.body.lease.token, result: 'r' }
    const next = await keyed('2', { done })
    t.same((await keyed('2', { done })).body, next.body)
    t.match(next.body.task, { title: 'b', attempts: 1 })
    t.equal((await keyed('2', { done: { ...done, result: 's' } })).status, 422)
    const last = { task_id: next.body.task.id, token: next.body.lease.token }
    const end = await keyed('3', { done: last })
    t.same((await keyed('3', { done: last })).body, end.body)
    t.match(end.body, { task: null, progress: { completed: 2 } })
  })

  await t.test('a claim that found nothing asks again when it is retried with its key', async (t) => {
    const session_id = randomUUID()
    const keyed = () =>
      call('POST', '/tasks/claim', { worker: 'one', session_id }, { headers: { 'idempotency-key': 'wait' } })
    t.equal((await keyed()).body.task, null)
    await plan([{ title: 'a' }], session_id)
    t.equal((await keyed()).body.task.title, 'a')
    t.equal((await keyed()).body.task.title, 'a')
    t.equal((await get((await keyed()).body.task)).attempts, 1)
  })

  await t.test('an invalid claim returns 422 and names the limits', async (t) => {
    const session_id = randomUUID()
    const { id } = (await plan([{ title: 'a' }], session_id)).tasks[0]
    for (const [body, path, message] of [
      [{}, 'worker', 'is required'],
      [{ worker: '' }, 'worker', 'must not be empty'],
      [{ worker: ' \u3000' }, 'worker', 'must not be blank'],
      [{ worker: 'a\0' }, 'worker', 'must not contain NUL'],
      [{ worker: '\ud800' }, 'worker', 'unpaired surrogates'],
      [{ worker: 'a'.repeat(129) }, 'worker', 'at most 128'],
      [{ lease_seconds: 9 }, 'lease_seconds', 'from 10 to 86400'],
      [{ lease_seconds: 86_401 }, 'lease_seconds', 'from 10 to 86400'],
      [{ lease_seconds: 10.5 }, 'lease_seconds', 'whole number'],
      [{ lease_seconds: 1e300 }, 'lease_seconds', 'from 10 to 86400'],
      [{ max_attempts: 0 }, 'max_attempts', 'from 1 to 100'],
      [{ max_attempts: 101 }, 'max_attempts', 'from 1 to 100'],
      [{ resume: 'yes' }, 'resume', 'a boolean'],
      [{ session_id: null }, 'session_id', 'must be a string, not null'],
      [{ batch_id: '1' }, 'batch_id', 'UUID'],
      [{ done: { task_id: id } }, 'done.token', 'is required'],
      [{ done: { task_id: id, token: id, result: 'a'.repeat(4001) } }, 'done.result', 'at most 4000'],
      [{ done: { task_id: id, token: id, status: 'completed' } }, 'done.status', 'unknown field'],
      [{ agent: 'one' }, 'agent', 'unknown field'],
    ] as const) {
      const valid = 'agent' in body || Object.keys(body).length === 0 ? {} : { worker: 'one' }
      const response = await call('POST', '/tasks/claim', { ...valid, session_id, ...body })
      t.equal(response.status, 422, JSON.stringify(body))
      const found = response.body.errors.find((error: any) => error.path === path)
      t.match(found?.message, message, path)
      if ('agent' in body) t.equal(found.did_you_mean, 'worker')
    }
    t.equal((await get({ id })).status, 'pending')
  })

  await t.test('a worker has up to 128 characters of any language', async (t) => {
    const worker = '😀'.repeat(128)
    const { session_id } = await plan([{ title: 'a' }])
    t.equal((await claim({ worker, session_id })).task.claimed_by, worker)
  })
})
