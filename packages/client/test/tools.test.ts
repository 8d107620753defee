import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createClient } from '../src/index.js'
import { callTool, tools } from '../src/tools.js'
import { operations } from './contract.js'
import { startService } from './support.js'

const { baseUrl } = await startService(t)
const aklp = createClient({ baseUrl })

t.test('every operation is a tool with a name that models accept and a schema without references', (t) => {
  t.same(tools.map(({ name }) => name).sort(), operations.map(({ operationId }) => operationId).sort())
  for (const { name, description, parameters } of tools) {
    t.match(name, /^[a-zA-Z0-9_-]{1,64}$/)
    t.ok(description.length > 20)
    t.match(parameters, { type: 'object', properties: Object, additionalProperties: false })
    t.notMatch(JSON.stringify(parameters), '$ref')
  }
  t.end()
})

t.test('every tool calls its operation and returns the response as JSON', async (t) => {
  const session = aklp.session(randomUUID())
  const call = async (name: string, input: unknown) => {
    const { content, is_error } = await callTool(session, name, input)
    t.match({ content, is_error }, { is_error: false }, name)
    return content === 'Done.' ? content : JSON.parse(content)
  }
  const batch = await call('createBatch', { reason: 'because', tasks: [{ title: 'a' }, { title: 'b' }] })
  const [a, b] = batch.tasks
  t.match(await call('createTask', { title: 'c' }), { title: 'c' })
  t.match(await call('updateTask', { task_id: a.id, status: 'completed' }), { status: 'completed' })
  t.match(await call('bulkUpdateTasks', { tasks: [{ id: b.id, priority: 'low' }] }), { not_found: [] })
  t.match(await call('getTask', { task_id: b.id }), { priority: 'low' })
  t.match(await call('listTasks', { status: 'pending' }), { total: 2 })
  t.match(await call('listBatches', {}), { total: 1 })
  t.match(await call('getBatch', { batch_id: batch.id }), { id: batch.id })
  t.match(await call('latestBatch', {}), { id: batch.id })
  t.match(await call('extendBatch', { batch_id: batch.id, tasks: [{ title: 'd' }] }), {
    tasks: { length: 3 },
  })
  const { task, lease } = await call('claimNextTask', { worker: 'agent-1' })
  t.match(task, { id: b.id, status: 'in_progress', claimed_by: 'agent-1' })
  t.match(await call('renewLease', { task_id: b.id, token: lease.token }), { lease: { token: lease.token } })
  t.match(await call('releaseTask', { task_id: b.id, token: lease.token }), { status: 'pending' })
  t.match(await call('claimTask', { task_id: b.id, worker: 'agent-2' }), { task: { claimed_by: 'agent-2' } })
  t.equal(await call('deleteTask', { task_id: a.id }), 'Done.')
  t.match(await call('bulkDeleteTasks', { ids: [a.id, b.id] }), { deleted_count: 1, not_found: [a.id] })
  t.match(await call('getSession', {}), { progress: { total: 2 } })
  t.match(await call('getHealth', {}), { status: 'healthy' })
})

t.test('a model lists fifty tasks in at most 6 kB, and other fields when it asks for them', async (t) => {
  const session = aklp.session(randomUUID())
  const titles = [
    'nginx Pod 생성 후 상태 확인하기',
    'Write the YAML of a ClusterIP Service',
    'Expose the Deployment as a NodePort',
    'ConfigMap을 환경 변수로 주입하기',
    'Roll back the broken Deployment with kubectl',
  ]
  await session.batches.create({
    tasks: Array.from({ length: 50 }, (_, n) => ({
      title: titles[n % titles.length]!,
      description: 'kubectl로 리소스를 만들고, describe와 logs로 상태를 확인한 뒤 결과를 설명하세요. '.repeat(
        3,
      ),
      metadata: { namespace: `lab-${n}`, hints: ['kubectl get pods', 'kubectl describe pod'], level: n % 3 },
      priority: (['high', 'medium', 'low'] as const)[n % 3]!,
      due_date: '2026-12-31',
      status: n < 15 ? 'completed' : n < 18 ? 'in_progress' : 'pending',
    })),
  })
  const lean = await callTool(session, 'listTasks', { limit: 50 })
  const bytes = Buffer.byteLength(lean.content)
  t.ok(bytes <= 6000, `${bytes} bytes`)
  t.equal(JSON.parse(lean.content).items.length, 50)
  const all = Buffer.byteLength(JSON.stringify(await session.tasks.list({ limit: 50 })))
  t.ok(all > 30_000, `${all} bytes with all fields`)

  const { content } = await callTool(session, 'listTasks', { fields: ['description', 'metadata'], limit: 1 })
  t.match(JSON.parse(content).items, [{ id: String, description: /kubectl/, metadata: { level: Number } }])
  const state = JSON.parse((await callTool(session, 'getSession', {})).content)
  t.same(Object.keys(state.next), ['id', 'title', 'status', 'result'])
  const { items } = JSON.parse((await callTool(session, 'listBatches', {})).content)
  t.same(Object.keys(items[0]), ['id', 'reason', 'progress'])
  for (const { name, parameters } of tools as any[]) {
    const { fields } = parameters.properties
    if (fields) t.match(fields, { default: Array, description: /`id` is always included/ }, name)
  }
})

t.test('the input of a tool may be JSON text', async (t) => {
  const { content } = await callTool(aklp, 'createTask', JSON.stringify({ title: 'a' }))
  t.match(JSON.parse(content), { title: 'a' })
})

t.test('a session_id in the input cannot leave the session', async (t) => {
  const [own, other] = [aklp.session(randomUUID()), randomUUID()]
  await aklp.batches.create({ session_id: other, tasks: [{ title: 'a' }] })
  t.same(await callTool(own, 'latestBatch', { session_id: other }), { content: 'null', is_error: false })
  const { content } = await callTool(own, 'getSession', { session_id: other })
  t.match(JSON.parse(content), { progress: { total: 0 } })
})

t.test('a tool call with the same idempotency key creates its task once', async (t) => {
  const session = aklp.session(randomUUID())
  const options = { idempotencyKey: `call:${randomUUID()}` }
  const first = await callTool(session, 'createTask', { title: 'a' }, options)
  t.same(await callTool(session, 'createTask', { title: 'a' }, options), first)
  t.equal((await session.tasks.list()).total, 1)
})

t.test('an invalid tool call returns an error that says what to change', async (t) => {
  const calls: [string, unknown, string | RegExp][] = [
    ['createTask', { titel: 'a' }, /^- body\.titel: .*title.* Did you mean title\?$/m],
    ['createTask', '{"title": ', 'The input must be a JSON object'],
    ['createTask', null, 'The input must be a JSON object'],
    ['listTasks', { status: 'done' }, /^- query\.status\[0\]: .*pending.*in_progress.*completed/m],
    ['bulkUpdateTasks', { task: [] }, '- body.tasks: is required'],
    ['updateTask', { id: randomUUID(), status: 'completed' }, 'task_id must be an id'],
    ['getTask', { task_id: randomUUID() }, /^404 task_not_found: ./],
    ['finishTask', {}, 'Unknown tool finishTask. Available tools: '],
    ['constructor', {}, 'Unknown tool constructor.'],
  ]
  for (const [name, input, expected] of calls) {
    const { content, is_error } = await callTool(aklp, name, input)
    t.equal(is_error, true, name)
    t.match(content, expected)
  }
})

t.test('a tool call that gets no response throws', async (t) => {
  const offline = createClient({
    baseUrl: 'http://tasks.test',
    retries: 0,
    fetch: () => Promise.reject(new Error()),
  })
  await t.rejects(callTool(offline, 'getHealth', {}), { name: 'ConnectionError' })
})
