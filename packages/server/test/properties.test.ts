/**
 * Requests made up by fast-check from the service's own OpenAPI document: such as fit it, such as nearly do, and such as
 * nobody means well with. A failure prints its seed; FC_RUNS=5000 looks harder.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type IncomingMessage, METHODS, type RequestOptions, request as sendHttp } from 'node:http'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { type Answer, answerChecker, onEachDatabase } from './support.js'

const numRuns = Number(process.env.FC_RUNS ?? 40)
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

onEachDatabase(async (t, { app, call, plan, clear }) => {
  const operations = readOperations((await app.inject('/openapi.json')).json())

  t.beforeEach(clear)

  await t.test('a request that fits the document succeeds, or is told that nothing has its id', async (t) => {
    for (const operation of operations) {
      const batch = await plan(Array.from({ length: 20 }, (_, i) => ({ title: `${i}` })))
      const ofTasks = fc.constantFrom(...batch.tasks.map((task: { id: string }) => task.id))
      const ids = fc.oneof(uuid, ofTasks, fc.constant(batch.id))
      let successes = 0
      await fc.assert(
        fc.asyncProperty(fittingRequest(operation, ids), async (request) => {
          const { url, body } = toRequest(operation, request)
          const answer = await call(operation.method, url, body)
          if (isSuccess(answer)) successes++
          else assert.ok(answer.status === 404 && operation.path.includes('{'), answer.text)
        }),
        { numRuns },
      )
      t.ok(successes > 0, `${operation.operationId} succeeds`)
    }
  })

  await t.test('a request is refused when the document refuses it, and told where and why', async (t) => {
    // Operations outside of the API take whatever query a probe adds.
    for (const operation of operations.filter(({ path }) => path.startsWith('/api/'))) {
      let refusals = 0
      await fc.assert(
        fc.asyncProperty(nearlyFittingRequest(operation), async ({ url, body, fits }) => {
          const answer = await call(operation.method, url, body)
          const { status, text } = answer
          if (isSuccess(answer) || status === 404) return assert.ok(fits, text)
          explainsItself(answer)
          refusals++
          // Keys that pollute prototypes are refused where JSON is read, before the schema is asked.
          if (status === 400) return assert.match(body ?? '', /"(__proto__|constructor)":/, text)
          assert.equal(status, 422, text)
          // Which times exist is more than a schema can say.
          if (fits) for (const { path } of answer.body.errors) assert.match(path, /(^|\.)due_date$/, text)
        }),
        { numRuns: numRuns * 2 },
      )
      t.ok(refusals > 0, `${operation.operationId} refuses`)
    }
  })

  await t.test('a body of any bytes is read as JSON or refused', async (t) => {
    for (const operation of operations.filter(({ body }) => body)) {
      await fc.assert(
        fc.asyncProperty(hostileBytes(operation), async (payload) => {
          const url = operation.path.replace(/\{\w+\}/, randomUUID())
          const headers = { 'content-type': 'application/json' }
          const answer = await call(operation.method, url, undefined, { payload, headers })
          if (!isSuccess(answer)) explainsItself(answer)
        }),
        { numRuns, examples: hostileTexts.map((text) => [Buffer.from(text)]) },
      )
    }
    t.pass('every body was answered')
  })

  await t.test('any HTTP request gets an answer of the documented form, never a failure', async (t) => {
    const check = answerChecker(app)
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as { port: number }
    const agent = new Agent({ keepAlive: true })
    t.teardown(() => agent.destroy())
    await fc.assert(
      fc.asyncProperty(hostileRequest, async ({ method, path, headers, payload }) => {
        const answer = await send({ port, agent, method, path, headers }, payload)
        // The document itself and the page that shows it are no operations.
        if (!isSuccess(answer) || /^\/(api|health)/.test(path)) check(method, path, answer)
        if (!isSuccess(answer) && method !== 'HEAD') explainsItself(answer)
        const given = headers['x-request-id']?.replace(/^[ \t]+|[ \t]+$/g, '') ?? ''
        const usable = /^[\x21-\x7e]{1,128}$/.test(given)
        const id = answer.headers['x-request-id']!
        assert.ok(usable ? id === given : UUID.test(id), `${given} became ${id}`)
      }),
      { numRuns: numRuns * 20 },
    )
    t.equal((await call('GET', '/health')).body.status, 'healthy', 'and the service still works')
  })

  await t.test('any sequence of calls is answered as a simple model answers it', async (t) => {
    const modelled = operations.filter(({ operationId }) => operationId !== 'getHealth')
    const sequences = fc.array(fc.oneof(...modelled.map(modelRequest)), { maxLength: 30, size: 'max' })
    await fc.assert(
      fc.asyncProperty(sequences, async (sequence) => {
        await clear()
        const model = new Model()
        for (const { operation, request: withNumbers } of sequence) {
          const request = model.withIds(withNumbers)
          const { url, body } = toRequest(operation, request)
          const answer = await call(operation.method, url, body)
          const [status, expected] = model[operation.operationId](request, answer.body)
          assert.equal(answer.status, status, answer.text)
          if (status !== 404) assert.deepEqual(answer.body, expected)
        }
      }),
      { numRuns },
    )
    t.pass('every answer was that of the model')
  })
})

const isSuccess = ({ status }: Answer) => status < 400

/** What every refusal has, beyond its schema. */
function explainsItself({ status, headers, body, text }: Answer) {
  const told = `${status}: ${text}`
  assert.match(headers['content-type']!, /^application\/problem\+json/, told)
  assert.equal(body.status, status, told)
  assert.equal(body.type, `urn:aklp:problem:${body.error_code}`, told)
  assert.equal(body.request_id, headers['x-request-id'], told)
  assert.equal(status === 422, body.error_code === 'validation_error', told)
  assert.equal(status === 405, headers.allow !== undefined, told)
  assert.ok(body.detail.length > 0 && body.detail.length < 5000, told)
  if (status !== 422) return
  assert.ok(body.errors.length > 0 && body.errors.length <= 20, told)
  assert.equal(body.errors.length, Math.min(body.error_count, 20), told)
  for (const { path, message, allowed, did_you_mean } of body.errors) {
    // Without a name are only a body as a whole, and a name that is empty itself.
    assert.ok(path !== '' || /^(must be an object|unknown (field|parameter))/.test(message), told)
    assert.ok(did_you_mean === undefined || allowed.includes(did_you_mean), told)
  }
}

/** An operation of the document: the schemas of its parameters and its body, with references resolved. */
interface Operation {
  operationId: string
  method: string
  path: string
  params: any
  query: any
  body?: any
}

function readOperations(document: any): Operation[] {
  const resolve = (node: any): any => {
    if (typeof node !== 'object' || node === null) return node
    if (node.$ref) return resolve(document.components.schemas[node.$ref.split('/').at(-1)])
    if (Array.isArray(node)) return node.map(resolve)
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, resolve(value)]))
  }
  // Probes answer plain text, to balancers.
  const isProbe = ({ responses }: any) => responses['200']?.content?.['text/plain'] !== undefined
  return Object.entries<any>(document.paths).flatMap(([path, methods]) =>
    Object.entries<any>(methods).flatMap(([method, operation]) => {
      if (isProbe(operation)) return []
      const { operationId, parameters = [], requestBody } = operation
      const schemaOf = (place: string) => {
        const there = parameters.filter((parameter: any) => parameter.in === place)
        return {
          type: 'object',
          additionalProperties: false,
          required: there.filter(({ required }: any) => required).map(({ name }: any) => name),
          properties: Object.fromEntries(there.map(({ name, schema }: any) => [name, schema])),
        }
      }
      return {
        operationId,
        method: method.toUpperCase(),
        path,
        params: schemaOf('path'),
        query: schemaOf('query'),
        body: requestBody && resolve(requestBody.content['application/json'].schema),
      }
    }),
  )
}

// Values ------------------------------------------------------------------------------------------------------------

const uuid = fc.tuple(fc.uuid(), fc.boolean()).map(([id, upper]) => (upper ? id.toUpperCase() : id))

/** A time in each form that is read; not at the ends of the calendar, which an offset may cross. */
const time = fc
  .tuple(
    fc.date({
      min: new Date('0001-01-02T00:00:00Z'),
      max: new Date('9999-12-30T00:00:00Z'),
      noInvalidDate: true,
    }),
    fc.constantFrom('date', '', 'Z', '+09:00', '-00:30'),
  )
  .map(([date, form]) =>
    form === 'date' ? date.toISOString().slice(0, 10) : date.toISOString().slice(0, -1) + form,
  )

const textOf = ({ minLength, maxLength, pattern = '' }: any) =>
  fc
    .oneof(
      { weight: 9, arbitrary: fc.string({ unit: 'binary', minLength }) },
      { weight: 1, arbitrary: fc.constantFrom('a', '한', '\u{10ffff}').map((c) => c.repeat(maxLength)) },
    )
    .map((text) => text.replaceAll('\0', '0'))
    .filter((text) => new RegExp(pattern, 'u').test(text))

/** Values that fit a schema, with `id` for its UUIDs. */
function fitting(schema: any, id: fc.Arbitrary<unknown> = uuid): fc.Arbitrary<any> {
  const { type, format, properties, required, items, minItems, minimum, maximum } = schema
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (Array.isArray(type)) return fc.oneof(fitting({ ...schema, type: type[0] }, id), fc.constant(null))
  if (type === 'array') return fc.array(fitting(items, id), { minLength: minItems, maxLength: 5 })
  if (type === 'integer') return fc.integer({ min: minimum, max: maximum })
  if (type === 'string') return format === 'uuid' ? id : format === 'date-time' ? time : textOf(schema)
  const fields = Object.entries(properties).map(([name, field]) => [name, fitting(field, id)])
  return fc.record(Object.fromEntries(fields), { requiredKeys: required ?? [] })
}

const names = fc.oneof(
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'titel',
    'dueDate',
    'Status',
    '',
    ' ',
    '\0',
    '\ud800',
  ),
  fc.string({ unit: 'binary', maxLength: 200, size: 'max' }),
)

const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

/** Values that nobody means. */
const junk: fc.Arbitrary<any> = fc.oneof(
  fc.constantFrom(null, true, 0, -1, 1.5, 101, 2 ** 31, 2 ** 53, 1e308, -5e-324),
  fc.constantFrom(
    '',
    ' ',
    '\u3000\ufeff',
    'a\0',
    '\ud800',
    '\udc00a',
    'done',
    'PENDING',
    '😀'.repeat(10_001),
  ),
  fc.constantFrom(
    '2025-02-30',
    '2025-12-31T24:00',
    '2016-12-31T23:59:60Z',
    '12/31/2025',
    'now',
    'infinity',
    '-1-01-01',
  ),
  fc.constantFrom(
    '0000-12-31',
    '0001-01-01T00:00+01:00',
    '9999-12-31T23:59:59-01:00',
    '+012025-12-31',
    '２０２５-12-31',
  ),
  fc.constantFrom(
    'nil',
    '550e8400e29b41d4a716446655440001',
    ` ${randomUUID()}`,
    `{${randomUUID()}}`,
    `${randomUUID()}0`,
  ),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.string({ unit: 'binary' }),
  fc.jsonValue(),
  fc.dictionary(names, fc.boolean()),
  fc.nat(1000).map((depth) => JSON.parse(deep(depth + 1))),
)

/** Values that fit a schema but for a place or two, where by chance they may fit, too. */
function nearlyFitting(schema: any): fc.Arbitrary<any> {
  const value = fitting(schema)
  if (schema.type === 'array') {
    const wrong = nearlyFitting(schema.items)
    const one = fc.tuple(value, wrong).map(([items, item]) => [...items, item])
    return fc.oneof(one, fc.array(wrong, { maxLength: 30, size: 'max' }), junk)
  }
  if (schema.type !== 'object' || Object.keys(schema.properties).length === 0) return junk
  const field = fc.constantFrom(...Object.keys(schema.properties))
  const changed = field.chain((name) =>
    fc
      .tuple(value, nearlyFitting(schema.properties[name]))
      .map(([object, wrong]) => ({ ...object, [name]: wrong })),
  )
  const unknown = fc.tuple(value, names, junk).map(([object, name, wrong]) => ({ ...object, [name]: wrong }))
  const without = fc.tuple(value, field).map(([object, name]) => ({ ...object, [name]: undefined }))
  return fc.oneof({ weight: 4, arbitrary: changed }, unknown, without, junk)
}

// Requests ----------------------------------------------------------------------------------------------------------

/** The parts of a request; a query is an object, or where a name may occur twice a list of pairs. */
type Request = Record<'params' | 'query' | 'body', any>

const noBody = fc.constant(undefined)

function toRequest({ path }: Operation, { params, query, body }: Request) {
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(params[name]))
  const search = new URLSearchParams(query).toString()
  return { url: search ? `${filled}?${search}` : filled, body: JSON.stringify(body) }
}

/** Requests that fit the document, with `id` for its UUIDs. */
const fittingRequest = ({ params, query, body }: Operation, id: fc.Arbitrary<unknown> = uuid) =>
  fc.record({
    params: fitting(params, id),
    query: fitting(query, id),
    body: body ? fitting(body, id) : noBody,
  })

const validator = new Ajv2020({
  strict: false,
  formats: {
    uuid: UUID,
    text: (text: string) => text.isWellFormed() && !text.includes('\0'),
    'date-time': true,
  },
})

/** Requests that mostly do not fit the document, and what a validator says that is set up apart from the service's. */
function nearlyFittingRequest(operation: Operation) {
  const text = fc.oneof(
    fc.constantFrom(
      '',
      '0',
      '-1',
      '007',
      '1e1',
      '+1',
      ' 1',
      '1.0',
      '٣',
      '2147483648',
      '1'.repeat(400),
      'null',
    ),
    fc.string({ unit: 'binary' }),
  )
  const inPath = text.filter((text) => !/^\.{0,2}$/.test(text))
  const params = fc.record(
    Object.fromEntries(
      Object.keys(operation.params.properties).map((name) => [
        name,
        fc.oneof({ weight: 3, arbitrary: uuid }, inPath),
      ]),
    ),
  )
  const name = fc.oneof(names, fc.constantFrom('page', ...Object.keys(operation.query.properties)))
  const pair = (name: string, value: unknown): [string, string] => [name.toWellFormed(), String(value)]
  const parameter = fc.tuple(name, text).map(([name, text]) => pair(name, text))
  const query = fc
    .tuple(fitting(operation.query), fc.array(parameter, { maxLength: 2 }))
    .map(([values, more]) => [...Object.entries(values).map(([name, value]) => pair(name, value)), ...more])
  const body = operation.body
    ? fc.oneof(fitting(operation.body), { weight: 4, arbitrary: nearlyFitting(operation.body) })
    : noBody

  const paramsFit = validator.compile(operation.params)
  const queryFits = validator.compile(operation.query)
  const bodyFits = validator.compile(operation.body ?? true)
  const read = (pairs: [string, string][]) =>
    Object.fromEntries(
      pairs.map(([name, value]) => {
        if (pairs.filter(([other]) => other === name).length > 1) return [name, 'more than one']
        const isNumber = operation.query.properties[name]?.type === 'integer' && /^-?\d+$/.test(value)
        return [name, isNumber ? Number(value) : value]
      }),
    )
  return fc.record({ params, query, body }).map((request) => {
    const sent = toRequest(operation, request)
    const readBody = sent.body && JSON.parse(sent.body)
    return {
      ...sent,
      fits: paramsFit(request.params) && queryFits(read(request.query)) && bodyFits(readBody),
    }
  })
}

const hostileTexts = [
  '',
  ' ',
  'null',
  '[]',
  '1e999',
  'NaN',
  '{"title":"a","title":"b"}',
  '{"title":"a"}}',
  '\ufeff{"title":"a"}',
  '{"title":"\\ud800"}',
  '{"title":"\\u0000"}',
  '{"__proto__":{}}',
  '{"\\u005f_proto__":{}}',
  '{"title":"a","constructor":{"prototype":{}}}',
  deep(100_000),
  '{"a":'.repeat(50_000),
  `{"tasks":${deep(100_000)}}`,
  `{"tasks":[${'{},'.repeat(100_000)}{}]}`,
  `{"ids":[${'0,'.repeat(200_000)}0]}`,
]

/** Bytes for a body: those of one that fits, damaged; or any. */
function hostileBytes(operation: Operation) {
  const damaged = fc
    .tuple(fitting(operation.body), fc.nat(), fc.uint8Array({ maxLength: 3 }))
    .map(([body, place, damage]) => {
      const bytes = Buffer.from(JSON.stringify(body))
      const at = place % bytes.length
      return Buffer.concat([bytes.subarray(0, at), damage, bytes.subarray(at + 1)])
    })
  return fc.oneof(
    damaged,
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  )
}

const character = (min: number, max: number) =>
  fc.integer({ min, max }).map((code) => String.fromCharCode(code))
const visible = character(0x21, 0x7e)
/** What a header may hold at all. */
const header = fc.string({ unit: fc.oneof(visible, character(0xa0, 0xff), fc.constantFrom(' ', '\t')) })

const segment = fc.oneof(
  fc.constantFrom(
    '',
    'tasks',
    'batches',
    'bulk',
    'latest',
    'static',
    '*',
    ':task_id',
    '.',
    '..',
    '%2e%2e',
    '%2f',
  ),
  fc.constantFrom('%', '%zz', '%00', '%c0%af', '%F0%9F%98%80', randomUUID(), 'a'.repeat(3_000)),
  // A fragment is never sent.
  fc.string({ unit: visible }).map((text) => text.replaceAll('#', '')),
)

const hostileRequest = fc.record({
  method: fc.oneof(
    fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD'),
    fc.constantFrom(...METHODS.filter((method) => method !== 'CONNECT')),
  ),
  path: fc
    .tuple(
      fc.constantFrom('/api/v1/tasks', '/api/v1/batches', '/api', '/health', '/docs', '/openapi.json', ''),
      fc.array(segment, { maxLength: 3 }),
      fc.option(segment),
    )
    .map(([root, segments, query]) => {
      const path = [root, ...segments].join('/') || '/'
      return query === null ? path : `${path}?${query}`
    }),
  headers: fc.record(
    {
      'x-request-id': fc.oneof(
        fc.string({ unit: visible, minLength: 1 }),
        header,
        fc.constantFrom('a'.repeat(128), 'a'.repeat(129)),
      ),
      'content-type': fc.oneof(
        fc.constantFrom('application/json', 'APPLICATION/JSON; charset=latin1', 'application/problem+json'),
        fc.constantFrom(
          'application/jsonx',
          'application/json, a/b',
          'text/plain',
          'multipart/form-data',
          '*/*',
          '',
        ),
        header,
      ),
      'content-encoding': fc.constantFrom('gzip', 'identity'),
      accept: header,
      authorization: header,
    },
    { requiredKeys: [] },
  ),
  payload: fc.oneof(
    fc.constantFrom('{"title": "a"}', ...hostileTexts),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  ),
})

async function send(options: RequestOptions, payload: string | Buffer): Promise<Answer> {
  const request = sendHttp({ ...options, timeout: 10_000 })
  // Node sends the bodies of GET and the like without it.
  request.setHeader('content-length', Buffer.byteLength(payload))
  request.once('timeout', () => request.destroy(new Error('no answer in time')))
  request.end(payload)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const text = Buffer.concat(await response.toArray()).toString()
  const headers = response.headers as Answer['headers']
  const isJson = /\bjson\b/.test(headers['content-type'] ?? '') && text !== ''
  return { status: response.statusCode!, headers, text, body: isJson ? JSON.parse(text) : undefined }
}

// The model ---------------------------------------------------------------------------------------------------------

const sessions = [randomUUID(), randomUUID(), randomUUID()]
const ranks: Record<string, string[]> = {
  status: ['pending', 'in_progress', 'completed'],
  priority: ['low', 'medium', 'high'],
}

type Expected = [status: number, body?: unknown]

/** Requests with a number for each id, which the model replaces when it knows which ids there are. */
function modelRequest(operation: Operation) {
  const { page, limit, ...filters } = operation.query.properties
  const few = page && { page: { ...page, maximum: 3 }, limit: { ...limit, maximum: 5 } }
  const query = { ...operation.query, properties: { ...filters, ...few } }
  return fittingRequest({ ...operation, query }, fc.nat(9)).map((request) => ({ operation, request }))
}

/**
 * The rules of the contract on two arrays: a method for each operation says what its answer must be. Only new ids
 * and times are taken from the answer that was given.
 */
class Model {
  #tasks: any[] = []
  #batches: any[] = [];

  [operationId: string]: any

  /** The request with ids for its numbers: those of tasks and batches that exist, and one that does not. */
  withIds(request: Request): Request {
    const pick = (things: any[], n: number) => things[n % (things.length + 1)]?.id ?? randomUUID()
    return JSON.parse(JSON.stringify(request), (name, value) => {
      if (typeof value !== 'number' || name === 'page' || name === 'limit') return value
      if (name === 'session_id') return sessions[value % sessions.length]
      return pick(name === 'batch_id' ? this.#batches : this.#tasks, value)
    })
  }

  createTask({ body }: Request, answer: any): Expected {
    return [201, this.#add(body, answer)]
  }

  createBatch({ body }: Request, answer: any): Expected {
    const { session_id = null, reason = null } = body
    const batch = { id: answer.id, session_id, reason, created_at: answer.created_at }
    this.#batches.push(batch)
    body.tasks.forEach((task: object, i: number) => {
      this.#add({ ...task, session_id, batch_id: batch.id }, answer.tasks[i])
    })
    return [201, this.#withTasks(batch)]
  }

  getTask({ params }: Request): Expected {
    const task = this.#find(params.task_id)
    return task ? [200, task] : [404]
  }

  updateTask({ params, body }: Request, answer: any): Expected {
    const task = this.#find(params.task_id)
    return task ? [200, this.#change(task, body, answer)] : [404]
  }

  bulkUpdateTasks({ body }: Request, answer: any): Expected {
    const updated = new Set()
    const not_found = new Set()
    for (const { id, ...changes } of body.tasks) {
      const task = this.#find(id)
      if (task)
        updated.add(
          this.#change(
            task,
            changes,
            answer.updated.find((task: any) => task.id === id),
          ),
        )
      else not_found.add(id)
    }
    return [200, { updated: [...updated], not_found: [...not_found] }]
  }

  deleteTask({ params }: Request): Expected {
    return this.#delete(params.task_id) ? [204, undefined] : [404]
  }

  bulkDeleteTasks({ body }: Request): Expected {
    const ids: string[] = [...new Set<string>(body.ids)]
    const not_found = ids.filter((id) => !this.#delete(id))
    return [200, { deleted_count: ids.length - not_found.length, not_found }]
  }

  listTasks({ query }: Request): Expected {
    const { page, limit, sort_by = 'updated_at', order = 'desc', ...filters } = query
    const found = this.#tasks.filter((task) =>
      Object.keys(filters).every((name) => task[name] === filters[name]),
    )
    return [200, toPage(sort(found, sort_by, order), page, limit)]
  }

  listBatches({ query }: Request): Expected {
    return [200, toPage(this.#newestFirst(query.session_id), query.page, query.limit)]
  }

  latestBatch({ query }: Request): Expected {
    return [200, this.#newestFirst(query.session_id)[0] ?? null]
  }

  getBatch({ params }: Request): Expected {
    const batch = this.#batches.find(({ id }) => id === params.batch_id)
    return batch ? [200, this.#withTasks(batch)] : [404]
  }

  #find(id: string) {
    return this.#tasks.find((task) => task.id === id)
  }

  #add(given: object, { id, created_at }: any) {
    const nothing = { session_id: null, batch_id: null, description: null, priority: null, due_date: null }
    const task = { id, ...nothing, status: 'pending', completed_at: null, created_at }
    this.#tasks.push(task)
    return this.#change(task, given, { updated_at: created_at })
  }

  #change(task: any, changes: any, { updated_at }: any) {
    if (Object.keys(changes).length === 0) return task
    Object.assign(task, changes, { updated_at })
    if (changes.due_date) task.due_date = toUtc(changes.due_date)
    task.completed_at = task.status === 'completed' ? (task.completed_at ?? updated_at) : null
    return task
  }

  #delete(id: string) {
    const before = this.#tasks.length
    this.#tasks = this.#tasks.filter((task) => task.id !== id)
    return this.#tasks.length < before
  }

  #withTasks(batch: any) {
    return { ...batch, tasks: this.#tasks.filter((task) => task.batch_id === batch.id) }
  }

  #newestFirst(session_id?: string) {
    const found = this.#batches.filter((batch) => session_id === undefined || batch.session_id === session_id)
    return sort(found, 'created_at', 'desc').map((batch) => this.#withTasks(batch))
  }
}

/** By rank or value, those without one last, equal ones by id. */
function sort(things: any[], sort_by: string, order: string) {
  const key = (thing: any) => ranks[sort_by]?.indexOf(thing[sort_by]) ?? thing[sort_by]
  const compare = (a: any, b: any) => (a < b ? -1 : a > b ? 1 : 0) * (order === 'desc' ? -1 : 1)
  return [...things].sort((a, b) => {
    if ((a[sort_by] === null) !== (b[sort_by] === null)) return a[sort_by] === null ? 1 : -1
    return compare(key(a), key(b)) || compare(a.id, b.id)
  })
}

function toPage(all: unknown[], page = 1, limit = 10) {
  const total_pages = Math.ceil(all.length / limit)
  const items = all.slice((page - 1) * limit, page * limit)
  return {
    items,
    total: all.length,
    page,
    limit,
    total_pages,
    has_next: page < total_pages,
    has_prev: page > 1,
  }
}

const toUtc = (time: string) =>
  new Date(/T.*(Z|[+-]\d\d:\d\d)$|^[^T]*$/.test(time) ? time : `${time}Z`).toISOString()
