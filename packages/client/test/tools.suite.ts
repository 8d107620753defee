import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { type ClientOptions, ConnectionError, createClient } from '../src/index.js'
import { instructions, type ToolOptions, taskToolList, taskTools } from '../src/tools/index.js'
import { startService } from './support.js'

const { baseUrl } = await startService(t)
const aklp = createClient({ baseUrl })

const NAMES = [
  'resume',
  'create_plan',
  'extend_plan',
  'next_task',
  'finish_task',
  'update_task',
  'release_task',
  'get_task',
  'list_tasks',
]

/** Calls tools by name. The client may be another one for a single call, such as one whose answers are lost. */
function agent(options: ToolOptions = {}, client = aklp) {
  const { session = randomUUID(), worker = 'agent-1', ...rest } = options
  const own = { session, worker, ...rest }
  const tools = Object.fromEntries(taskToolList(client, own).map(({ name, execute }) => [name, execute]))
  const call = (name: string, input: unknown = {}): Promise<any> => tools[name]!(input)
  return { session, worker, call, others: (client: typeof aklp) => agent(own, client).call }
}

/** A client whose calls reach the service, and whose answers get lost from the nth call on. */
function losing(nth: number) {
  let calls = 0
  const fetch: ClientOptions['fetch'] = async (url, init) => {
    const response = await globalThis.fetch(url, init)
    if (++calls >= nth) throw new Error('the answer was lost')
    return response
  }
  return createClient({ baseUrl, retries: 0, fetch })
}

const chain = (...titles: string[]) =>
  titles.map((title, n) => ({
    key: title,
    title,
    description: `Do ${title}`,
    ...(n > 0 && { blocked_by: [titles[n - 1]!] }),
  }))

t.test('the nine tools are in one order, and their schemas need nothing else', (t) => {
  const tools = taskToolList(aklp)
  t.same(
    tools.map(({ name }) => name),
    NAMES,
  )
  t.same(Object.keys(taskTools(aklp)), NAMES)
  for (const { name, id, description, parameters, schema, inputSchema, strict } of tools) {
    t.equal(id, name)
    t.ok(description.length > 40, name)
    t.match(parameters, { type: 'object', properties: Object, required: Array, additionalProperties: false })
    t.notMatch(JSON.stringify(parameters), /\$ref|"x-|examples/)
    t.equal(schema, parameters)
    t.same(inputSchema['~standard'].jsonSchema.input(), parameters)
    t.equal(strict, false)
    t.ok(instructions.includes(name), `${name} is in the instructions`)
  }
  t.end()
})

t.test('the pages about MCP name the tools in this order', (t) => {
  for (const page of ['docs/mcp.md', 'docs/ko/mcp.md']) {
    const text = readFileSync(new URL(`../../../${page}`, import.meta.url), 'utf8')
    t.same(
      [...text.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, name]) => name),
      NAMES,
      page,
    )
  }
  t.end()
})

t.test('enums and limits are those of the service', (t) => {
  const { properties } = taskToolList(aklp).find(({ name }) => name === 'update_task')!.parameters
  t.same(properties.status!.enum, ['pending', 'in_progress', 'completed'])
  t.same(properties.priority!.enum, ['high', 'medium', 'low', null])
  t.equal(properties.title!.maxLength, 255)
  t.equal(properties.result!.maxLength, 4000)
  t.end()
})

t.test('an agent plans, works, comes back and finishes', async (t) => {
  const { call, session } = agent()
  t.match(await call('resume'), { session_id: session, next_step: /create_plan/ })
  const plan = await call('create_plan', { tasks: chain('a', 'b'), reason: 'Two steps' })
  t.match(plan, {
    batch_id: String,
    tasks: [
      { key: 'a', is_ready: true },
      { key: 'b', is_ready: false },
    ],
    progress: { total: 2 },
  })
  const first = await call('next_task')
  t.match(first, { task: { key: 'a', description: 'Do a' }, token: String, expires_at: String })
  t.match(await call('resume'), {
    in_progress: [{ key: 'a', claimed_by: 'agent-1' }],
    latest_batch: { id: plan.batch_id, reason: 'Two steps' },
    next_step: /You hold "a": call next_task/,
  })
  const again = await call('next_task')
  t.match(again, { task: { key: 'a', attempts: undefined } }, 'it is the same task, and not another attempt')
  const second = await call('finish_task', {
    task_id: again.task.id,
    token: again.token,
    result: 'a is done',
    note: 'mind the gap',
  })
  t.match(second, { finished: first.task.id, next: { task: { key: 'b' }, token: String } })
  t.match(await call('extend_plan', { tasks: [{ key: 'c', title: 'c', blocked_by: ['b'] }] }), {
    batch_id: plan.batch_id,
    tasks: [{ key: 'c', is_ready: false }],
    progress: { total: 3 },
  })
  const { task, token } = second.next
  t.match(await call('update_task', { task_id: task.id, token, priority: 'high' }), {
    task: { key: 'b', priority: 'high' },
    expires_at: String,
  })
  const shown = await call('get_task', { task_id: task.id })
  t.match(shown, { blocked_by: [{ key: 'a', status: 'completed', result: 'a is done' }] })
  const back = await call('release_task', {
    task_id: task.id,
    token,
    note: 'later',
    not_before: '2999-01-01',
  })
  t.match(back, { task: { status: 'pending', not_before: '2999-01-01T00:00:00.000Z' } })
  t.match((await call('get_task', { task_id: task.id })).notes, [{ by: 'agent-1', note: 'later' }])
  t.match(await call('next_task'), {
    task: undefined,
    progress: { deferred: 1 },
    next_step: /deferred.*call next_task again later/,
  })
  await call('update_task', { task_id: task.id, not_before: null, note: 'now' })
  const third = await call('next_task', { task_id: task.id, lease_seconds: 3600 })
  const left = Date.parse(third.expires_at) - Date.now()
  t.ok(left > 3_500_000)
  const renewed = await call('update_task', { task_id: task.id, token: third.token })
  t.ok(Date.parse(renewed.expires_at) >= Date.parse(third.expires_at), 'a renewal does not shorten a lease')
  t.same(await call('finish_task', { task_id: task.id, token: third.token, result: 'b', next: false }), {
    finished: task.id,
  })
  const last = await call('next_task')
  t.match(await call('finish_task', { task_id: last.task.id, token: last.token, result: 'c' }), {
    next: { task: undefined, progress: { percent: 100 }, next_step: /All tasks are completed/ },
  })
  t.match(await call('resume'), {
    recent: [{ key: 'c' }, { key: 'b' }, { key: 'a', result: 'a is done' }],
    notes: [{ note: 'now' }, { note: 'later' }, { note: 'mind the gap', by: 'agent-1' }],
  })
})

t.test('of many mistakes, the first ten are described and the others counted', async (t) => {
  const { call } = agent()
  const { error } = await call(
    'list_tasks',
    Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`statu${n}`, 1])),
  )
  t.equal(error.match(/ is unknown/g).length, 10)
  t.match(error, /^statu0 is unknown \(did you mean status\?\), allowed: .*; and 990 more\./)
})

t.test('answers have no nulls, empty lists or empty objects', async (t) => {
  const { call } = agent()
  const plan = await call('create_plan', { tasks: chain('a', 'b') })
  const task_id = plan.tasks[0].id
  const claimed = await call('next_task')
  const answers = [
    plan,
    claimed,
    await call('resume'),
    await call('get_task', { task_id }),
    await call('list_tasks'),
    await call('update_task', { task_id, token: claimed.token, title: 'A' }),
    await call('release_task', { task_id, token: claimed.token }),
  ]
  for (const answer of answers) t.notMatch(JSON.stringify(answer), /null|\[\]|\{\}/)
})

t.test('fifty tasks listed take at most 6 kB, and those that others wait for are named', async (t) => {
  const { call } = agent()
  const titles = [
    'nginx Pod 생성 후 상태 확인하기',
    'Write the YAML of a ClusterIP Service',
    'Expose the Deployment as a NodePort',
    'ConfigMap을 환경 변수로 주입하기',
    'Roll back the broken Deployment with kubectl',
  ]
  await call('create_plan', {
    tasks: Array.from({ length: 130 }, (_, n) => ({
      key: `step-${n}`,
      title: titles[n % titles.length],
      description: 'kubectl로 리소스를 만들고, describe와 logs로 상태를 확인합니다. '.repeat(5),
      ...(n > 0 && { blocked_by: [`step-${n - 1}`] }),
    })),
  })
  const first = await call('list_tasks', { limit: 50 })
  const bytes = Buffer.byteLength(JSON.stringify(first))
  t.ok(bytes <= 6000, `${bytes} bytes`)
  t.equal(first.tasks.length, 50)
  t.same(first.tasks[0].slice(1), ['step-0', titles[0], 'pending'])
  t.same(first.tasks[1].slice(1), ['step-1', titles[1], 'pending', ['step-0']])
  const second = await call('list_tasks', { limit: 50, cursor: first.next_cursor })
  t.same(second.tasks[0].slice(1), ['step-50', titles[0], 'pending', ['step-49']], 'of the page before')
  const claimed = await call('next_task')
  await call('finish_task', { task_id: claimed.task.id, token: claimed.token, result: 'ok', next: false })
  const { tasks } = await call('list_tasks', { limit: 2 })
  t.same(
    tasks.map(([, key, , status, open]: string[]) => [key, status, open]),
    [
      ['step-0', 'completed', undefined],
      ['step-1', 'pending', undefined],
    ],
    'completed blockers are not open',
  )
  t.equal((await call('list_tasks')).tasks.length, 20)
  t.equal((await call('list_tasks', { ready: true })).total, 1)
  t.equal((await call('list_tasks', { q: 'clusterip service' })).total, 26)
})

t.test('long results of other tasks are cut, and the answer says so', async (t) => {
  const { call } = agent()
  const result = '긴 결과 🙂'.repeat(500)
  const { tasks } = await call('create_plan', { tasks: chain('a', 'b') })
  const { task, token } = await call('next_task')
  await call('finish_task', { task_id: task.id, token, result })
  for (const cut of [
    (await call('resume')).recent[0].result,
    (await call('get_task', { task_id: tasks[1].id })).blocked_by[0].result,
  ]) {
    t.ok(cut.length < 600)
    t.match(cut, /… \(\d+ more characters: get_task returns all\)$/)
    t.ok(cut.isWellFormed?.() ?? true)
  }
  t.equal((await call('get_task', { task_id: tasks[0].id })).task.result, result)
})

t.test('a call that is repeated after its answer was lost does nothing twice', async (t) => {
  /** Runs the call with each of its answers lost in turn, and then once more. */
  const repeated = async (own: ReturnType<typeof agent>, name: string, input: object = {}) => {
    for (let nth = 1; nth <= 6; nth++) {
      const lost = await own
        .others(losing(nth))(name, input)
        .catch((error) => error)
      if (lost instanceof ConnectionError) continue
      t.ok(nth > 1, `${name} lost ${nth - 1} answers`)
      break
    }
    const answer = await own.call(name, input)
    t.equal(answer.error, undefined, `${name}: ${answer.error}`)
    return answer
  }
  const own = agent()
  const plan = await repeated(own, 'create_plan', { tasks: chain('a', 'b'), reason: 'once' })
  t.match(plan, { already_there: /already there/, tasks: [{ key: 'a', is_ready: true }, { key: 'b' }] })
  const added = await repeated(own, 'extend_plan', { tasks: [{ key: 'c', title: 'c', blocked_by: ['b'] }] })
  t.match(added, { already_there: String, batch_id: plan.batch_id, tasks: [{ key: 'c' }] })
  t.equal((await aklp.batches.list({ session_id: own.session })).total, 1)
  t.equal((await aklp.tasks.list({ session_id: own.session })).total, 3)

  const { task, token } = await repeated(own, 'next_task')
  t.match(task, { key: 'a', attempts: undefined }, 'claimed once')
  const noted = { task_id: task.id, token, description: 'B', note: 'said once' }
  await repeated(own, 'update_task', noted)
  const done = { task_id: task.id, token, result: 'ok', note: 'done once' }
  const { next } = await repeated(own, 'finish_task', done)
  t.match(next.task, { key: 'b', attempts: undefined })
  t.same(await own.call('finish_task', done), { finished: task.id, next }, 'the same answer again')
  const released = { task_id: next.task.id, token: next.token, note: 'back once' }
  t.match(await repeated(own, 'release_task', released), { task: { status: 'pending' } })
  const single = await repeated(own, 'next_task', { task_id: next.task.id })
  const ended = { task_id: next.task.id, token: single.token, status: 'completed', result: 'by hand' }
  t.match(await repeated(own, 'update_task', ended), { task: { status: 'completed' } })
  const c = await own.call('next_task')
  await repeated(own, 'finish_task', { task_id: c.task.id, token: c.token, result: 'last', next: false })

  const { items } = await aklp.events.list({ session_id: own.session, limit: 500 })
  const notes = items.flatMap(({ note }) => note ?? []).sort()
  t.same(notes, ['back once', 'done once', 'said once'])
  t.same(
    items.flatMap(({ changes }) =>
      changes.filter(({ field, to }) => field === 'status' && to === 'completed'),
    ).length,
    3,
    'each task was completed once',
  )
})

t.test(
  'a second held task keeps its token when the answer of next_task for the first was lost',
  async (t) => {
    const { call } = agent()
    const { tasks } = await call('create_plan', {
      tasks: [
        { key: 'a', title: 'a' },
        { key: 'b', title: 'b' },
      ],
    })
    await call('next_task', { task_id: tasks[0].id })
    const b = await call('next_task', { task_id: tasks[1].id })
    const a = await call('next_task', { task_id: tasks[0].id })
    for (const { task, token } of [a, b])
      t.match(await call('finish_task', { task_id: task.id, token, result: 'ok', next: false }), {
        finished: task.id,
      })
  },
)

t.test('finish_task that is repeated much later returns a task that is still to do', async (t) => {
  const { call } = agent()
  await call('create_plan', { tasks: chain('a', 'b', 'c') })
  const a = await call('next_task')
  const done = { task_id: a.task.id, token: a.token, result: 'ok' }
  const { next } = await call('finish_task', done)
  await call('finish_task', { task_id: next.task.id, token: next.token, result: 'ok', next: false })
  t.match(await call('finish_task', done), { finished: a.task.id, next: { task: { key: 'c' } } })
})

t.test('a plan that was deleted meanwhile is created again', async (t) => {
  const { call, session } = agent()
  const { batch_id } = await call('create_plan', { tasks: chain('a') })
  // What `prune` does, seen from outside: the batch is gone.
  const missing = createClient({
    baseUrl,
    fetch: (url, init) => globalThis.fetch(url.replace(batch_id, randomUUID()), init),
  })
  const again = await agent({ session }, missing).call('create_plan', { tasks: chain('a') })
  t.equal(again.already_there, undefined)
  t.not(again.batch_id, batch_id)
})

t.test('tasks that were added to one plan are not added to a later one by a retry', async (t) => {
  const { call } = agent()
  const { batch_id } = await call('create_plan', { tasks: chain('a') })
  const more = { tasks: [{ key: 'more', title: 'more' }] }
  await call('extend_plan', more)
  await call('create_plan', { tasks: chain('x') })
  t.match(await call('extend_plan', more), { error: /were added to another plan before.*batch_id/ })
  t.match(await call('extend_plan', { ...more, batch_id: (await call('resume')).latest_batch.id }), {
    tasks: [{ key: 'more' }],
    already_there: undefined,
  })
  t.match(await call('extend_plan', { tasks: [{ key: 'z', title: 'z' }], batch_id }), { batch_id })
})

t.test('two agents on one plan never have the same task', async (t) => {
  const session = randomUUID()
  const [one, two] = [agent({ session, worker: 'one' }), agent({ session, worker: 'two' })]
  await one.call('create_plan', {
    tasks: Array.from({ length: 20 }, (_, n) => ({ key: `t${n}`, title: `t${n}` })),
  })
  const work = async ({ call }: typeof one) => {
    const done: string[] = []
    let claim = await call('next_task')
    while (claim.task) {
      done.push(claim.task.id)
      claim = (await call('finish_task', { task_id: claim.task.id, token: claim.token, result: 'ok' })).next
    }
    return done
  }
  const done = (await Promise.all([work(one), work(two)])).flat()
  t.equal(done.length, 20)
  t.equal(new Set(done).size, 20)
})

t.test('mistakes come back as a sentence with the allowed values, the near one and what to do', async (t) => {
  const { call, session } = agent()
  const { tasks } = await call('create_plan', { tasks: chain('a', 'b') })
  const [task_id, blocked] = tasks.map(({ id }: { id: string }) => id)
  const token = randomUUID()
  const elsewhere = await aklp.batches.create({ session_id: randomUUID(), tasks: [{ title: 'foreign' }] })
  const foreign = elsewhere.tasks[0]!.id
  const calls: [string, unknown, RegExp][] = [
    [
      'resume',
      { verbose: true },
      /^verbose is unknown, allowed: nothing\. Correct this and call resume again\.$/,
    ],
    [
      'create_plan',
      {},
      /^tasks is required\. Nothing was changed\. Correct this and call create_plan again\.$/,
    ],
    ['create_plan', { tasks: [] }, /^tasks must have 1 to 500 items, not 0\./],
    ['create_plan', { tasks: 'a' }, /^tasks must be a list, not "a"\./],
    [
      'create_plan',
      { tasks: [{ key: 'a', titel: 'a' }] },
      /tasks\[0\]\.titel is unknown \(did you mean title\?\), allowed: key, title, .*; tasks\[0\]\.title is required/,
    ],
    [
      'create_plan',
      { tasks: [{ key: 'a', title: 'a', priority: 'urgent' }] },
      /tasks\[0\]\.priority must be high, medium or low, not "urgent" \(did you mean high\?\)/,
    ],
    [
      'create_plan',
      { tasks: [{ key: 'a b', title: 'a' }] },
      /^tasks\[0\]\.key must .*Nothing was changed\. Correct it and call create_plan again\.$/,
    ],
    [
      'create_plan',
      { tasks: [{ key: 'a', title: 'a', blocked_by: ['nope'] }] },
      /^tasks\[0\]\.blocked_by\[0\] must be the key .*No other task has a key\. Nothing/,
    ],
    [
      'create_plan',
      {
        tasks: [
          { key: 'a', title: 'a', blocked_by: ['b'] },
          { key: 'b', title: 'b', blocked_by: ['a'] },
        ],
      },
      /a → b → a.*Nothing was changed\. Correct it/,
    ],
    ['extend_plan', { tasks: [{ key: 'a', title: 'again' }] }, /^tasks\[0\]\.key .*Nothing was changed/],
    [
      'extend_plan',
      { tasks: chain('z'), batch_id: randomUUID() },
      /^No plan has this batch_id in this session\./,
    ],
    [
      'extend_plan',
      { tasks: chain('z'), plan_id: randomUUID() },
      /plan_id is unknown \(did you mean batch_id\?\)/,
    ],
    ['next_task', { lease_seconds: 5 }, /^lease_seconds must be a whole number from 10 to 86400, not 5\./],
    [
      'next_task',
      { task_id: blocked },
      /^The task waits for tasks that are not completed: a \(a\)\. Nothing was changed\. Finish those first: call next_task\.$/,
    ],
    ['next_task', { task_id: foreign }, /^The task belongs to another session\./],
    ['next_task', { batch_id: elsewhere.id }, /^No plan has this batch_id in this session\./],
    ['extend_plan', { tasks: chain('z'), batch_id: elsewhere.id }, /^No plan has this batch_id/],
    ['next_task', { batch_id: randomUUID() }, /^No plan has this batch_id in this session\./],
    ['finish_task', { task_id, result: 'ok' }, /^token is required\./],
    ['finish_task', { task_id, token, result: '' }, /^result must have 1 to 4000 characters, not 0\./],
    [
      'finish_task',
      { task_id, token, result: 'ok', output: 'ok' },
      /output is unknown \(did you mean result\?\)/,
    ],
    [
      'finish_task',
      { task_id, token, result: 'ok' },
      /^You do not hold this task with this token: its status is pending now\. Nothing was changed\. Stop work on this task and call next_task\.$/,
    ],
    [
      'finish_task',
      { task_id, token, result: 'ok', next: 'yes' },
      /^next must be true or false, not "yes"\./,
    ],
    [
      'update_task',
      { task_id, status: 'done' },
      /^status must be pending, in_progress or completed, not "done" \(did you mean completed\?\)/,
    ],
    [
      'update_task',
      { task_id: blocked, status: 'completed' },
      /^The task waits for tasks that are not completed: a/,
    ],
    ['update_task', { task_id }, /^Nothing was changed: give at least one field to change\.$/],
    ['update_task', { task_id, token, title: 'x' }, /^You do not hold this task/],
    ['update_task', { task_id: foreign, title: 'x' }, /^The task belongs to another session\./],
    ['update_task', { task_id, due_date: 'tomorrow' }, /^due_date must be an existing time such as /],
    ['update_task', { task_id, title: null }, /^Nothing was changed: give at least one field/],
    ['release_task', { task_id, token: 'mine' }, /^token must be an id \(a UUID\), not "mine"\./],
    [
      'get_task',
      { task_id: '5' },
      /^task_id must be an id \(a UUID\), not "5"\. Correct this and call get_task again\.$/,
    ],
    [
      'get_task',
      { id: task_id },
      /^id is unknown \(did you mean task_id\?\), allowed: task_id; task_id is required\./,
    ],
    [
      'get_task',
      { task_id: randomUUID() },
      /^No task has this id in this session\. Call list_tasks to find the ids\.$/,
    ],
    ['get_task', { task_id: foreign }, /^The task belongs to another session\. Call list_tasks/],
    ['list_tasks', { limit: 1000 }, /^limit must be a whole number from 1 to 100, not 1000\./],
    [
      'list_tasks',
      { cursor: 'x' },
      /^cursor must be the next_cursor .*Correct it and call list_tasks again\.$/,
    ],
    ['list_tasks', { session_id: randomUUID() }, /^session_id is unknown/],
    ['list_tasks', '{"limit": ', /^the input is not valid JSON\./],
    ['list_tasks', [1], /^the input must be an object, not \[1\]\./],
  ]
  for (const [name, input, expected] of calls) {
    const { error } = await call(name, input)
    t.match(error, expected, `${name} ${JSON.stringify(input)}`)
    t.notMatch(error, /POST|GET|PUT|api\/v1|Lease-Token|Idempotency|undefined/)
  }
  t.equal((await aklp.tasks.list({ session_id: session })).total, 2, 'nothing was created')
  await agent({ session, worker: 'other' }).call('next_task')
  t.match(await call('next_task', { task_id }), {
    error: /^other has this task until .* Do not start work on it: call next_task without task_id/,
  })
  t.match(await call('release_task', { task_id, token }), { error: /other has it now.*Stop work/ })
})

t.test('without a session, the model is asked for one, and gets a new id', async (t) => {
  const tools = taskTools(aklp, { worker: 'agent-1' })
  const { error } = (await tools.create_plan.execute({ tasks: chain('a') })) as { error: string }
  const [session_id] = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(error)!
  t.match(error, /^session_id is required/)
  t.match(await tools.create_plan.execute({ session_id, tasks: chain('a') }), { progress: { total: 1 } })
  t.match(await tools.next_task.execute({ session_id }), { task: { key: 'a' } })
  t.match(await tools.resume.execute({ session_id }), { session_id })
})

t.test('the program can hold session and leases, so that a model has none to make up', async (t) => {
  const { call, session } = agent({ holdLeases: true })
  const shown = taskToolList(aklp, { session, holdLeases: true })
  for (const { name, parameters } of shown) {
    t.notOk('token' in parameters.properties || 'session_id' in parameters.properties, name)
    t.notOk(parameters.required.includes('token'), name)
  }
  await call('create_plan', { tasks: chain('a', 'b', 'c') })
  const { task, token } = await call('next_task')
  t.equal(token, undefined)
  t.match(await call('update_task', { task_id: task.id, note: 'half' }), { expires_at: String })
  const { next } = await call('finish_task', { task_id: task.id, result: 'ok' })
  t.match(next, { task: { key: 'b' }, token: undefined })
  t.match(
    await call('finish_task', { task_id: task.id, result: 'ok' }),
    { next: { task: { key: 'b' } } },
    'again',
  )
  t.match(await call('finish_task', { task_id: task.id, result: 'other' }), {
    error: 'You do not hold this task. Stop work on it and call next_task.',
  })
  t.match(await call('release_task', { task_id: next.task.id }), { task: { status: 'pending' } })
  await call('next_task')
  await aklp.tasks.update(next.task.id, { status: 'pending' })
  t.match(await call('update_task', { task_id: next.task.id, title: 'B' }), {
    error: /^You do not hold this task/,
  })
  t.match(
    await call('update_task', { task_id: next.task.id, title: 'B' }),
    { task: { title: 'B' } },
    'no more as its holder',
  )
})

t.test('optional fields that a model sets to null are left out', async (t) => {
  const { call } = agent()
  const tasks = [{ key: 'a', title: 'a', blocked_by: null, priority: null, description: null }]
  t.match(await call('create_plan', { tasks, reason: null, session_id: undefined }), {
    progress: { total: 1 },
  })
  t.match(await call('next_task', { task_id: null, batch_id: null, lease_seconds: null }), {
    task: { key: 'a' },
  })
})

t.test('the input may be JSON text, and no input is an empty one', async (t) => {
  const { call } = agent()
  t.match(await call('create_plan', JSON.stringify({ tasks: chain('a') })), { batch_id: String })
  t.match(await call('resume', ''), { progress: { total: 1 } })
  t.match(await call('resume', null), { progress: { total: 1 } })
})

t.test('the Standard Schema of an input accepts what execute accepts, and names each mistake', (t) => {
  const { validate } = taskTools(aklp).get_task.inputSchema['~standard']
  const task_id = randomUUID()
  t.same(validate({ task_id, session_id: null }), { value: { task_id } })
  t.match(validate({ task: task_id }), {
    issues: [
      { path: ['task'], message: /^task is unknown \(did you mean task_id\?\)/ },
      { path: ['task_id'], message: /^task_id is required/ },
    ],
  })
  t.end()
})

t.test('errors of the service itself say whether to retry, and nothing internal', async (t) => {
  const failing = (status: number, problem: object | string, headers: Record<string, string> = {}) => {
    const body = typeof problem === 'string' ? problem : JSON.stringify(problem)
    const fetch = async () => new Response(body, { status, headers })
    return agent({}, createClient({ baseUrl: 'http://tasks.test', retries: 0, fetch })).call('resume')
  }
  const problem = (error_code: string) => ({ error_code, detail: 'GET /internal at db-1', request_id: 'r-1' })
  for (const [answer, expected] of [
    [
      failing(503, problem('overloaded'), { 'retry-after': '2' }),
      /^The task service is busy .*Wait 2 s and make the same call again/,
    ],
    [failing(429, problem('rate_limited')), /Wait 1 s/],
    [failing(500, problem('internal_error')), /^The task service failed.*request id r-1\.$/],
    [failing(401, problem('unauthorized')), /^The task service rejected the key.*Do not retry/],
    [failing(403, problem('forbidden')), /tasks:read/],
    [failing(421, problem('host_not_allowed')), /\(host_not_allowed\)/],
    [failing(502, '<html>nginx at 10.0.0.1</html>'), /HTTP 502.*check the URL/],
  ] as const) {
    const { error } = await answer
    t.match(error, expected)
    t.notMatch(error, /internal at|db-1|10\.0\.0\.1|tasks\.test/)
  }
})

t.test('a service that cannot be reached is thrown, and so is an abort', async (t) => {
  const offline = createClient({
    baseUrl: 'http://tasks.test',
    retries: 0,
    fetch: () => Promise.reject(new Error('offline')),
  })
  await t.rejects(agent({}, offline).call('resume'), { name: 'ConnectionError' })
  for (const name of ['signal', 'abortSignal']) {
    const context = { [name]: AbortSignal.abort(new Error('stop')) }
    await t.rejects(taskTools(aklp, { session: randomUUID() }).resume.execute({}, context), {
      name: 'AbortError',
    })
  }
})
