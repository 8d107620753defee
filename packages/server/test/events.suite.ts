/** What happened: the events of every change, and reading them in order. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import t from 'tap'
import { hashKey } from '../src/access/keys.js'
import { openDatabase } from '../src/db/open.js'
import { anonymous } from '../src/http/caller.js'
import { numRuns } from './generators.js'
import {
  type Api,
  createApi,
  onEachDatabase,
  options,
  serveOn,
  sharedPostgres,
  skipPostgres,
  storesOf,
} from './support.js'

const caller = { caller: 'anonymous', worker: null }
const byWorker = { caller: 'anonymous', worker: 'w' }

/** All events, a page at a time. */
async function allEvents({ call }: Pick<Api, 'call'>, filters = '', limit = 500): Promise<any[]> {
  const found: any[] = []
  let after = ''
  for (;;) {
    const { body } = await call('GET', `/events?limit=${limit}${after && `&after=${after}`}${filters}`)
    if (body.items.length === 0) return found
    found.push(...body.items)
    after = body.next
  }
}

/** What is the same in each run. */
const shown = ({ type, task_id, actor, note, changes }: any) => ({
  type,
  task_id,
  actor,
  note,
  changes: Object.fromEntries(changes.map(({ field, from, to }: any) => [field, [from, to]])),
})

onEachDatabase(async (t, api) => {
  const { app, plan, clear, database } = api
  /** The method and path of each call. */
  const called = new Set<string>()
  const call: Api['call'] = (method, path, ...rest) => {
    called.add(`${method} /api/v1${path}`)
    return api.call(method, path, ...rest)
  }
  t.beforeEach(() => clear())
  const session_id = randomUUID()
  const create = async (task: object) =>
    (await call('POST', '/tasks', { title: 'a', session_id, ...task })).body
  /** The events of a call. */
  const eventsOf = async (change: () => Promise<unknown>) => {
    const before = (await allEvents(api)).length
    await change()
    return (await allEvents(api)).slice(before).map(shown)
  }

  await t.test('every operation that changes writes what it changed, and who did it', async (t) => {
    let task: any
    t.same(
      await eventsOf(async () => {
        task = await create({ due_date: '2026-01-01', metadata: { n: 1 }, description: '"' })
      }),
      [
        {
          type: 'task.created',
          task_id: task.id,
          actor: caller,
          note: null,
          changes: {
            title: [null, 'a'],
            description: [null, '"'],
            due_date: [null, '2026-01-01T00:00:00.000Z'],
            metadata: [null, { n: 1 }],
          },
        },
      ],
    )
    const updated = (changes: object, task_id = task.id) => ({
      type: 'task.updated',
      task_id,
      actor: caller,
      note: null,
      changes,
    })
    const path = `/tasks/${task.id}`
    t.same(await eventsOf(() => call('PUT', path, { title: 'b', priority: 'high', due_date: null })), [
      updated({
        title: ['a', 'b'],
        priority: [null, 'high'],
        due_date: ['2026-01-01T00:00:00.000Z', null],
      }),
    ])
    t.same(await eventsOf(() => call('PATCH', path, { metadata: { n: null, k: [1] } })), [
      updated({ metadata: [{ n: 1 }, { k: [1] }] }),
    ])
    t.same(await eventsOf(() => call('PUT', path, {})), [], 'nothing changed')
    let batch: any
    t.same(
      await eventsOf(async () => {
        batch = await plan(
          [
            { title: 'x', key: 'x' },
            { title: 'y', blocked_by: ['x'] },
          ],
          session_id,
        )
      }),
      [{ type: 'batch.created', task_id: null, actor: caller, note: null, changes: {} }],
      'its tasks have no events of their own',
    )
    const [x, y] = batch.tasks
    const extended = await eventsOf(() =>
      call('POST', `/batches/${batch.id}/tasks`, { tasks: [{ title: 'z' }, { title: 'zz' }] }),
    )
    const ids = (await call('GET', `/batches/${batch.id}`)).body.tasks.slice(2).map(({ id }: any) => id)
    t.same(extended, [
      { type: 'batch.extended', task_id: null, actor: caller, note: null, changes: { tasks: [null, ids] } },
    ])
    t.same(
      new Map(
        (
          await eventsOf(() =>
            call('PUT', '/tasks/bulk', {
              tasks: [
                { id: x.id, priority: 'low' },
                { id: y.id, status: 'pending' },
                { id: randomUUID(), title: 'none' },
              ],
            }),
          )
        ).map((event) => [event.task_id, event]),
      ),
      new Map([
        [x.id, updated({ priority: [null, 'low'] }, x.id)],
        [y.id, updated({}, y.id)],
      ]),
      'a task whose updated_at rises has an event, also if nothing else changed',
    )

    let claim: any
    const claimed = await eventsOf(async () => {
      claim = (await call('POST', '/tasks/claim', { worker: 'w', batch_id: batch.id })).body
    })
    const { token, expires_at } = claim.lease
    const claiming = (task_id: string, until: string) => ({
      type: 'task.claimed',
      task_id,
      actor: byWorker,
      note: null,
      changes: {
        status: ['pending', 'in_progress'],
        attempts: [0, 1],
        claimed_by: [null, 'w'],
        lease_expires_at: [null, until],
      },
    })
    t.same(claimed, [claiming(x.id, expires_at)])
    t.same(await eventsOf(() => call('POST', `/tasks/${x.id}/renew`, { token })), [], 'a renewed lease')
    const renewed = (await call('GET', `/tasks/${x.id}`)).body.lease_expires_at
    t.same(
      await eventsOf(() =>
        call('PUT', `/tasks/${x.id}`, { result: 'half' }, { headers: { 'lease-token': token } }),
      ),
      [{ ...updated({ result: [null, 'half'] }, x.id), actor: byWorker }],
    )
    t.same(
      await eventsOf(() => call('PUT', `/tasks/${x.id}`, { result: null })),
      [updated({ result: ['half', null] }, x.id)],
      'without the lease, it is not the worker',
    )
    let next: any
    const done = await eventsOf(async () => {
      const body = { worker: 'w', done: { task_id: x.id.toUpperCase(), token, result: 'r' } }
      next = (await call('POST', '/tasks/claim', body)).body
    })
    const { completed_at } = (await call('GET', `/tasks/${x.id}`)).body
    t.same(done, [
      {
        ...updated(
          {
            status: ['in_progress', 'completed'],
            claimed_by: ['w', null],
            lease_expires_at: [renewed, null],
            result: [null, 'r'],
            completed_at: [null, completed_at],
          },
          x.id,
        ),
        actor: byWorker,
      },
      claiming(next.task.id, next.lease.expires_at),
    ])
    t.same(
      await eventsOf(() => call('POST', `/tasks/${next.task.id}/release`, { token: next.lease.token })),
      [
        {
          type: 'task.released',
          task_id: next.task.id,
          actor: byWorker,
          note: null,
          changes: {
            status: ['in_progress', 'pending'],
            claimed_by: ['w', null],
            lease_expires_at: [next.lease.expires_at, null],
          },
        },
      ],
    )
    const { body: one } = await call('POST', `/tasks/${y.id}/claim`, { worker: 'v', lease_seconds: 60 })
    t.same(
      await eventsOf(() => call('PUT', `/tasks/${y.id}`, { status: 'pending' })),
      [
        {
          type: 'task.released',
          task_id: y.id,
          actor: caller,
          note: null,
          changes: {
            status: ['in_progress', 'pending'],
            claimed_by: ['v', null],
            lease_expires_at: [one.lease.expires_at, null],
          },
        },
      ],
      'whoever takes a task from its worker',
    )
    const { body: before } = await call('GET', `/tasks/${x.id}`)
    t.same(
      await eventsOf(() => call('DELETE', '/tasks/bulk', { ids: [x.id] })),
      [
        {
          type: 'task.deleted',
          task_id: x.id,
          actor: caller,
          note: null,
          changes: {
            key: ['x', null],
            title: ['x', null],
            status: ['completed', null],
            priority: ['low', null],
            attempts: [1, null],
            result: ['r', null],
            completed_at: [before.completed_at, null],
            created_at: [before.created_at, null],
            updated_at: [before.updated_at, null],
          },
        },
        updated({ blocked_by: [[x.id], []] }, y.id),
      ],
      'first the task, then those that it blocked',
    )
    t.match(await eventsOf(() => call('DELETE', path)), [{ type: 'task.deleted', task_id: task.id }])

    const events = await allEvents(api)
    const deleted = events.find(({ type }) => type === 'task.deleted')
    t.same([deleted.session_id, deleted.batch_id], [session_id, batch.id])
    t.same(
      events.map(({ id }) => id),
      events.map(({ id }) => id).sort(),
      'ids sort in order',
    )
    const rows: any = await database.db.run('select * from events', [])
    t.notOk(
      JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? `${value}` : value)).includes(token),
    )
  })

  await t.test(
    'a note is in the event of its change, and a note alone is an event that leaves the task as it is',
    async (t) => {
      const [first, second] = [await create({}), await create({ title: 'b' })]
      const path = `/tasks/${first.id}`
      t.match(
        await eventsOf(() =>
          call('PUT', path.toUpperCase().replace('/TASKS', '/tasks'), { title: 'c', note: 'why' }),
        ),
        [{ type: 'task.updated', note: 'why', changes: { title: ['a', 'c'] } }],
      )
      const { body: before } = await call('GET', path)
      t.same(await eventsOf(() => call('PATCH', path, { note: 'alone' })), [
        { type: 'task.noted', task_id: first.id, actor: caller, note: 'alone', changes: {} },
      ])
      t.same((await call('GET', path)).body, before)
      const tasks = [
        { id: second.id, note: 'replaced' },
        { id: second.id.toUpperCase(), title: 'd', note: 'last' },
        { id: first.id, priority: 'low' },
      ]
      t.match(
        new Map(
          (await eventsOf(() => call('PUT', '/tasks/bulk', { tasks }))).map((event) => [
            event.task_id,
            event,
          ]),
        ),
        new Map<string, object>([
          [first.id, { type: 'task.updated', note: null }],
          [second.id, { type: 'task.updated', note: 'last' }],
        ]),
      )
      const claim = async (done?: object) =>
        (await call('POST', '/tasks/claim', { worker: 'w', session_id, ...(done && { done }) })).body
      const { task, lease } = await claim()
      const done = { task_id: task.id.toUpperCase(), token: lease.token, note: 'finished' }
      let next: any
      t.match(
        await eventsOf(async () => {
          next = await claim(done)
        }),
        [
          { type: 'task.updated', task_id: task.id, note: 'finished', actor: byWorker },
          { type: 'task.claimed', note: null },
        ],
      )
      const release = { token: next.lease.token, note: 'too hard' }
      t.match(await eventsOf(() => call('POST', `/tasks/${next.task.id}/release`, release)), [
        { type: 'task.released', note: 'too hard', actor: byWorker },
      ])
      const { body: state } = await call('GET', `/sessions/${session_id}`)
      t.match(
        state.notes.map(({ note }: any) => note),
        ['too hard', 'finished', 'last', 'alone', 'why'],
      )
      t.match(state.notes[0], { task_id: next.task.id, actor: byWorker })
      await call('PUT', path, { note: 'sixth' })
      t.equal((await call('GET', `/sessions/${session_id}?fields=title`)).body.notes.length, 5)
      t.same((await call('GET', `/sessions/${randomUUID()}`)).body.notes, [])
      t.match(await call('PUT', path, { note: 'a'.repeat(1001) }), {
        status: 422,
        body: { errors: [{ path: 'note' }] },
      })
    },
  )

  await t.test('deleted tasks are restored as they were, at their place in the plan', async (t) => {
    const batch = await plan(
      [
        {
          title: 'x',
          key: 'x',
          metadata: { n: 1.5 },
          due_date: '2026-01-01',
          priority: 'high',
          description: '"',
        },
        { title: 'y', key: 'y', blocked_by: ['x'], not_before: '2026-02-01' },
        { title: 'z', key: 'z', blocked_by: ['y', 'x'] },
      ],
      session_id,
    )
    const [x, y, z] = batch.tasks
    await call('PUT', `/tasks/${x.id}`, { status: 'completed', result: 'r' })
    const { body: before } = await call('GET', `/batches/${batch.id}`)
    const ids = [z.id, x.id.toUpperCase(), y.id, x.id]
    await call('DELETE', '/tasks/bulk', { ids })
    const unknown = randomUUID()
    let restored: any
    const events = await eventsOf(async () => {
      restored = (await call('POST', '/tasks/restore', { ids: [...ids, unknown] })).body
    })
    t.same(restored, {
      restored: [before.tasks[2], before.tasks[0], before.tasks[1]],
      not_found: [unknown],
    })
    const { body: after } = await call('GET', `/batches/${batch.id}`)
    t.same(after, before)
    t.same(
      events.map(({ type, task_id, actor }) => ({ type, task_id, actor })),
      [x.id, y.id, z.id].map((task_id) => ({ type: 'task.restored', task_id, actor: caller })),
    )
    t.match(events[0]!.changes, { title: [null, 'x'], result: [null, 'r'], created_at: [null, x.created_at] })
    t.same(await eventsOf(() => call('POST', '/tasks/restore', { ids })), [], 'those that exist stay')
    t.match(await call('POST', '/tasks/restore', { ids: [unknown] }), {
      status: 200,
      body: { restored: [], not_found: [unknown] },
    })
    t.match(await call('POST', '/tasks/restore', {}), { status: 422, body: { errors: [{ path: 'ids' }] } })
  })

  await t.test('a restored task has no lease, no blocker that is gone and no key of another', async (t) => {
    const batch = await plan(
      [
        { title: 'x', key: 'x' },
        { title: 'y', key: 'y', blocked_by: ['x'] },
        { title: 'z', key: 'z', blocked_by: ['x', 'y'] },
      ],
      session_id,
    )
    const [x, y, z] = batch.tasks
    const { body: claim } = await call('POST', '/tasks/claim', { worker: 'w', session_id })
    t.equal(claim.task.id, x.id)
    for (const { id } of [z, x]) await call('DELETE', `/tasks/${id}`)
    await call('POST', `/batches/${batch.id}/tasks`, { tasks: [{ title: 'other', key: 'x' }] })
    const restore = async (...ids: string[]) => (await call('POST', '/tasks/restore', { ids })).body.restored
    t.match(await restore(z.id), [{ key: 'z', blocked_by: [y.id] }])
    t.match(await restore(x.id), [
      { key: null, status: 'in_progress', claimed_by: null, lease_expires_at: null, attempts: 1 },
    ])
    t.same((await call('GET', `/tasks/${y.id}`)).body.blocked_by, [], 'what it blocked stays as it is')
    const { token } = claim.lease
    t.equal((await call('POST', `/tasks/${x.id}/renew`, { token })).status, 409, 'its lease is lost')
    for (const id of [x.id, y.id]) await call('PUT', `/tasks/${id}`, { status: 'completed' })
    await call('PUT', `/tasks/${z.id}`, { status: 'completed' })
    await call('PUT', `/tasks/${y.id}`, { status: 'pending' })
    await call('DELETE', `/tasks/${z.id}`)
    t.match(await restore(z.id), [{ status: 'completed', blocked_by: [y.id] }], 'also if its blocker is open')
  })

  await t.test('tasks of a batch that has as many as it may are not restored', async (t) => {
    const batch = await plan(Array.from({ length: 500 }, () => ({ title: 'a' })))
    const append = () =>
      call('POST', `/batches/${batch.id}/tasks`, {
        tasks: Array.from({ length: 500 }, () => ({ title: 'b' })),
      })
    for (let n = 0; n < 3; n++) await append()
    const ids = batch.tasks.slice(0, 2).map(({ id }: any) => id)
    await call('DELETE', '/tasks/bulk', { ids })
    await call('POST', `/batches/${batch.id}/tasks`, { tasks: [{ title: 'c' }] })
    t.match(await call('POST', '/tasks/restore', { ids }), {
      status: 422,
      body: { errors: [{ path: 'ids', message: new RegExp(`2000 tasks.*${batch.id}`) }] },
    })
    t.equal((await call('POST', '/tasks/restore', { ids: ids.slice(1) })).body.restored.length, 1)
  })

  await t.test('two requests that restore the same tasks restore each once', async (t) => {
    // So many that the requests meet before one is over.
    const ids: string[] = (await Promise.all(Array.from({ length: 100 }, () => create({})))).map(
      ({ id }) => id,
    )
    await call('POST', '/tasks/bulk-delete', { ids })
    const events = await eventsOf(async () => {
      const restores = [ids, ids.toReversed()].map((ids) => call('POST', '/tasks/restore', { ids }))
      for (const { status, body } of await Promise.all(restores)) {
        t.equal(status, 200, body.detail)
        t.equal(body.restored?.length, 100)
      }
    })
    t.same(events.map(({ task_id }) => task_id).sort(), ids.toSorted())
  })

  await t.test('a caller restores the tasks of its own sessions only', async (t) => {
    const key = `aklp_${'a'.repeat(43)}`
    const bound = { name: 'bound', hash: hashKey(key), scopes: ['tasks:write'], sessions: [session_id] }
    const { call: callBound } = await serveOn(database, t, { API_KEYS: JSON.stringify([bound]) })
    const [own, foreign] = [await create({}), await create({ session_id: randomUUID() })]
    const ids = [foreign.id, own.id]
    await call('DELETE', '/tasks/bulk', { ids })
    const headers = { authorization: `Bearer ${key}` }
    const { body } = await callBound('POST', '/tasks/restore', { ids }, { headers })
    t.match(body, { restored: [{ id: own.id }], not_found: [foreign.id] })
    t.equal((await call('GET', `/tasks/${foreign.id}`)).status, 404)
  })

  await t.test('a call that fails writes no event', async (t) => {
    const batch = await plan([
      { title: 'x', key: 'x' },
      { title: 'y', blocked_by: ['x'] },
    ])
    const { id } = batch.tasks[1]
    t.same(
      await eventsOf(async () => {
        t.equal((await call('PUT', `/tasks/${id}`, { status: 'completed' })).status, 409)
        const tasks = [
          { id: batch.tasks[0].id, title: 'z' },
          { id, status: 'completed' },
        ]
        t.equal((await call('PUT', '/tasks/bulk', { tasks })).status, 409)
      }),
      [],
    )
  })

  await t.test('an idempotent retry writes no second event', async (t) => {
    const twice = async (path: string, body: object) => {
      const headers = { 'idempotency-key': path }
      await call('POST', path, body, { headers })
      await call('POST', path, body, { headers })
    }
    t.match(await eventsOf(() => twice('/tasks', { title: 'a' })), [{ type: 'task.created' }])
    t.match(await eventsOf(() => twice('/batches', { tasks: [{ title: 'a' }] })), [{ type: 'batch.created' }])
  })

  await t.test('the tasks as they are follow from the events of any history', async (t) => {
    const kinds = [
      ...['create', 'batch', 'extend', 'update', 'update', 'bulk', 'delete', 'bulkDelete', 'restore'],
      ...['claim', 'claim', 'done', 'done', 'release', 'renew'],
    ] as const
    const step = fc.record({ kind: fc.constantFrom(...kinds), a: fc.nat(9), b: fc.nat(9) })
    const statuses = ['pending', 'in_progress', 'completed']
    const history = fc.array(step, { maxLength: 40, size: 'max' })
    await fc.assert(
      fc.asyncProperty(history, async (steps) => {
        await clear()
        const session_id = randomUUID()
        /** As they were created, by id: the event of a batch does not repeat its tasks. */
        const planned = new Map<string, any>()
        const batches: string[] = []
        const leases = new Map<string, string>()
        const ids: string[] = []
        const learn = (tasks: any[]) => {
          for (const task of tasks) {
            if (planned.has(task.id)) continue
            planned.set(task.id, task)
            ids.push(task.id)
          }
        }
        const remember = ({ task, lease }: any) => task && leases.set(task.id, lease.token)
        const id = (n: number) => ids[n % ids.length] ?? randomUUID()
        const changesOf = ({ a, b }: { a: number; b: number }) => ({
          ...(a % 2 && { status: statuses[b % 3] }),
          ...(a % 3 && { description: b % 2 ? `d ${b}` : null }),
          ...(a % 4 === 0 && {
            due_date: b % 2 ? '2026-01-01' : null,
            not_before: `2025-01-0${1 + (b % 9)}`,
          }),
          ...(a % 5 === 0 && { metadata: { [`m${b % 2}`]: b % 3 ? b : null }, priority: 'low' }),
          ...(a === 7 && { blocked_by: b % 2 ? [id(b)] : [] }),
        })
        for (const { kind, a, b } of steps) {
          const [lease] = [...leases].slice(a % Math.max(leases.size, 1))
          if (kind === 'create') {
            const { body, status } = await call('POST', '/tasks', {
              title: `t${a}`,
              session_id,
              ...changesOf({ a: 5, b }),
            })
            if (status === 201) learn([body])
          } else if (kind === 'batch') {
            const body = await plan(
              [
                { title: 'x', key: 'x' },
                { title: 'y', blocked_by: ['x'] },
              ],
              session_id,
            )
            batches.push(body.id)
            learn(body.tasks)
          } else if (kind === 'extend' && batches.length > 0) {
            const { body } = await call('POST', `/batches/${batches[a % batches.length]}/tasks`, {
              tasks: [{ title: 'more' }, { title: 'even more' }],
            })
            learn(body.tasks)
          } else if (kind === 'update') {
            await call('PUT', `/tasks/${id(b)}`, changesOf({ a, b }))
          } else if (kind === 'bulk') {
            await call('PUT', '/tasks/bulk', {
              tasks: [a, b, a + 1].map((n) => ({ id: id(n), ...changesOf({ a: n, b }) })),
            })
          } else if (kind === 'delete') await call('DELETE', `/tasks/${id(a)}`)
          else if (kind === 'bulkDelete') await call('DELETE', '/tasks/bulk', { ids: [id(a), id(b)] })
          else if (kind === 'restore')
            await call('POST', '/tasks/restore', { ids: [id(a), id(b), id(a + 1)] })
          else if (kind === 'claim')
            remember(
              (await call('POST', '/tasks/claim', { worker: `w${b % 2}`, session_id, resume: a === 1 })).body,
            )
          else if (lease && kind === 'done')
            remember(
              (
                await call('POST', '/tasks/claim', {
                  worker: 'w0',
                  session_id,
                  done: { task_id: lease[0], token: lease[1] },
                })
              ).body,
            )
          else if (lease && kind === 'release')
            await call('POST', `/tasks/${lease[0]}/release`, { token: lease[1] })
          else if (lease && kind === 'renew')
            await call('POST', `/tasks/${lease[0]}/renew`, { token: lease[1] })
        }
        const replayed = replay(await allEvents(api, '', 7), planned)
        const { body } = await call('GET', `/tasks?session_id=${session_id}&limit=100`)
        const actual = new Map(body.items.map((task: any) => [task.id, stored(task)]))
        assert.deepEqual(new Map([...replayed].sort()), new Map([...actual].sort() as any))
      }),
      { numRuns },
    )
    t.pass('every history was replayed')
  })

  await t.test(
    'pages have every event once, in both orders, and only those that the filters name',
    async (t) => {
      const mine = await create({})
      const batch = await plan([{ title: 'x' }])
      for (const title of ['b', 'c', 'd']) await call('PUT', `/tasks/${mine.id}`, { title })
      await call('PUT', `/tasks/${batch.tasks[0].id}`, { title: 'y' })
      const all = await allEvents(api)
      t.equal(all.length, 6)
      t.same(await allEvents(api, '', 1), all)
      const backwards: any[] = []
      let after = ''
      for (;;) {
        const { body } = await call('GET', `/events?order=desc&limit=4${after}`)
        backwards.push(...body.items)
        if (body.next === null) break
        after = `&after=${body.next}`
      }
      t.same(backwards, all.toReversed())
      const typesOf = async (filters: string) => (await allEvents(api, filters)).map(({ type }) => type)
      t.same(await typesOf(`&batch_id=${batch.id}`), ['batch.created', 'task.updated'])
      t.same(await typesOf(`&task_id=${mine.id}&types=task.created,task.deleted`), ['task.created'])
      t.same(await typesOf(`&session_id=${batch.session_id}`), ['batch.created', 'task.updated'])
      t.same(await typesOf(`&session_id=${randomUUID()}`), [])
      const { body } = await call('GET', `/events?after=${all.at(-1).id}`)
      t.same(body.items, [])
      t.ok(body.next >= all.at(-1).id, 'a place to go on from')
      t.match((await call('GET', '/events?after=1')).body.errors, [{ path: 'after' }])
    },
  )

  await t.test('a request that waits returns as soon as there is an event that it asked for', async (t) => {
    const task = await create({})
    const { next } = (await call('GET', '/events')).body
    const waiting = call('GET', `/events?after=${next}&wait=30&task_id=${task.id.toUpperCase()}`)
    await create({})
    await call('PUT', `/tasks/${task.id}`, { title: 'b' })
    t.match((await waiting).body.items, [{ type: 'task.updated', task_id: task.id }])
    const { body } = await call('GET', `/events?wait=1&session_id=${randomUUID()}`)
    t.same(body.items, [], 'or after the wait without one')
    t.equal((await call('GET', '/events?wait=30&order=desc&limit=1')).body.items.length, 1)
    t.equal((await call('GET', `/events?wait=30&order=desc&session_id=${randomUUID()}`)).body.next, null)
  })

  await t.test('readers that wait take no place at the database', async (t) => {
    const { next } = (await call('GET', '/events')).body
    /** On a busy machine, so many reads at once are too many. */
    const admitted = async (...args: Parameters<Api['call']>) => {
      for (;;) {
        const response = await call(...args)
        if (response.status !== 503) return response
        await sleep(100)
      }
    }
    const waiting = Array.from({ length: 40 }, () => admitted('GET', `/events?after=${next}&wait=30`))
    t.equal((await admitted('GET', '/tasks?limit=1')).status, 200)
    t.equal((await admitted('POST', '/tasks', { title: 'a' })).status, 201)
    for (const { status, body } of await Promise.all(waiting))
      if (status !== 200 || body.items.length !== 1) t.fail(`${status} ${JSON.stringify(body)}`)
  })

  await t.test('when the service stops, requests that wait return at once', async (t) => {
    const other = await createApi(database)
    const waiting = other.call('GET', '/events?wait=30')
    const second = other.call('GET', '/events?wait=30')
    await other.call('GET', '/tasks')
    await other.app.close()
    t.match([await waiting, await second], [{ status: 200, body: { items: [] } }, { status: 200 }])
  })

  await t.test('old events are taken away in passing, and who would miss them learns it', async (t) => {
    const task = await create({})
    const { next: early } = (await call('GET', '/events')).body
    for (const title of ['b', 'c']) await call('PUT', `/tasks/${task.id}`, { title })
    const [, second, third] = await allEvents(api)
    await database.db.execute(sql`update events set at = at - interval '31 days'`)
    const rename = (n: number) => call('PUT', `/tasks/${task.id}`, { title: `n ${n}` })
    for (let n = 0; n < 256; n++) await rename(n)
    const left = await allEvents(api)
    t.equal(left.length, 256)
    for (const after of [early, second.id])
      t.match(await call('GET', `/events?after=${after}`), {
        status: 410,
        body: { error_code: 'events_expired' },
      })
    t.equal(
      (await call('GET', `/events?after=${third.id}`)).body.items[0].id,
      left[0].id,
      'nothing is missing',
    )
    t.equal((await call('GET', `/events?after=${second.id}&order=desc`)).status, 200)
  })

  await t.test('with EVENT_DAYS=0, nothing is written, and reading says why', async (t) => {
    const without = await serveOn(database, t, { EVENT_DAYS: '0' })
    const batch = await without.plan([{ title: 'x' }])
    await without.call('POST', `/batches/${batch.id}/tasks`, { tasks: [{ title: 'y' }] })
    const { body } = await without.call('POST', '/tasks', { title: 'a' })
    await without.call('PUT', `/tasks/${body.id}`, { title: 'b' })
    await without.call('DELETE', `/tasks/${body.id}`)
    t.same(await allEvents(api), [])
    const [{ id }] = batch.tasks
    const noted: [string, string, object, string][] = [
      ['PUT', `/tasks/${id}`, { note: 'a' }, 'note'],
      ['PUT', '/tasks/bulk', { tasks: [{ id }, { id, note: 'a' }] }, 'tasks[1].note'],
      ['POST', '/tasks/claim', { worker: 'w', done: { task_id: id, token: id, note: 'a' } }, 'done.note'],
      ['POST', `/tasks/${id}/release`, { token: id, note: 'a' }, 'note'],
    ]
    for (const [method, path, body, field] of noted)
      t.match(await without.call(method, path, body), {
        status: 422,
        body: { errors: [{ path: field, message: /EVENT_DAYS=0/ }] },
      })
    for (const read of [
      without.call('GET', '/events'),
      without.call('POST', '/tasks/restore', { ids: [body.id] }),
    ])
      t.match(await read, { status: 404, body: { error_code: 'events_off', detail: /EVENT_DAYS=0/ } })
  })

  await t.test('no operation that changes is left out above', async (t) => {
    for (const [operationId, pattern] of changing(app.swagger()))
      t.ok(
        [...called].some((one) => pattern.test(one)),
        operationId,
      )
  })
})

/** The names of the operations that change something, with a pattern of their calls. */
const changing = (document: any): [string, RegExp][] =>
  Object.entries<object>(document.paths).flatMap(([path, methods]) =>
    Object.entries<any>(methods)
      .filter(([method]) => method !== 'get')
      .map(([method, { operationId }]): [string, RegExp] => [
        operationId,
        new RegExp(`^${method.toUpperCase()} ${path.replace(/\{\w+\}/g, '[^/]{36}')}$`),
      ]),
  )

/** A task without what is computed. A lease that was renewed has no event. */
const stored = ({ is_ready, lease_expires_at, ...task }: any) => task

/** The tasks after events. Each value before a change must be what the events before have led to. */
function replay(events: any[], planned: Map<string, any>) {
  const tasks = new Map<string, any>()
  let last = ''
  for (const { id, type, at, session_id, batch_id, task_id, changes } of events) {
    assert.ok(id > last)
    last = id
    if (type === 'batch.created') {
      for (const task of planned.values())
        if (task.batch_id === batch_id && task.created_at === at) tasks.set(task.id, stored(task))
    } else if (type === 'batch.extended') {
      for (const added of changes[0].to) tasks.set(added, stored(planned.get(added)))
    } else if (type === 'task.created' || type === 'task.restored') {
      assert.ok(!tasks.has(task_id))
      const given = Object.fromEntries(changes.map(({ field, to }: any) => [field, to]))
      tasks.set(
        task_id,
        stored({ ...blank, id: task_id, session_id, batch_id, created_at: at, updated_at: at, ...given }),
      )
    } else {
      const task = tasks.get(task_id)
      for (const { field, from, to } of changes) {
        if (field === 'lease_expires_at') continue
        assert.deepEqual(task[field], from, `${type} ${field}`)
        task[field] = to
      }
      if (type === 'task.deleted') tasks.delete(task_id)
      else if (!changes.some(({ field }: any) => field === 'updated_at')) task.updated_at = at
    }
  }
  return tasks
}

const blank = {
  key: null,
  title: '',
  description: null,
  status: 'pending',
  priority: null,
  due_date: null,
  blocked_by: [],
  not_before: null,
  attempts: 0,
  claimed_by: null,
  result: null,
  metadata: {},
  completed_at: null,
}

t.test('on PostgreSQL, beside writers on two servers', { skip: skipPostgres }, async (t) => {
  const { newDatabase } = await sharedPostgres()
  const url = await newDatabase()
  const databases = [await openDatabase(url, options), await openDatabase(url, options)]
  t.teardown(() => Promise.all(databases.map((database) => database.close())))
  const servers = await Promise.all(databases.map((database) => serveOn(database, t)))

  await t.test(
    'an event of a transaction that commits late is not missed, as it would be by its number',
    async (t) => {
      const [first, second] = servers as [Api, Api]
      const byNumber = async (after: unknown): Promise<any[]> =>
        second.database.db.run('select id, task_id from events where id > $1 order by id', [after], false)
      let open: () => void = () => {}
      const late = databases[0]!.transaction(async (db) => {
        await storesOf({ db }).tasks.create(anonymous, { title: 'late', status: 'pending' })
        open()
        await committed
      })
      let commit: () => void = () => {}
      const committed = new Promise<void>((resolve) => {
        commit = resolve
      })
      await new Promise<void>((resolve) => {
        open = resolve
      })
      const { body: early } = await second.call('POST', '/tasks', { title: 'early' })
      const seen = await byNumber(0)
      t.match(seen, [{ task_id: early.id }])
      const page = await second.call('GET', '/events')
      t.same(page.body.items, [], 'it waits for the transaction that is open')
      commit()
      await late
      t.same(await byNumber(seen[0].id), [], 'a reader that goes by the number has missed it')
      const { body } = await first.call('GET', `/events?after=${page.body.next}`)
      t.match(body.items, [{ changes: [{ to: 'late' }] }, { changes: [{ to: 'early' }] }])
    },
  )

  await t.test(
    'events of a task are in the order of its changes, whichever transaction began first',
    async (t) => {
      const [first, second] = servers as [Api, Api]
      const { body: task } = await first.call('POST', '/tasks', { title: 'a' })
      await databases[0]!.transaction(async (db) => {
        const { tasks } = storesOf({ db })
        // From here, this transaction has a lower number than the next one.
        await tasks.create(anonymous, { title: 'another', status: 'pending' })
        await second.call('PUT', `/tasks/${task.id}`, { title: 'b' })
        await tasks.update(anonymous, task.id, { title: 'c' })
      })
      await second.call('DELETE', `/tasks/${task.id}`)
      const { items } = (await first.call('GET', `/events?task_id=${task.id}`)).body
      t.same(
        items.map(({ changes }: any) => changes.find(({ field }: any) => field === 'title')),
        [
          { field: 'title', from: null, to: 'a' },
          { field: 'title', from: 'a', to: 'b' },
          { field: 'title', from: 'b', to: 'c' },
          { field: 'title', from: 'c', to: null },
        ],
      )
    },
  )

  await t.test(
    'events of a database that was restored stay readable, and before those to come',
    async (t) => {
      const [first] = servers as [Api, Api]
      const { body: task } = await first.call('POST', '/tasks', { title: 'a' })
      await first.call('PUT', `/tasks/${task.id}`, { title: 'b' })
      // As pg_restore leaves them in a new cluster: with numbers of transactions that are to come there.
      await databases[0]!.db.execute(sql`update events set xid = (xid::text::bigint + 1000000)::text::xid8`)
      await (await openDatabase(url, options)).close()
      await first.call('PUT', `/tasks/${task.id}`, { title: 'c' })
      const { items } = (await first.call('GET', `/events?task_id=${task.id}`)).body
      t.same(
        items.map(({ changes }: any) => changes[0].to),
        ['a', 'b', 'c'],
      )
    },
  )

  await t.test('a reader sees every event once and in order', async (t) => {
    const [first] = servers as [Api, Api]
    let after = (await first.call('GET', '/events?limit=500')).body.next
    const start = after
    let writing = true
    const write = async (nth: number) => {
      const { call, database } = servers[nth % 2]!
      for (let n = 0; n < 15; n++) {
        const { body } = await call('POST', '/tasks', { title: `${nth} ${n}` })
        await call('PUT', `/tasks/${body.id}`, { title: 'changed' })
        if (n % 5 === 0)
          await database.transaction(async (db) => {
            const { tasks, batches } = storesOf({ db })
            await tasks.create(anonymous, { title: 'in a transaction', status: 'pending' })
            await call('DELETE', `/tasks/${body.id}`)
            await batches.create(anonymous, { tasks: [{ title: 'a', status: 'pending' }] })
          })
      }
    }
    const written = Promise.all(Array.from({ length: 8 }, (_, nth) => write(nth))).then(() => {
      writing = false
    })
    const seen: string[] = []
    for (let turn = 0; ; turn++) {
      const isLast = !writing
      const { body } = await servers[turn % 2]!.call(
        'GET',
        `/events?limit=20&after=${after}&wait=${isLast ? 0 : 1}`,
      )
      seen.push(...body.items.map(({ id }: any) => id))
      after = body.next
      if (isLast && body.items.length === 0) break
    }
    await written
    t.equal(seen.length, 8 * (30 + 3 * 3))
    t.same(seen, [...new Set(seen)].sort())
    const rows = await allEvents(first)
    t.same(
      seen,
      rows.map(({ id }) => id).filter((id) => id > start),
    )
  })
})
