import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { pino } from 'pino'
import { createApi, onEachDatabase } from './support.js'

onEachDatabase(async (t, { call, plan, clear, database, app }) => {
  t.beforeEach(clear)

  const get = async (id: string) => (await call('GET', `/tasks/${id}`)).body
  const claimNew = async (tasks: object[] = [{ title: 'a' }]) => {
    const { session_id } = await plan(tasks)
    const { body } = await call('POST', '/tasks/claim', { worker: 'one', session_id })
    return { session_id, ...body, id: body.task.id as string, token: body.lease.token as string }
  }
  const withToken = (token: string) => ({ headers: { 'lease-token': token } })
  const expire = (id: string) =>
    database.db.execute(sql`update tasks set lease_expires_at = now() - interval '1 second' where id = ${id}`)

  await t.test('a renewed lease lasts lease_seconds from now, and the task has no new version', async (t) => {
    const { id, token, task } = await claimNew()
    await expire(id)
    const { status, body } = await call('POST', `/tasks/${id}/renew`, { token, lease_seconds: 86_400 })
    t.equal(status, 200)
    t.match(body, { task: { id, updated_at: task.updated_at, attempts: 1 }, lease: { token } })
    const lasts = Date.parse(body.lease.expires_at) - Date.parse(task.updated_at)
    t.ok(lasts >= 86_400_000 && lasts < 86_460_000, `${lasts} ms`)
    t.same(await get(id), body.task)
  })

  await t.test('a released task is pending again and can be deferred', async (t) => {
    const { id, token, session_id } = await claimNew()
    const { status, body, headers } = await call('POST', `/tasks/${id}/release`, { token })
    t.equal(status, 200)
    t.match(body, {
      status: 'pending',
      claimed_by: null,
      lease_expires_at: null,
      attempts: 1,
      is_ready: true,
    })
    t.equal(headers.etag, `"${body.updated_at}"`)
    t.same(await get(id), body)
    const again = (await call('POST', '/tasks/claim', { worker: 'two', session_id })).body
    const not_before = '2099-01-01T09:00:00+09:00'
    const deferred = await call('POST', `/tasks/${id}/release`, { token: again.lease.token, not_before })
    t.match(deferred.body, { not_before: '2099-01-01T00:00:00.000Z', is_ready: false, attempts: 2 })
  })

  await t.test(
    'a token that does not hold the task is 409 lease_lost with the current task, and changes nothing',
    async (t) => {
      const { id, session_id, token: old } = await claimNew([{ title: 'a' }, { title: 'b' }])
      await expire(id)
      const { body } = await call('POST', '/tasks/claim', { worker: 'two', session_id })
      t.match(body.task, { id, claimed_by: 'two', attempts: 2 })
      for (const token of [old, randomUUID()]) {
        for (const [method, path, changes, init] of [
          ['POST', `/tasks/${id}/renew`, { token }],
          ['POST', `/tasks/${id}/release`, { token }],
          ['POST', '/tasks/claim', { worker: 'one', done: { task_id: id, token } }],
          ['PUT', `/tasks/${id}`, { status: 'completed', result: 'late' }, withToken(token)],
          ['PATCH', `/tasks/${id}`, { title: 'late' }, withToken(token)],
          ['PUT', `/tasks/${id}`, {}, withToken(token)],
          ['DELETE', `/tasks/${id}`, undefined, withToken(token)],
        ] as const) {
          const response = await call(method, path, changes, init)
          t.match(response, { status: 409, body: { error_code: 'lease_lost' } }, `${method} ${path}`)
          t.same(response.body.current, body.task)
        }
      }
      t.same(await get(id), body.task)
      for (const path of [`/tasks/${randomUUID()}/renew`, `/tasks/${randomUUID()}/release`])
        t.match(await call('POST', path, { token: old }), {
          status: 404,
          body: { error_code: 'task_not_found' },
        })
      const unknown = await call('PUT', `/tasks/${randomUUID()}`, {}, withToken(old))
      t.equal(unknown.status, 404)
    },
  )

  await t.test('a write with the current token keeps the lease, and completing ends it', async (t) => {
    const { id, token, task } = await claimNew()
    const { title, claimed_by, lease_expires_at } = (
      await call('PUT', `/tasks/${id}`, { title: 'b', status: 'in_progress' }, withToken(token.toUpperCase()))
    ).body
    t.same([title, claimed_by, lease_expires_at], ['b', 'one', task.lease_expires_at])
    const completed = await call(
      'PATCH',
      `/tasks/${id}`,
      { status: 'completed', result: 'r' },
      withToken(token),
    )
    t.match(completed.body, { status: 'completed', claimed_by: null, lease_expires_at: null, result: 'r' })
    const again = await call('PUT', `/tasks/${id}`, { status: 'completed' }, withToken(token))
    t.equal(again.body.error_code, 'lease_lost')
    const other = await claimNew()
    t.equal((await call('DELETE', `/tasks/${other.id}`, undefined, withToken(other.token))).status, 204)
  })

  await t.test(
    'an expired lease that nobody took is still current: the task is ready, and its holder can finish',
    async (t) => {
      const { id, token, session_id } = await claimNew()
      await expire(id)
      t.match(await get(id), { status: 'in_progress', claimed_by: 'one', is_ready: true })
      t.match((await call('GET', `/sessions/${session_id}`)).body.progress, { in_progress: 1, ready: 1 })
      const completed = await call('PUT', `/tasks/${id}`, { status: 'completed' }, withToken(token))
      t.equal(completed.status, 200)
      const other = await claimNew()
      await expire(other.id)
      const done = await call('POST', '/tasks/claim', {
        worker: 'one',
        done: { task_id: other.id, token: other.token },
      })
      t.match(done.body, { task: null, progress: { completed: 1 } })
    },
  )

  await t.test(
    'a write without the header works as before, and ends the lease if it sets a status',
    async (t) => {
      const { id, token, task } = await claimNew()
      t.match((await call('PUT', `/tasks/${id}`, { title: 'b' })).body, { title: 'b', claimed_by: 'one' })
      t.equal((await call('POST', `/tasks/${id}/renew`, { token })).status, 200)
      for (const status of ['pending', 'in_progress', 'completed']) {
        const claimed = await claimNew()
        const body = (await call('PUT', `/tasks/${claimed.id}`, { status })).body
        t.match(body, { status, claimed_by: null, lease_expires_at: null })
        t.equal((await call('POST', `/tasks/${claimed.id}/renew`, { token: claimed.token })).status, 409)
      }
      const bulk = await call('PUT', '/tasks/bulk', { tasks: [{ id, status: 'in_progress' }] })
      t.match(bulk.body.updated, [{ id, claimed_by: null }])
      t.equal(task.claimed_by, 'one')
    },
  )

  await t.test('Lease-Token and If-Match are both checked, and the version comes first', async (t) => {
    const { id, token, task } = await claimNew()
    const put = (tag: string, lease: string) =>
      call('PUT', `/tasks/${id}`, {}, { headers: { 'if-match': `"${tag}"`, 'lease-token': lease } })
    t.equal((await put('2001-01-01T00:00:00.000Z', token)).body.error_code, 'task_changed')
    t.equal((await put('2001-01-01T00:00:00.000Z', randomUUID())).body.error_code, 'task_changed')
    t.equal((await put(task.updated_at, randomUUID())).body.error_code, 'lease_lost')
    t.equal((await put(task.updated_at, token)).status, 200)
  })

  await t.test(
    'a Lease-Token that is malformed, or on an operation that ignores it, returns 422',
    async (t) => {
      const { id, session_id } = await claimNew()
      const malformed = await call('PUT', `/tasks/${id}`, {}, withToken('1'))
      t.match(malformed, {
        status: 422,
        body: { errors: [{ in: 'header', path: 'lease-token', message: /UUID/ }] },
      })
      for (const [method, path, body] of [
        ['PUT', '/tasks/bulk', { tasks: [{ id }] }],
        ['DELETE', '/tasks/bulk', { ids: [id] }],
        ['POST', '/tasks', { title: 'a' }],
        ['POST', '/tasks/claim', { worker: 'one', session_id }],
        ['POST', `/tasks/${id}/renew`, { token: randomUUID() }],
      ] as const) {
        const response = await call(method, path, body, withToken(randomUUID()))
        t.match(
          response,
          { status: 422, body: { errors: [{ in: 'header', path: 'lease-token' }] } },
          `${method} ${path}`,
        )
      }
    },
  )

  await t.test('a token is in the response of a claim or renewal and nowhere else', async (t) => {
    const lines: string[] = []
    const logger = pino({ level: 'trace' }, { write: (line) => lines.push(line) })
    const logged = await createApi(database, {}, logger)
    const { session_id, tasks, id: batch_id } = await plan([{ title: 'a' }, { title: 'b' }])
    const { body } = await logged.call('POST', '/tasks/claim', { worker: 'one', session_id })
    const { token } = body.lease
    const id = body.task.id
    const texts: string[] = []
    for (const [method, path, given, init] of [
      ['GET', `/tasks/${id}`],
      ['GET', `/tasks?session_id=${session_id}`],
      ['GET', `/batches/${batch_id}`],
      ['GET', '/batches'],
      ['GET', `/sessions/${session_id}`],
      ['PUT', `/tasks/${id}`, { title: 'c' }, withToken(token)],
      ['PUT', '/tasks/bulk', { tasks: [{ id, title: 'd' }] }],
      ['POST', `/tasks/${id}/claim`, { worker: 'two' }],
      ['POST', `/tasks/${tasks[1].id}/renew`, { token }],
      ['POST', `/tasks/${id}/renew`, { token, lease_seconds: 1 }],
      ['POST', `/tasks/${id}/release`, { token, not_before: 'x' }],
      ['POST', '/tasks/claim', { worker: 'one', done: { task_id: tasks[1].id, token } }],
      ['POST', `/tasks/${id}/release`, { token }],
    ] as const) {
      texts.push((await logged.call(method, path, given, init)).text)
    }
    texts.push((await app.inject('/metrics')).body)
    for (const text of texts) t.notMatch(text, token)
    await logged.app.close()
    t.ok(lines.length >= texts.length - 1)
    t.notMatch(lines.join(''), token)
  })
})
