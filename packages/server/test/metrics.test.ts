import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { sql } from 'drizzle-orm'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp } from '../src/app.js'
import { openDatabase } from '../src/db/open.js'
import { loadConfig, serviceOptions } from '../src/start/config.js'
import { Metrics } from '../src/telemetry/metrics.js'
import { until } from './process.js'
import { createApi, onEachDatabase, options } from './support.js'

interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

/** Returns the samples of /metrics. Throws if a line is not a sample. */
async function scrape(app: FastifyInstance): Promise<Sample[]> {
  const { statusCode, headers, body } = await app.inject('/metrics')
  if (statusCode !== 200 || !/^text\/plain; version=0\.0\.4/.test(String(headers['content-type'])))
    throw new Error(`/metrics answered ${statusCode} ${headers['content-type']}`)
  return body
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('# '))
    .map((line) => {
      const [, name, labels = '', value] = /^([a-z_][\w]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      if (name === undefined || (Number.isNaN(Number(value)) && value !== 'Nan')) throw new Error(line)
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key, text])
      return { name, labels: Object.fromEntries(pairs), value: Number(value) }
    })
}

/** The sum of the samples of this name that have these labels. */
const read = (samples: Sample[], name: string, labels: Record<string, string> = {}) =>
  samples
    .filter((sample) => sample.name === name)
    .filter((sample) => Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0)

const loaded = (name: string) =>
  Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes(`/node_modules/${name}/`))

const database = await openDatabase('memory://', options)
t.teardown(() => database.close())

t.test('the modules for metrics and tracing are not loaded at start', async (t) => {
  const { app } = await createApi(database)
  t.teardown(() => app.close())
  t.ok(loaded('ajv'), 'loaded() finds modules')
  t.notOk(loaded('prom-client'))
  t.notOk(loaded('@opentelemetry'))
  await scrape(app)
  t.ok(loaded('prom-client'))
})

t.test('scrapes that come close together get the same response', async (t) => {
  const app = await buildApp({ ...serviceOptions(loadConfig({})), database, metricsMaxAge: 60_000 })
  t.teardown(() => app.close())
  const [one, other] = await Promise.all([app.inject('/metrics'), app.inject('/metrics')])
  await app.inject('/health')
  t.equal(one!.body, other!.body)
  t.equal((await app.inject('/metrics')).body, one!.body)
})

t.test('requests are counted by route, method and status, and unknown paths add no labels', async (t) => {
  const { app, call } = await createApi(database)
  t.teardown(() => app.close())
  const { body: task } = await call('POST', '/tasks', { title: 'a' })
  for (const id of [task.id, task.id, randomUUID()]) await call('GET', `/tasks/${id}`)
  await call('GET', '/tasks/1')
  await call('HEAD', `/tasks/${task.id}`)
  for (const path of ['/a', '/b?c=d', '/%zz', '/api/v1/taskz']) await app.inject(path)
  for (const method of ['PROPFIND', 'LOCK', 'TRACE'] as const)
    await app.inject({ method: method as 'GET', url: '/api/v1/tasks' })

  const samples = await scrape(app)
  const counted = (labels: Record<string, string>) => read(samples, 'aklp_http_requests_total', labels)
  const route = '/api/v1/tasks/:task_id'
  t.equal(counted({ route: '/api/v1/tasks', method: 'POST', status: '201' }), 1)
  t.equal(counted({ route, method: 'GET', status: '200' }), 2)
  t.equal(counted({ route, method: 'GET', status: '404' }), 1)
  t.equal(counted({ route, method: 'GET', status: '422' }), 1)
  t.equal(counted({ route, method: 'HEAD', status: '200' }), 1)
  t.equal(counted({ route: 'unknown', method: 'GET' }), 4)
  t.equal(counted({ route: '/api/v1/tasks', method: '_OTHER', status: '405' }), 3)
  t.equal(counted({}), 13)

  const duration = 'aklp_http_request_duration_seconds'
  t.equal(read(samples, `${duration}_count`, { route, method: 'GET' }), 4)
  t.equal(read(samples, `${duration}_bucket`, { route, method: 'GET', le: '+Inf' }), 4)
  t.ok(read(samples, `${duration}_sum`, { route, method: 'GET' }) > 0)
})

t.test('a histogram bucket counts the durations up to its bound', async (t) => {
  const metrics = new Metrics()
  for (const ms of [0, 1, 1.1, 2.5, 30, 10_000, 10_001]) metrics.answered('/a', 'GET', 200, ms)
  const [{ times, seconds }] = metrics.routes as [Metrics['routes'][number]]
  t.same(times, [2, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1])
  t.ok(Math.abs(seconds - 20.0356) < 1e-9)
})

onEachDatabase(async (t, { app, call, database }) => {
  /** What requests add to the counters of tasks: created, completed, replays. */
  const adds = async (run: () => Promise<unknown>) => {
    const names = ['aklp_tasks_created_total', 'aklp_tasks_completed_total', 'aklp_idempotent_replays_total']
    const before = await scrape(app)
    await run()
    const after = await scrape(app)
    return names.map((name) => read(after, name) - read(before, name))
  }
  const create = async (fields: object) => (await call('POST', '/tasks', { title: 'a', ...fields })).body.id
  const update = (id: string, fields: object, headers = {}) =>
    call('PUT', `/tasks/${id}`, fields, { headers })

  await t.test('created tasks and completions are counted', async (t) => {
    let id = ''
    const steps: [string, () => Promise<unknown>, number[]][] = [
      [
        'created',
        async () => {
          id = await create({})
        },
        [1, 0, 0],
      ],
      ['changed', () => update(id, { title: 'b' }), [0, 0, 0]],
      ['completed', () => update(id, { status: 'completed' }), [0, 1, 0]],
      ['left as it is', () => update(id, {}), [0, 0, 0]],
      ['completed again', () => update(id, { status: 'completed' }), [0, 0, 0]],
      ['changed afterwards', () => update(id, { title: 'c' }), [0, 0, 0]],
      ['reopened', () => update(id, { status: 'pending' }), [0, 0, 0]],
      ['not of this version', () => update(id, { status: 'completed' }, { 'if-match': '"x"' }), [0, 0, 0]],
      ['not there', () => update(randomUUID(), { status: 'completed' }), [0, 0, 0]],
      ['completed once more', () => update(id, { status: 'completed', title: 'd' }), [0, 1, 0]],
      [
        'created as completed, and left as it is',
        async () => update(await create({ status: 'completed' }), {}),
        [1, 1, 0],
      ],
      ['rejected', () => call('POST', '/tasks', { title: '' }), [0, 0, 0]],
      [
        'a batch',
        () =>
          call('POST', '/batches', {
            tasks: [
              { title: 'a' },
              { title: 'b', status: 'completed' },
              { title: 'c', status: 'in_progress' },
            ],
          }),
        [3, 1, 0],
      ],
    ]
    for (const [name, run, added] of steps) t.same(await adds(run), added, name)
  })

  await t.test('claims, expired leases that others took over, and ready tasks are counted', async (t) => {
    const session_id = randomUUID()
    const names = [
      'aklp_task_claims_total',
      'aklp_task_leases_expired_total',
      'aklp_tasks_completed_total',
      'aklp_idempotent_replays_total',
      'aklp_tasks_ready',
    ]
    const adds = async (run: () => Promise<unknown>) => {
      const before = await scrape(app)
      await run()
      const after = await scrape(app)
      return names.map((name) => read(after, name) - read(before, name))
    }
    const claim = async (body: object, headers = {}) =>
      (await call('POST', '/tasks/claim', { worker: 'one', session_id, ...body }, { headers })).body
    const tasks = [
      { key: 'a', title: 'a' },
      { title: 'b', blocked_by: ['a'] },
      { title: 'c', not_before: '2099-01-01' },
    ]
    t.same(await adds(() => call('POST', '/batches', { session_id, tasks })), [0, 0, 0, 0, 1])
    let claimed: any
    const key = { 'idempotency-key': 'counted' }
    const first = async () => {
      claimed = await claim({}, key)
    }
    t.same(await adds(first), [1, 0, 0, 0, -1])
    t.same(await adds(first), [0, 0, 0, 1, 0], 'replayed')
    t.same(await adds(() => claim({ worker: 'two' })), [0, 0, 0, 0, 0], 'nothing is ready')
    const { id } = claimed.task
    const expire = () =>
      database.db.execute(
        sql`update tasks set lease_expires_at = now() - interval '1 second' where id = ${id}`,
      )
    t.same(await adds(expire), [0, 0, 0, 0, 1])
    const takeOver = async () => {
      claimed = await claim({ worker: 'two' })
    }
    t.same(await adds(takeOver), [1, 1, 0, 0, -1])
    const done = () => ({ task_id: id, token: claimed.lease.token })
    t.same(await adds(() => claim({ done: done() })), [1, 0, 1, 0, 0], 'completed, and the next claimed')
    await call('PUT', `/tasks/${id}`, { status: 'pending' })
    t.same(await adds(() => call('POST', `/tasks/${id}/claim`, { worker: 'one' })), [1, 0, 0, 0, -1])
  })

  await t.test('a bulk update counts the tasks that it completes', async (t) => {
    const [open, other, done, gone] = [
      await create({}),
      await create({}),
      await create({ status: 'completed' }),
      randomUUID(),
    ]
    const status = 'completed'
    const bulk = (...tasks: object[]) => adds(() => call('PUT', '/tasks/bulk', { tasks }))
    t.same(await bulk({ id: open }, { id: done }), [0, 0, 0])
    t.same(
      await bulk(
        { id: open.toUpperCase(), status },
        { id: open, title: 'b' },
        { id: done, status },
        { id: other, status },
        { id: other, status: 'pending' },
        { id: gone, status },
      ),
      [0, 1, 0],
    )
    t.same(await bulk({ id: done, status: 'pending' }, { id: done, status }), [0, 1, 0], 'a new completion')
  })

  await t.test('a replay is counted as a replay only', async (t) => {
    for (const [path, body] of [
      ['/tasks', { title: 'a', status: 'completed' }],
      ['/batches', { tasks: [{ title: 'a', status: 'completed' }] }],
    ] as const) {
      const headers = { 'idempotency-key': randomUUID() }
      const post = (more = {}) => adds(() => call('POST', path, { ...body, ...more }, { headers }))
      t.same(await post(), [1, 1, 0])
      t.same(await post(), [0, 0, 1])
      t.same(
        await post({ session_id: randomUUID() }),
        [0, 0, 0],
        'rejected, as the key was used with a different request',
      )
    }
  })
})

t.test('metrics count the requests that use the database, wait for it and were rejected', async (t) => {
  const { app, call } = await createApi(database, { DATABASE_POOL_SIZE: '2' })
  t.teardown(() => app.close())
  const before = await scrape(app)
  t.equal(read(before, 'aklp_database_pool_size'), 2)
  for (const reason of ['full', 'late', 'gone']) t.ok(before.some(({ labels }) => labels.reason === reason))

  let release = () => {}
  const held = database.db.transaction(
    () =>
      new Promise<void>((resolve) => {
        release = resolve
      }),
  )
  t.teardown(() => release())
  const id = randomUUID()
  const calls = Array.from({ length: 8 }, (_, n) => call('GET', n < 7 ? `/tasks/${id}` : '/tasks'))
  await until('they are at the database or wait', async () => {
    const samples = await scrape(app)
    return (
      read(samples, 'aklp_database_requests_running', { kind: 'ordinary' }) === 4 &&
      read(samples, 'aklp_database_requests_waiting', { kind: 'ordinary' }) === 3 &&
      read(samples, 'aklp_database_requests_waiting', { kind: 'scan' }) === 1
    )
  })
  await until('waiting calls are rejected', async () => {
    const samples = await scrape(app)
    return read(samples, 'aklp_database_requests_refused_total', { reason: 'late' }) === 4
  })
  const isCounted = (samples: Sample[]) => samples.some(({ name }) => name === 'aklp_tasks_ready')
  t.equal(isCounted(before), true)
  t.equal(
    isCounted(await scrape(app)),
    false,
    'ready tasks are not counted while the database does not respond',
  )
  release()
  await held
  t.same(
    (await Promise.all(calls)).map(({ status }) => status).sort(),
    [404, 404, 404, 404, 503, 503, 503, 503],
  )
  const after = await scrape(app)
  t.equal(read(after, 'aklp_database_requests_running'), 0)
  t.equal(read(after, 'aklp_database_requests_waiting'), 0)
})

t.test('metrics need no key and contain no task or caller, and METRICS=off removes them', async (t) => {
  const secret = 'never-in-metrics'
  const { app, call } = await createApi(database)
  t.teardown(() => app.close())
  const session_id = randomUUID()
  const { body } = await call('POST', '/tasks', { title: secret, session_id })
  await call('GET', `/tasks/${body.id}`)
  await call('GET', `/tasks?session_id=${session_id}&${secret}=1`)
  await app.inject({
    url: `/${secret}`,
    headers: { 'user-agent': secret, authorization: `Bearer ${secret}` },
  })
  const { body: text } = await app.inject('/metrics')
  t.match(text, 'aklp_tasks_created_total 1')
  for (const told of [secret, session_id, body.id]) t.notMatch(text, told)

  const hash = 'a'.repeat(64)
  const API_KEYS = JSON.stringify([{ name: secret, hash, scopes: ['tasks:read'] }])
  const guarded = await createApi(database, { API_KEYS })
  t.teardown(() => guarded.app.close())
  t.equal((await guarded.call('GET', '/tasks')).status, 401)
  t.equal((await guarded.app.inject('/metrics')).statusCode, 200)
  t.notMatch((await guarded.app.inject('/metrics')).body, secret)

  const without = await createApi(database, { METRICS: 'off' })
  t.teardown(() => without.app.close())
  t.equal((await without.app.inject('/metrics')).statusCode, 404)
})

/** The metrics of a query with the labels that it selects, and the labels that it groups by. */
function readQuery(query: string) {
  const groups: string[] = []
  const metrics: { name: string; labels: string[] }[] = []
  const bare = query.replace(/\[[^\]]*\]/g, '').replace(/\b(?:by|on)\s*\(([^)]*)\)/g, (_, labels: string) => {
    groups.push(...labels.split(',').map((label) => label.trim()))
    return ''
  })
  for (const [, name, call, selector] of bare.matchAll(/([a-zA-Z_]\w*)\s*(\()?(\{[^}]*\})?/g)) {
    if (call || ['and', 'or', 'unless'].includes(name!)) continue
    const labels = [...(selector ?? '').matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"[^"]*"/g)].map(
      ([, label]) => label!,
    )
    metrics.push({ name: name!, labels })
  }
  // What stands in the quotes of a selector is no name.
  return { groups, metrics }
}

t.test('every query of the dashboard and the alerts uses existing metrics and labels', async (t) => {
  const { app, call } = await createApi(database)
  t.teardown(() => app.close())
  await call('POST', '/tasks', { title: 'a' })
  const samples = await scrape(app)
  const labelsOf = new Map<string, Set<string>>()
  for (const { name, labels } of samples) {
    // Prometheus itself adds these.
    const known = labelsOf.get(name) ?? new Set(['job', 'instance'])
    for (const label of Object.keys(labels)) known.add(label)
    labelsOf.set(name, known)
  }

  const deploy = (name: string) => readFileSync(new URL(`../../../deploy/${name}`, import.meta.url), 'utf8')
  const dashboard = JSON.parse(deploy('grafana/aklp-task-service.json'))
  const targets: any[] = dashboard.panels.flatMap(({ targets = [] }: any) => targets)
  const rules = deploy('prometheus/rules.yaml')
  const alerts = [...rules.matchAll(/^ +expr: (.+)$/gm)].map(([, expr]) => ({ expr: expr! }))
  t.ok(targets.length >= 15)
  t.ok(alerts.length >= 4)
  t.equal(alerts.length, rules.match(/- alert: /g)!.length, 'each alert has its query on one line')

  const shown = new Set<string>()
  for (const { expr, legendFormat = '' } of [...targets, ...alerts] as any[]) {
    const { groups, metrics } = readQuery(expr)
    t.ok(metrics.length > 0, expr)
    for (const { name, labels } of metrics) {
      shown.add(name.replace(/_bucket$/, ''))
      t.ok(labelsOf.has(name), `${name} of ${expr}`)
      for (const label of labels) t.ok(labelsOf.get(name)?.has(label), `${label} of ${name}`)
    }
    for (const label of groups) {
      t.ok(
        metrics.every(({ name }) => labelsOf.get(name)?.has(label)),
        `${label} in ${expr}`,
      )
    }
    for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
      t.ok(
        groups.length > 0 ? groups.includes(label) : label === 'instance',
        `${label} of a legend of ${expr}`,
      )
    }
  }
  const ours = samples.map(({ name }) => name.replace(/_(bucket|sum|count)$/, ''))
  for (const name of new Set(ours.filter((name) => name.startsWith('aklp_')))) {
    t.ok(shown.has(name), `${name} is shown`)
  }
  const variables = dashboard.templating.list.map(({ name }: any) => name)
  for (const [, name] of JSON.stringify(dashboard).matchAll(/\$\{?(\w+)\}?/g)) {
    if (!name!.startsWith('__')) t.ok(variables.includes(name), `the variable ${name}`)
  }
})
