import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import {
  AbortError,
  ConflictError,
  createClient,
  DependencyCycleError,
  LeaseLostError,
  NotFoundError,
  type Task,
  TaskBlockedError,
  TaskClaimedError,
  ValidationError,
} from '../src/index.js'
import { operations } from './contract.js'
import { failure, inProcess, startService } from './support.js'

type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** The promises of the client against the real service, with any way to reach it. */
async function suite(t: Test, baseUrl: string, fetch: Fetch) {
  const called = new Set<string>()
  const aklp = createClient({
    baseUrl,
    fetch: async (url, init) => {
      const response = await fetch(url, init)
      const call = `${init.method} ${new URL(url).pathname}`
      const operation = operations.find(({ pattern }) => pattern.test(call))
      if (response.ok && operation) called.add(operation.operationId)
      return response
    },
  })

  await t.test('an agent can plan, work, resume and clean up', async (t) => {
    const session_id = randomUUID()
    t.equal(await aklp.batches.latest({ session_id }), null, 'no batch yet')
    const batch = await aklp.batches.create({
      session_id,
      reason: 'Kubernetes 기초 학습',
      tasks: [
        { title: 'Pod 개념 이해하기', priority: 'high', due_date: new Date('2030-01-02T03:04:05Z') },
        { title: 'nginx Pod 생성하기' },
        { title: 'Pod 삭제하기', priority: 'low' },
      ],
    })
    t.same(
      batch.tasks.map(({ title }) => title),
      ['Pod 개념 이해하기', 'nginx Pod 생성하기', 'Pod 삭제하기'],
    )
    t.equal(batch.tasks[0]!.due_date, '2030-01-02T03:04:05.000Z')
    const [first, second, third] = batch.tasks as [Task, Task, Task]

    const started = await aklp.tasks.update(first.id, { status: 'in_progress', due_date: null })
    t.match(started, { id: first.id, status: 'in_progress', due_date: null })
    const unknown = randomUUID()
    const { updated, not_found } = await aklp.tasks.bulkUpdate([
      { id: first.id, status: 'completed' },
      { id: unknown, status: 'completed' },
    ])
    t.match(updated, [{ id: first.id, status: 'completed', completed_at: String }])
    t.same(not_found, [unknown])

    const extra = await aklp.tasks.create({ title: 'a&b=c d+é/?#', session_id })
    t.same(await aklp.tasks.get(extra.id), extra)
    t.match(await aklp.batches.extend(batch.id, [{ title: 'Pod 로그 확인하기', blocked_by: [third.id] }]), {
      tasks: [{}, {}, {}, { blocked_by: [third.id], is_ready: false }],
    })
    const { task, lease } = await aklp.tasks.claimNext({ session_id, worker: 'agent-1' })
    t.match(task, { id: third.id, status: 'in_progress', claimed_by: 'agent-1', attempts: 1 })
    const { token } = lease!
    t.match((await aklp.tasks.renewLease(third.id, { token, lease_seconds: 60 })).lease, { token })
    t.match(await aklp.tasks.update(third.id, { metadata: { a: 1 } }, { leaseToken: token }), {
      metadata: { a: 1 },
    })
    t.match(await aklp.tasks.release(third.id, { token }), { status: 'pending', claimed_by: null })
    await aklp.tasks.claim(third.id, { worker: 'agent-2' })
    const state = await aklp.sessions.get(session_id)
    t.match(state, { progress: { total: 5, completed: 1, in_progress: 1 }, in_progress: [{ id: third.id }] })
    const pending = await aklp.tasks.list({ session_id, status: 'pending', sort_by: 'created_at', limit: 2 })
    t.match(pending, { total: 3, total_pages: 2, has_next: true, has_prev: false })

    t.match(await aklp.batches.get(batch.id), { id: batch.id, tasks: [{ status: 'completed' }, {}, {}] })
    t.equal((await aklp.batches.latest({ session_id }))?.id, batch.id)
    t.match(await aklp.batches.list({ session_id }), { total: 1, items: [{ id: batch.id }] })

    t.equal(await aklp.tasks.delete(extra.id), undefined)
    const error = await failure(aklp.tasks.delete(extra.id), NotFoundError)
    t.equal(error.error_code, 'task_not_found')
    t.same(await aklp.tasks.bulkDelete([first.id, second.id, third.id, unknown]), {
      deleted_count: 3,
      not_found: [unknown],
    })
    t.match(await aklp.tasks.restore([second.id, unknown]), { restored: [second], not_found: [unknown] })
    const types: string[] = []
    for await (const { type } of aklp.events.each({ session_id, limit: 3 })) types.push(type)
    t.same(types.slice(0, 3), ['batch.created', 'task.updated', 'task.updated'])
    t.equal(types.at(-1), 'task.restored')
    t.match(await aklp.health.get(), { status: 'healthy', database: 'healthy' })
  })

  await t.test('the plan above used every operation of the contract', async (t) => {
    t.same([...called].sort(), operations.map(({ operationId }) => operationId).sort())
  })

  await t.test('a session lists and creates only its own tasks and batches', async (t) => {
    const mine = aklp.session(randomUUID())
    const others = aklp.session(randomUUID())
    const batch = await mine.batches.create({ reason: 'mine', tasks: [{ title: 'a' }] })
    await mine.tasks.create({ title: 'b' })
    await others.batches.create({ reason: 'theirs', tasks: [{ title: 'c' }] })
    t.equal((await mine.batches.latest())?.id, batch.id)
    const titles = []
    for await (const { title } of mine.tasks.each({ sort_by: 'created_at', order: 'asc' })) titles.push(title)
    t.same(titles, ['a', 'b'])
  })

  await t.test('a loop over all pages can complete the pending tasks without skipping one', async (t) => {
    const session = aklp.session(randomUUID())
    await session.batches.create({ tasks: Array.from({ length: 7 }, (_, i) => ({ title: `${i}` })) })
    let completed = 0
    for await (const { id } of session.tasks.each({ status: 'pending', limit: 2 })) {
      await session.tasks.update(id, { status: 'completed' })
      completed++
    }
    t.equal(completed, 7)
    t.equal((await session.tasks.list({ status: 'pending' })).total, 0)
  })

  await t.test('a create with the same idempotency key happens once', async (t) => {
    const session = aklp.session(randomUUID())
    const key = `${randomUUID()}:plan:1`
    const plan = { reason: 'once', tasks: [{ title: 'a' }, { title: 'b' }] }
    const first = await session.batches.create(plan, { idempotencyKey: key })
    t.same(await session.batches.create(plan, { idempotencyKey: key }), first)
    t.equal((await session.tasks.list()).total, 2)
    t.not((await session.batches.create(plan)).id, first.id, 'without the key')
    const other = { reason: 'other', tasks: [{ title: 'c' }] }
    const error = await failure(session.batches.create(other, { idempotencyKey: key }), ValidationError)
    t.equal(error.error_code, 'idempotency_key_reused')
  })

  await t.test(
    'a conditional update or delete of a changed task fails and returns the current task',
    async (t) => {
      const seen = await aklp.tasks.create({ title: 'a' })
      const changed = await aklp.tasks.update(seen.id, { title: 'b' }, { ifUnchangedSince: seen.updated_at })
      const late = aklp.tasks.update(seen.id, { title: 'c' }, { ifUnchangedSince: seen.updated_at })
      const error = await failure(late, ConflictError)
      t.equal(error.error_code, 'task_changed')
      t.same(error.current, changed)
      t.match(error.message, JSON.stringify(changed))
      await failure(aklp.tasks.delete(seen.id, { ifUnchangedSince: seen.updated_at }), ConflictError)
      await aklp.tasks.delete(seen.id, { ifUnchangedSince: error.current!.updated_at })
    },
  )

  await t.test('what agents do to each other are errors that say what they wait for', async (t) => {
    const session = aklp.session(randomUUID())
    const { id, tasks } = await session.batches.create({
      tasks: [
        { key: 'create-pod', title: 'a' },
        { key: 'read-logs', title: 'b', blocked_by: ['create-pod'] },
      ],
    })
    const [a, b] = tasks as [Task, Task]
    const blocked = await failure(aklp.tasks.update(b.id, { status: 'completed' }), TaskBlockedError)
    t.same(blocked.openBlockers, [{ id: a.id, key: 'create-pod', title: 'a', status: 'pending' }])
    const { lease } = await aklp.tasks.claim(a.id, { worker: 'agent-1' })
    const claimed = await failure(aklp.tasks.claim(a.id, { worker: 'agent-2' }), TaskClaimedError)
    t.equal(claimed.current?.claimed_by, 'agent-1')
    const other = { token: randomUUID() }
    const lost = await failure(aklp.tasks.release(a.id, other), LeaseLostError)
    t.equal(lost.current?.claimed_by, 'agent-1')
    await failure(aklp.tasks.update(a.id, { title: 'c' }, { leaseToken: other.token }), LeaseLostError)
    await aklp.tasks.update(a.id, { status: 'completed' }, { leaseToken: lease.token })
    const cycle = [
      { key: 'c', title: 'c', blocked_by: ['d'] },
      { key: 'd', title: 'd', blocked_by: ['c'] },
    ]
    t.match(
      (await failure(aklp.batches.extend(id, cycle), DependencyCycleError)).detail,
      /c → d → c|d → c → d/,
    )
  })

  await t.test('two workers do each task of a plan once, after those that it waits for', async (t) => {
    const session = aklp.session(randomUUID())
    const key = (i: number) => `step-${i}`
    await session.batches.create({
      tasks: Array.from({ length: 12 }, (_, i) => ({
        key: key(i),
        title: `${i}`,
        blocked_by: i < 3 ? [] : [key(i - 3), key(i - 2)],
      })),
    })
    const finished: string[] = []
    const workAs = (worker: string) =>
      session.work({ worker, concurrency: 2 }, async ({ id, key, blocked_by, claimed_by, attempts }) => {
        t.equal(attempts, 1)
        t.ok(claimed_by!.startsWith(worker))
        for (const blocker of blocked_by) t.ok(finished.includes(blocker))
        finished.push(id)
        return `result of ${key}`
      })
    for (const { outcome, progress } of await Promise.all([workAs('agent-1'), workAs('agent-2')])) {
      t.equal(outcome, 'done')
      t.match(progress, { total: 12, completed: 12 })
    }
    t.equal(new Set(finished).size, 12)
    t.equal(finished.length, 12)
    for await (const { key, result } of session.tasks.each()) t.equal(result, `result of ${key}`)
    t.match(await session.state(), { progress: { percent: 100 }, next: null, recent: { length: 5 } })
  })

  await t.test(
    'a worker that comes back gets the task that it held, and its old lease is lost',
    async (t) => {
      const session = aklp.session(randomUUID())
      await session.tasks.create({ title: 'a' })
      const { task, lease } = await session.tasks.claimNext({ worker: 'agent-1' })
      await session.work({ worker: 'agent-1' }, async ({ id, attempts }) => {
        t.same([id, attempts], [task!.id, 1])
        await failure(aklp.tasks.renewLease(id, { token: lease!.token }), LeaseLostError)
      })
      t.equal((await aklp.tasks.get(task!.id)).status, 'completed')
    },
  )

  await t.test(
    'a task whose function throws is deferred, and work is stuck when it was claimed too often',
    async (t) => {
      const session = aklp.session(randomUUID())
      const { id } = await session.tasks.create({ title: 'a' })
      const controller = new AbortController()
      const fails = session.work(
        { worker: 'agent-1', signal: controller.signal, onError: () => controller.abort() },
        () => {
          throw new Error('the cluster is gone')
        },
      )
      await failure(fails, AbortError)
      const { not_before, updated_at, ...task } = await aklp.tasks.get(id)
      t.match(task, { status: 'pending', is_ready: false, claimed_by: null, attempts: 1 })
      const pause = Date.parse(not_before!) - Date.parse(updated_at)
      t.ok(pause > 5_000 && pause < 20_000, `${pause} ms`)
      await aklp.tasks.update(id, { not_before: null })
      t.match(await session.work({ worker: 'agent-1', max_attempts: 1 }, () => {}), {
        outcome: 'stuck',
        progress: { ready: 1 },
      })
    },
  )

  await t.test('the message of a validation error lists every error and its correction', async (t) => {
    const bad = { titel: 'a', status: 'complete', priority: 'urgent' } as unknown as { title: string }
    const error = await failure(
      aklp.tasks.create(bad, { headers: { 'x-request-id': 'r-1' } }),
      ValidationError,
    )
    t.equal(error.status, 422)
    t.equal(error.error_code, 'validation_error')
    t.equal(error.requestId, 'r-1')
    t.equal(error.problem?.instance, '/api/v1/tasks')
    t.ok(error.errors.length >= 4)
    t.match(error.message, '- body.title: is required')
    t.match(error.message, /^- body\.titel: .*Did you mean title\?$/m)
    t.match(error.message, /^- body\.status: .*Did you mean completed\?$/m)
    t.match(error.message, /^- body\.priority: .*high, medium, low/m)
  })
}

t.test('the client works with the service', async (t) => {
  const { app, baseUrl } = await startService(t)
  await t.test('over HTTP', (t) => suite(t, baseUrl, (url, init) => fetch(url, init)))
  await t.test('in the same process, without a network', (t) => suite(t, baseUrl, inProcess(app)))
})
