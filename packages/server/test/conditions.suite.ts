import { randomUUID } from 'node:crypto'
import { onEachDatabase } from './support.js'

const ifMatch = (tags: string) => ({ headers: { 'if-match': tags } })
const ifNoneMatch = (tags: string) => ({ headers: { 'if-none-match': tags } })
const LONG_AGO = '"2001-01-01T00:00:00.000Z"'

onEachDatabase(async (t, { call, plan }) => {
  const newTask = async () => (await plan([{ title: 'a' }])).tasks[0]

  await t.test('the ETag of a single task is its updated_at in quotes', async (t) => {
    const created = await call('POST', '/tasks', { title: 'a' })
    const path = `/tasks/${created.body.id}`
    for (const response of [created, await call('GET', path), await call('PUT', path, { title: 'b' })]) {
      t.equal(response.headers.etag, `"${response.body.updated_at}"`)
    }
  })

  await t.test(
    'an If-Match with the updated_at from a list succeeds, and the next change needs the new ETag',
    async (t) => {
      const { session_id } = await newTask()
      const { id, updated_at } = (await call('GET', `/tasks?session_id=${session_id}`)).body.items[0]
      const changed = await call('PUT', `/tasks/${id}`, { status: 'completed' }, ifMatch(`"${updated_at}"`))
      t.match(changed, { status: 200, body: { status: 'completed' } })
      const next = changed.headers.etag!
      t.not(next, `"${updated_at}"`)
      t.equal((await call('DELETE', `/tasks/${id}`, undefined, ifMatch(next))).status, 204)
    },
  )

  await t.test('an If-Match with an old version returns 412 and the current task', async (t) => {
    const { id, updated_at } = await newTask()
    const path = `/tasks/${id}`
    const current = (await call('PUT', path, { title: 'changed by another' })).body
    for (const [method, body] of [
      ['PUT', { title: 'mine' }],
      ['PUT', {}],
      ['DELETE', undefined],
    ] as const) {
      const refused = await call(method, path, body, ifMatch(`"${updated_at}"`))
      t.match(refused, { status: 412, body: { error_code: 'task_changed' } })
      t.strictSame(refused.body.current, current)
      t.equal(refused.headers.etag, `"${current.updated_at}"`)
    }
    t.strictSame((await call('GET', path)).body, current)
  })

  await t.test('each change has its own version, also within the same millisecond', async (t) => {
    const { id } = await newTask()
    const changes = await Promise.all(
      Array.from({ length: 20 }, (_, n) => call('PUT', `/tasks/${id}`, { title: `${n}` })),
    )
    t.equal(new Set(changes.map(({ headers }) => headers.etag)).size, 20)
  })

  await t.test('of many concurrent changes to the same version, one succeeds', async (t) => {
    for (let round = 0; round < 5; round++) {
      const { id, updated_at } = await newTask()
      const responses = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          call('PUT', `/tasks/${id}`, { title: `${n}` }, ifMatch(`"${updated_at}"`)),
        ),
      )
      const statuses = responses.map(({ status }) => status).sort()
      t.strictSame(statuses, [200, ...Array(19).fill(412)])
      const winner = responses.find(({ status }) => status === 200)!
      t.strictSame((await call('GET', `/tasks/${id}`)).body, winner.body)
    }
  })

  await t.test(
    'If-Match matches if any of its tags does, * always matches and a weak tag never does',
    async (t) => {
      const { id, updated_at } = await newTask()
      const put = async (tags: string) => (await call('PUT', `/tasks/${id}`, {}, ifMatch(tags))).status
      t.equal(await put(`${LONG_AGO}, "${updated_at}"`), 200)
      t.equal(await put('*'), 200)
      t.equal(await put(LONG_AGO), 412)
      t.equal(await put(`W/"${updated_at}"`), 412)
    },
  )

  await t.test('an unknown task returns 404 whatever its If-Match', async (t) => {
    for (const tags of ['*', LONG_AGO]) {
      for (const [method, body] of [
        ['PUT', {}],
        ['DELETE', undefined],
      ] as const) {
        t.match(await call(method, `/tasks/${randomUUID()}`, body, ifMatch(tags)), {
          status: 404,
          body: { error_code: 'task_not_found' },
        })
      }
    }
  })

  await t.test('a read ignores If-None-Match: is_ready changes without a new version', async (t) => {
    const { tasks } = await plan([
      { key: 'a', title: 'a' },
      { title: 'b', blocked_by: ['a'] },
    ])
    const [blocker, { id, updated_at }] = tasks
    for (const tags of [`"${updated_at}"`, `W/"${updated_at}"`, '*', 'malformed']) {
      const { status, body, headers } = await call('GET', `/tasks/${id}`, undefined, ifNoneMatch(tags))
      t.match(
        { status, body, etag: headers.etag },
        { status: 200, body: { id }, etag: `"${updated_at}"` },
        tags,
      )
    }
    await call('PUT', `/tasks/${blocker.id}`, { status: 'completed' })
    const { body } = await call('GET', `/tasks/${id}`, undefined, ifNoneMatch(`"${updated_at}"`))
    t.match(body, { is_ready: true, updated_at })
  })

  await t.test('a malformed condition returns 422 and names the format', async (t) => {
    const { id, updated_at } = await newTask()
    for (const tags of [updated_at, '', '"a', '"a" "b"', 'W/a', '*, "a"']) {
      const response = await call('PUT', `/tasks/${id}`, {}, ifMatch(tags))
      t.equal(response.status, 422, tags)
      t.match(response.body.errors, [{ in: 'header', message: /updated_at of the task in double quotes/ }])
    }
  })

  await t.test('a condition that an operation cannot keep returns 422, and nothing changes', async (t) => {
    const { id, session_id, updated_at } = await newTask()
    const path = `/tasks/${id}`
    const create = { title: 'b', session_id }
    const refused: [string, string, object | undefined, string[]][] = [
      [
        'PUT',
        '/tasks/bulk',
        { tasks: [{ id, title: 'b' }] },
        ['if-match', 'if-none-match', 'if-unmodified-since'],
      ],
      ['DELETE', '/tasks/bulk', { ids: [id] }, ['if-match', 'if-none-match', 'if-unmodified-since']],
      ['POST', '/tasks', create, ['if-match', 'if-none-match', 'if-unmodified-since']],
      [
        'POST',
        '/batches',
        { session_id, tasks: [create] },
        ['if-match', 'if-none-match', 'if-unmodified-since'],
      ],
      ['PUT', path, { title: 'b' }, ['if-none-match', 'if-unmodified-since']],
      ['DELETE', path, undefined, ['if-none-match', 'if-unmodified-since']],
      ['GET', path, undefined, ['if-match']],
      ['GET', '/tasks', undefined, ['if-match']],
      ['GET', '/batches/latest', undefined, ['if-match']],
    ]
    for (const [method, url, body, names] of refused) {
      for (const name of names) {
        const value = name === 'if-unmodified-since' ? 'Sat, 06 Dec 2025 10:00:00 GMT' : `"${updated_at}"`
        const response = await call(method, url, body, { headers: { [name]: value } })
        t.equal(response.status, 422, `${method} ${url} ${name}`)
        t.match(response.body.errors, [
          { in: 'header', path: name, message: /^is not supported.*Remove it\./ },
        ])
      }
    }
    const both = await call('POST', '/tasks', create, { headers: { 'if-match': '*', 'if-none-match': '*' } })
    t.equal(both.body.error_count, 2)
    const left = (await call('GET', `/tasks?session_id=${session_id}`)).body.items
    t.match(left, [{ id, title: 'a', updated_at }])
    t.equal(left.length, 1)
  })

  await t.test('a list ignores If-None-Match and dates, since it has no version', async (t) => {
    for (const name of ['if-none-match', 'if-modified-since', 'if-unmodified-since'])
      t.equal((await call('GET', '/tasks', undefined, { headers: { [name]: '*' } })).status, 200, name)
  })
})
