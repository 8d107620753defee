import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { ConflictError, createClient, NotFoundError, type Task, ValidationError } from '../src/index.js'
import { callTool, tools } from '../src/tools.js'
import { failure, inProcess, startService } from './support.js'

const contract = JSON.parse(readFileSync(new URL('../../server/openapi.json', import.meta.url), 'utf8'))
// Probes answer plain text: they are for balancers, and no part of the client.
const allOperations = Object.entries<Record<string, any>>(contract.paths).flatMap(([path, methods]) =>
  Object.entries(methods)
    .filter(([, { responses }]) => responses['200']?.content?.['text/plain'] === undefined)
    .map(([method, { operationId }]) => ({
      operationId: operationId as string,
      pattern: new RegExp(`^${method.toUpperCase()} ${path.replace(/\{\w+\}/g, '[0-9a-f-]{36}')}$`),
    })),
)

type Fetch = (url: string, init: RequestInit) => Promise<Response>

async function suite(t: Test, baseUrl: string, fetch: Fetch) {
  const answered = new Set<string>()
  const aklp = createClient({
    baseUrl,
    fetch: async (url, init) => {
      const response = await fetch(url, init)
      const call = `${init.method} ${new URL(url).pathname}`
      const operation = allOperations.find(({ pattern }) => pattern.test(call))
      if (response.ok && operation) answered.add(operation.operationId)
      return response
    },
  })

  await t.test('a plan is made, worked through, resumed and cleaned up', async (t) => {
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
    t.match(await aklp.health.get(), { status: 'healthy', database: 'healthy' })
  })

  await t.test('every operation of the contract has answered', async (t) => {
    t.same([...answered].sort(), allOperations.map(({ operationId }) => operationId).sort())
  })

  await t.test('a session sees and makes its own, and no others', async (t) => {
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

  await t.test('completing every pending task of several pages in a loop leaves none over', async (t) => {
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

  await t.test(
    'a create with the same key of one’s own happens once, also from another client',
    async (t) => {
      const session = aklp.session(randomUUID())
      const key = `${randomUUID()}:plan:1`
      const plan = { reason: 'once', tasks: [{ title: 'a' }, { title: 'b' }] }
      const first = await session.batches.create(plan, { idempotencyKey: key })
      t.same(await session.batches.create(plan, { idempotencyKey: key }), first)
      t.equal((await session.tasks.list()).total, 2)
      const other = { reason: 'another', tasks: [{ title: 'c' }] }
      const error = await failure(session.batches.create(other, { idempotencyKey: key }), ValidationError)
      t.equal(error.error_code, 'idempotency_key_reused')
      t.not((await session.batches.create(plan)).id, first.id, 'without a key it is a new one')
    },
  )

  await t.test('a task that somebody changed since is not overwritten', async (t) => {
    const seen = await aklp.tasks.create({ title: 'a' })
    const changed = await aklp.tasks.update(seen.id, { title: 'b' }, { ifUnchangedSince: seen.updated_at })
    const late = aklp.tasks.update(seen.id, { title: 'c' }, { ifUnchangedSince: seen.updated_at })
    const error = await failure(late, ConflictError)
    t.equal(error.error_code, 'task_changed')
    t.same(error.current, changed)
    t.match(error.message, JSON.stringify(changed))
    await failure(aklp.tasks.delete(seen.id, { ifUnchangedSince: seen.updated_at }), ConflictError)
    await aklp.tasks.delete(seen.id, { ifUnchangedSince: error.current!.updated_at })
  })

  await t.test('the message of a refusal alone says what to change', async (t) => {
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
    t.match(error.message, 'did you mean title?')
    t.match(error.message, 'did you mean completed?')
    t.match(error.message, 'high, medium, low')
  })

  await t.test('every operation is a tool, under a name that models take', async (t) => {
    t.same(tools.map(({ name }) => name).sort(), allOperations.map(({ operationId }) => operationId).sort())
    for (const { name, description, parameters } of tools) {
      t.match(name, /^[a-zA-Z0-9_-]{1,64}$/)
      t.ok(description.length > 20)
      t.match(parameters, { type: 'object', properties: Object, additionalProperties: false })
      t.notMatch(JSON.stringify(parameters), '$ref', 'stands alone')
    }
  })

  await t.test('a model works with the tools as the program does with the methods', async (t) => {
    const session = aklp.session(randomUUID())
    const call = async (name: string, input: unknown) => {
      const { content, is_error } = await callTool(session, name, input)
      t.match({ content, is_error }, { is_error: false }, name)
      return content === 'Done.' ? content : JSON.parse(content)
    }
    const batch = await call('createBatch', { reason: 'because', tasks: [{ title: 'a' }, { title: 'b' }] })
    const [a, b] = batch.tasks
    t.match(await call('createTask', JSON.stringify({ title: 'c' })), { title: 'c' })
    t.match(await call('updateTask', { task_id: a.id, status: 'completed' }), { status: 'completed' })
    t.match(await call('bulkUpdateTasks', { tasks: [{ id: b.id, priority: 'low' }] }), { not_found: [] })
    t.match(await call('getTask', { task_id: b.id }), { priority: 'low' })
    t.match(await call('listTasks', { status: 'pending' }), { total: 2 })
    t.match(await call('listBatches', {}), { total: 1 })
    t.match(await call('getBatch', { batch_id: batch.id }), { id: batch.id })
    t.match(await call('latestBatch', { session_id: randomUUID() }), { id: batch.id }, 'of its own session')
    t.equal(await call('deleteTask', { task_id: a.id }), 'Done.')
    t.match(await call('bulkDeleteTasks', { ids: [a.id, b.id] }), { deleted_count: 1, not_found: [a.id] })
    t.match(await call('getHealth', {}), { status: 'healthy' })
    t.equal(await aklp.session(randomUUID()).batches.latest(), null)

    const again = { idempotencyKey: `call:${randomUUID()}` }
    const once = await callTool(session, 'createTask', { title: 'd' }, again)
    t.same(await callTool(session, 'createTask', { title: 'd' }, again), once, 'a call that is replayed')
  })

  await t.test('the mistakes of a model come back as what to change', async (t) => {
    const mistakes: [string, unknown, string | RegExp][] = [
      ['createTask', { titel: 'a' }, 'did you mean title?'],
      ['createTask', '{"title": ', 'The input must be a JSON object'],
      ['createTask', null, 'The input must be a JSON object'],
      ['listTasks', { status: 'done' }, 'must be pending, in_progress or completed'],
      ['bulkUpdateTasks', { task: [] }, /tasks is required/],
      ['updateTask', { id: randomUUID(), status: 'completed' }, 'task_id must be an id'],
      ['getTask', { task_id: randomUUID() }, '404 task_not_found: There is no task with this id'],
      ['finishTask', {}, 'There is no tool finishTask. There are: '],
      ['constructor', {}, 'There is no tool constructor.'],
    ]
    for (const [name, input, correction] of mistakes) {
      const { content, is_error } = await callTool(aklp, name, input)
      t.equal(is_error, true, name)
      t.match(content, correction)
    }
  })
}

t.test('the service', async (t) => {
  const { app, baseUrl } = await startService(t)
  await t.test('over HTTP', (t) => suite(t, baseUrl, (url, init) => fetch(url, init)))
  await t.test('in its own process, without a network', (t) => suite(t, baseUrl, inProcess(app)))
})

t.test('a service that cannot be reached is told to the program, not to the model', async (t) => {
  const aklp = createClient({
    baseUrl: 'http://tasks.test',
    retries: 0,
    fetch: () => Promise.reject(new Error()),
  })
  await t.rejects(callTool(aklp, 'getHealth', {}), { name: 'ConnectionError' })
})
