import { randomUUID } from 'node:crypto'
import { type TProperties, Type } from '@sinclair/typebox'
import { sql } from 'drizzle-orm'
import postgres from 'postgres'
import t from 'tap'
import { openDatabase } from '../src/db/open.js'
import { normalizer } from '../src/idempotency/fingerprint.js'
import {
  createApi,
  onEachDatabase,
  options,
  sharedPostgres,
  skipPostgres,
  storesOf,
  type TestResponse,
} from './support.js'

const keyed = (key: string) => ({ headers: { 'idempotency-key': key } })
const replayed = ({ headers }: TestResponse) => headers['idempotency-replayed'] === 'true'

onEachDatabase(async (t, { call, clear, database }) => {
  const count = async (session_id: string) =>
    (await call('GET', `/tasks?session_id=${session_id}`)).body.total

  await t.test(
    'a retry with the same Idempotency-Key returns the first response and creates nothing',
    async (t) => {
      for (const [path, more] of [
        ['/tasks', { title: 'a' }],
        ['/batches', { reason: '이유', tasks: [{ title: 'a' }, { title: 'b', status: 'completed' }] }],
      ] as const) {
        const session_id = randomUUID()
        const body = { session_id, ...more }
        const key = `${session_id}:plan:1`
        const first = await call('POST', path, body, keyed(key))
        t.equal(first.status, 201)
        t.notOk(replayed(first))
        const created = await count(session_id)

        // The response stays the same even if the created task changes.
        const { id } = first.body.tasks?.[0] ?? first.body
        await call('PUT', `/tasks/${id}`, { title: 'changed' })
        const again = await call('POST', path, body, keyed(key))
        t.ok(replayed(again))
        t.equal(again.status, 201)
        t.equal(again.text, first.text)
        for (const name of ['etag', 'content-type']) t.equal(again.headers[name], first.headers[name], name)

        await call('DELETE', `/tasks/${id}`)
        t.equal((await call('POST', path, body, keyed(key))).text, first.text)
        t.equal(await count(session_id), created - 1, 'the deleted task stays deleted')
      }
    },
  )

  await t.test('quotes around a key and the order of fields make no difference', async (t) => {
    const session_id = randomUUID()
    const first = await call(
      'POST',
      '/tasks',
      { session_id, title: 'a', priority: 'high' },
      keyed(session_id),
    )
    const again = await call(
      'POST',
      '/tasks',
      { priority: 'high', title: 'a', session_id },
      keyed(`"${session_id}"`),
    )
    t.ok(replayed(again))
    t.equal(again.text, first.text)
    const escaped = await call('POST', '/tasks', { title: 'b' }, keyed(`"\\"${session_id}\\\\"`))
    t.equal(escaped.status, 201)
    t.notOk(replayed(escaped))
  })

  await t.test('two notations of the same request have the same fingerprint', async (t) => {
    const session_id = randomUUID()
    const due_date = '2025-12-31T00:00:00.000Z'
    const task = { title: 'a', due_date }
    const same: [string, object, ...object[]][] = [
      [
        '/tasks',
        { session_id, ...task },
        { session_id: session_id.toUpperCase(), ...task },
        { session_id, ...task, description: null, priority: null, status: 'pending' },
        { session_id, title: 'a', due_date: '2025-12-31' },
        { session_id, title: 'a', due_date: '2025-12-31T09:00:00.0009+09:00' },
      ],
      [
        '/batches',
        { session_id, tasks: [task, { title: 'b' }] },
        { tasks: [{ ...task, description: null }, { title: 'b' }], reason: null, session_id },
        {
          session_id: session_id.toUpperCase(),
          tasks: [
            { title: 'a', due_date: '2025-12-31' },
            { status: 'pending', title: 'b' },
          ],
        },
      ],
    ]
    for (const [path, body, ...others] of same) {
      const key = `${session_id}:${path}`
      const first = await call('POST', path, body, keyed(key))
      t.equal(first.status, 201)
      for (const other of others) {
        const again = await call('POST', path, other, keyed(key))
        t.ok(replayed(again), JSON.stringify(other))
        t.equal(again.text, first.text)
      }
    }
    const swapped = { session_id, tasks: [{ title: 'b' }, task] }
    t.equal((await call('POST', '/batches', swapped, keyed(`${session_id}:/batches`))).status, 422)
    t.equal((await call('POST', '/tasks', { title: session_id }, keyed(session_id))).status, 201)
    const upper = await call('POST', '/tasks', { title: session_id.toUpperCase() }, keyed(session_id))
    t.equal(upper.status, 422, 'a text that looks like a UUID is a text')
  })

  await t.test('a key that the version before recorded is valid', async (t) => {
    await clear()
    const session_id = '550E8400-e29b-41d4-a716-446655440001'
    const recorded: [string, object, other: object, fingerprint: string][] = [
      [
        '/tasks',
        { title: 'a', session_id, due_date: '2025-12-31', description: null },
        { title: 'b' },
        'q8sIfKDqlJ3IanmtLHqtIQJjjhbDTg62CMalwdvxl6k=',
      ],
      [
        '/batches',
        { reason: 'b', tasks: [{ title: 'a' }, { title: 'b', status: 'completed' }] },
        { reason: 'c' },
        'uoSx+TRYbSuK4Zyqg92wpCJZNHqXXMh9FUeWQBskuYY=',
      ],
    ]
    for (const [path, body, change, fingerprint] of recorded) {
      const first = await call('POST', path, body, keyed(path))
      await database.db.execute(
        sql`update idempotency_keys set fingerprint = ${fingerprint} where key = ${path}`,
      )
      const again = await call('POST', path, body, keyed(path))
      t.ok(replayed(again), path)
      t.equal(again.text, first.text)
      const other = await call('POST', path, { ...body, ...change }, keyed(path))
      t.match(other, { status: 422, body: { error_code: 'idempotency_key_reused' } })
    }
  })

  await t.test('a different request with the same key returns 422 and creates nothing', async (t) => {
    const session_id = randomUUID()
    const body = { session_id, title: 'a' }
    await call('POST', '/tasks', body, keyed(session_id))
    for (const [path, other] of [
      ['/tasks', { ...body, title: 'b' }],
      ['/tasks', { ...body, description: 'a' }],
      ['/tasks', { ...body, status: 'completed' }],
      ['/tasks', { title: 'a' }],
      ['/tasks', { ...body, session_id: randomUUID() }],
      ['/batches', { session_id, tasks: [{ title: 'a' }] }],
    ] as const) {
      const response = await call('POST', path, other, keyed(session_id))
      t.match(response, { status: 422, body: { error_code: 'idempotency_key_reused' } })
    }
    t.equal(await count(session_id), 1)
    t.equal((await call('GET', `/batches?session_id=${session_id}`)).body.total, 0)
  })

  await t.test('a rejected request does not use its key', async (t) => {
    const session_id = randomUUID()
    t.equal((await call('POST', '/tasks', { session_id, titel: 'a' }, keyed(session_id))).status, 422)
    const corrected = await call('POST', '/tasks', { session_id, title: 'a' }, keyed(session_id))
    t.equal(corrected.status, 201)
    t.notOk(replayed(corrected))
  })

  await t.test('concurrent requests with the same key create once and get the same response', async (t) => {
    const session_id = randomUUID()
    const body = { session_id, tasks: [{ title: 'a' }, { title: 'b' }] }
    const responses = await Promise.all(
      Array.from({ length: 30 }, () => call('POST', '/batches', body, keyed(session_id))),
    )
    t.strictSame(new Set(responses.map(({ status }) => status)), new Set([201]))
    t.equal(new Set(responses.map(({ text }) => text)).size, 1)
    t.equal(responses.filter(replayed).length, 29)
    t.equal(await count(session_id), 2)
  })

  await t.test('the keys of two callers are independent', async (t) => {
    const { tasks } = storesOf(database)
    const once = { key: randomUUID(), fingerprint: '' }
    const outcomes = []
    for (const caller of ['a', 'b', 'a']) {
      outcomes.push(
        (
          await tasks.create(
            { name: caller, scopes: [] },
            { title: 'a', status: 'pending' },
            { caller, ...once },
          )
        ).outcome,
      )
    }
    t.strictSame(outcomes, ['created', 'created', 'replayed'])
  })

  await t.test('an expired key can be used again, and new keys delete expired ones', async (t) => {
    await clear()
    const key = randomUUID()
    const create = (title: string, key: string) => call('POST', '/tasks', { title }, keyed(key))
    const age = (interval: string) =>
      database.db.execute(sql`update idempotency_keys set created_at = now() - ${interval}::interval`)
    await create('a', key)
    await age('6 days 23 hours')
    t.ok(replayed(await create('a', key)), 'not yet')

    for (let nth = 0; nth < 5; nth++) await create('other', `${key}:${nth}`)
    await age('7 days 1 second')
    const other = await create('b', key)
    t.equal(other.status, 201)
    t.notOk(replayed(other))
    t.equal(other.body.title, 'b')
    t.ok(replayed(await create('b', key)))

    for (let nth = 0; nth < 3; nth++) await create('new', `${key}:new:${nth}`)
    const left = await database.db
      .select({ key: sql<string>`key` })
      .from(sql`idempotency_keys`)
      .where(sql`created_at < now() - interval '7 days'`)
    t.strictSame(left, [])
  })

  await t.test('an invalid Idempotency-Key returns 422 and names the format', async (t) => {
    for (const key of ['', 'a b', 'ä', 'a'.repeat(256), '"a', '""', `"${'a'.repeat(256)}"`, '"a"b"']) {
      const response = await call('POST', '/tasks', { title: 'a' }, keyed(key))
      t.equal(response.status, 422, key)
      t.match(response.body.errors, [
        { in: 'header', path: 'idempotency-key', message: /^must be 1 to 255 visible/ },
      ])
    }
    for (const key of ['a', 'a"', '"a\\""', 'a'.repeat(255), `"${'a'.repeat(255)}"`]) {
      t.equal((await call('POST', '/tasks', { title: 'a' }, keyed(key))).status, 201, key)
    }
  })
})

t.test('a field with a default that another version has changes no fingerprint', (t) => {
  const fields = { title: Type.String() }
  const normalizedBy = (fields: TProperties) =>
    normalizer(
      Type.Object(fields),
      () => undefined,
    )({
      title: 'a',
      attempts: 0,
      metadata: {},
    })
  t.same(normalizedBy(fields), { title: 'a' })
  const more = {
    attempts: Type.Integer({ default: 0 }),
    metadata: Type.Object({}, { default: {} }),
    ...fields,
  }
  t.same(normalizedBy(more), { title: 'a' })
  t.end()
})

t.test('several servers', { skip: skipPostgres }, async (t) => {
  const { newDatabase } = await sharedPostgres()
  const url = await newDatabase()
  const open = async () => {
    const database = await openDatabase(url, { ...options, lockTimeout: 200 })
    const api = await createApi(database)
    t.teardown(async () => {
      await api.app.close()
      await database.close()
    })
    return api
  }
  const servers = [await open(), await open()] as const

  await t.test('the same key on two servers at once creates once', async (t) => {
    for (let round = 0; round < 10; round++) {
      const session_id = randomUUID()
      const body = { session_id, title: 'a' }
      const responses = await Promise.all(
        Array.from({ length: 20 }, (_, nth) =>
          servers[nth % 2]!.call('POST', '/tasks', body, keyed(session_id)),
        ),
      )
      t.equal(new Set(responses.map(({ text }) => text)).size, 1)
      t.equal(responses.filter(replayed).length, 19)
      t.equal((await servers[0].call('GET', `/tasks?session_id=${session_id}`)).body.total, 1)
    }
  })

  await t.test(
    'a retry returns 409 while the first request runs, and succeeds after that one fails',
    async (t) => {
      const client = postgres(url, { max: 1, onnotice: () => {} })
      const key = randomUUID()
      const send = () => servers[0].call('POST', '/tasks', { title: 'a' }, keyed(key))
      await client`begin`
      await client`insert into idempotency_keys values ('anonymous', ${key}, '', '', '', now())`
      const waiting = await send()
      t.match(waiting, { status: 409, body: { error_code: 'idempotency_in_progress' } })
      t.match(waiting.headers['retry-after'], /^\d+$/)
      await client`rollback`
      await client.end()
      const created = await send()
      t.equal(created.status, 201)
      t.notOk(replayed(created))
    },
  )
})
