/** The route /mcp: the same keys, scopes, limits and checks as every call. What the tools do is tested in packages/mcp. */
import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { hashKey, makeKey } from '../src/access/keys.js'
import { anonymous } from '../src/http/caller.js'
import { handleError } from '../src/http/error-handler.js'
import { validateStrictly } from '../src/http/validation.js'
import { mcpRoute } from '../src/mcp/route.js'
import { type Api, serveOn, sharedEmbedded } from './support.js'

const database = await sharedEmbedded()

const HEADERS = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' }
const session_id = randomUUID()

const message = (method: string, params: object = {}) => ({ jsonrpc: '2.0', id: 1, method, params })
const toolCall = (name: string, input: object = {}) => message('tools/call', { name, arguments: input })

/** Sends a message, without the handshake that a stateless server does not need. */
async function send({ app }: Api, body: object, headers: Record<string, string> = {}, query = '') {
  const response = await app.inject({
    method: 'POST',
    url: `/mcp${query}`,
    headers: { ...HEADERS, ...headers },
    payload: body,
  })
  const [, data] = /^data: (.*)$/m.exec(response.body) ?? []
  return {
    ...response,
    status: response.statusCode,
    headers: response.headers,
    body: parse(data ?? response.body),
  }
}

function parse(text: string) {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The text that a tool returns to the model, and whether it is an error. */
async function call(...[api, ...rest]: Parameters<typeof send>): Promise<any> {
  const { status, body } = await send(api, ...rest)
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`)
  const { content, isError } = body.result
  return isError ? { error: content[0].text } : JSON.parse(content[0].text)
}

function keysOf(entries: Record<string, { scopes?: string[]; sessions?: string[] }>) {
  const keys = Object.fromEntries(Object.keys(entries).map((name) => [name, makeKey()]))
  const API_KEYS = JSON.stringify(
    Object.entries(entries).map(([name, entry]) => ({
      name,
      hash: hashKey(keys[name]!),
      scopes: ['tasks:read', 'tasks:write'],
      ...entry,
    })),
  )
  const as = (name: string) => ({ authorization: `Bearer ${keys[name]}` })
  return { API_KEYS, as }
}

const serve = (test: Test, settings: Record<string, string> = {}) => serveOn(database, test, settings)

t.test('a session and a worker in the URL are those of the agent', async (t) => {
  const api = await serve(t)
  const query = `?session_id=${session_id}&worker=agent-7`
  await call(api, toolCall('create_plan', { tasks: [{ key: 'a', title: 'a' }] }), {}, query)
  t.match(await call(api, toolCall('resume'), {}, query), { session_id, worker: 'agent-7' })
  const { task } = await call(api, toolCall('next_task'), {}, query)
  t.match((await api.call('GET', `/tasks/${task.id}`)).body, { session_id, claimed_by: 'agent-7' })
  t.match(await call(api, toolCall('resume', { session_id: randomUUID() }), {}, query), {
    error: /Another session/,
  })
  t.match(await call(api, toolCall('resume', { session_id })), { worker: /^anonymous-[0-9a-f]{6}$/ })
  t.match(await call(api, toolCall('resume')), { error: /^session_id is required/ })
  t.match(await send(api, toolCall('resume'), {}, '?session=1'), {
    status: 422,
    body: { errors: [{ path: 'session', did_you_mean: 'session_id' }] },
  })
})

t.test('calls run under the key of the request, with its scopes and sessions', async (t) => {
  const own = randomUUID()
  const { API_KEYS, as } = keysOf({
    all: {},
    reader: { scopes: ['tasks:read'] },
    bound: { sessions: [own] },
  })
  const api = await serve(t, { API_KEYS })
  for (const headers of [{}, { authorization: 'Bearer nothing' }] as Record<string, string>[]) {
    const { status, headers: received, body } = await send(api, message('tools/list'), headers)
    t.match({ status, body }, { status: 401, body: { error_code: 'unauthorized' } })
    t.match(received['www-authenticate'], /^Bearer /)
  }
  t.equal((await send(api, message('tools/list'), as('reader'))).body.result.tools.length, 9)
  t.match(await call(api, toolCall('resume', { session_id }), as('reader')), { progress: Object })
  const created = toolCall('create_plan', { session_id, tasks: [{ key: 'a', title: 'a' }] })
  t.match(await call(api, created, as('reader')), { error: /scopes `tasks:read` and `tasks:write`/ })
  const plan = await call(api, created, as('all'))
  t.match(plan, { tasks: [{ key: 'a' }] })

  t.match(
    await call(api, toolCall('resume'), as('bound')),
    { session_id: own, worker: /^key:bound-[0-9a-f]{6}$/ },
    'its only session',
  )
  t.match(await call(api, toolCall('get_task', { task_id: plan.tasks[0].id }), as('bound')), {
    error: /^No task has this id in this session/,
  })
  t.match(await call(api, toolCall('create_plan', { tasks: [{ key: 'a', title: 'a' }] }), as('bound')), {
    tasks: [{ key: 'a' }],
    already_there: undefined,
  })
})

t.test('requests to /mcp count, and so do the calls of its tools', async (t) => {
  const { API_KEYS, as } = keysOf({ all: {} })
  const api = await serve(t, { API_KEYS, RATE_LIMIT_PER_MINUTE: '5' })
  for (const expected of ['r=4', 'r=2']) {
    const { status, headers } = await send(api, toolCall('resume', { session_id }), as('all'))
    t.equal(status, 200)
    t.match(headers.ratelimit, expected)
  }
  t.match(await call(api, toolCall('resume', { session_id }), as('all')), { error: /busy.*Wait \d+ s/ })
  t.match(await send(api, message('tools/list'), as('all')), {
    status: 429,
    body: { error_code: 'rate_limited' },
  })
})

t.test('a tool call and its calls of the API have one request id', async (t) => {
  const lines: string[] = []
  const logger = pino({}, { write: (line) => void lines.push(line) })
  const api = await serveOn(database, t, {}, logger)
  await send(api, toolCall('resume', { session_id }), { 'x-request-id': 'r-1' })
  const logged = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request')
  t.match(logged, [
    { request_id: 'r-1', path: `/api/v1/sessions/${session_id}`, status: 200 },
    { request_id: 'r-1', path: '/mcp', status: 200 },
  ])
})

t.test('web pages of other origins and hosts are rejected', async (t) => {
  const api = await serve(t, { CORS_ORIGINS: 'https://app.example.com' })
  const origin = (origin: string) => send(api, message('tools/list'), { origin, host: '127.0.0.1:8001' })
  for (const allowed of ['https://app.example.com', 'http://127.0.0.1:8001'])
    t.equal((await origin(allowed)).status, 200, allowed)
  for (const rejected of ['https://evil.example.com', 'http://localhost:3000', 'null'])
    t.match(await origin(rejected), { status: 403, body: { error_code: 'origin_not_allowed' } }, rejected)
  t.match(await send(api, message('tools/list'), { host: 'evil.example.com' }), {
    status: 421,
    body: { error_code: 'host_not_allowed' },
  })
})

t.test('what is not a message of the protocol is rejected', async (t) => {
  const api = await serve(t)
  const batch = [toolCall('resume', { session_id }), toolCall('resume', { session_id })]
  t.match(await send(api, batch), {
    status: 422,
    body: { errors: [{ message: 'must be one JSON-RPC message' }] },
  })
  t.match(await send(api, { hello: 'world' }), { status: 400 })
  t.match(await send(api, toolCall('delete_task')), { body: { error: { message: /delete_task/ } } })
  t.match(await send(api, message('no/such/method')), { body: { error: { code: -32601 } } })
  const large = toolCall('create_plan', { tasks: [], reason: 'x'.repeat(1024 * 1024) })
  t.match(await send(api, large), { status: 413 })
  for (const method of ['GET', 'DELETE'] as const)
    t.equal((await api.app.inject({ method, url: '/mcp', headers: HEADERS })).statusCode, 405, method)
})

t.test('no response stays open', async (t) => {
  const api = await serve(t)
  const envelope = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  const { body } = await send(
    api,
    message('subscriptions/listen', { notifications: { toolsListChanged: true }, _meta: envelope }),
    { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' },
  )
  t.match(body, { error: { message: /limit/ } })
})

t.test('a tool gets an answer when the database is away', async (t) => {
  const failing = {
    ...database,
    db: new Proxy(database.db, {
      get: () => () => {
        throw Object.assign(new Error('connection to db-1 refused'), { code: 'ECONNREFUSED' })
      },
    }),
  }
  const api = await serveOn(failing, t)
  const { error } = await call(api, toolCall('resume', { session_id }))
  t.match(error, /^The task service (is busy|failed)/)
  t.notMatch(error, 'db-1')
})

t.test('requests of a caller beyond 80 at a time are rejected, until others have ended', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.decorateRequest('caller', { getter: () => anonymous })
  app.setErrorHandler(handleError)
  validateStrictly(app, [], {})
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const inject = async () => {
    await released
    return { statusCode: 404, headers: {}, body: '{"error_code":"task_not_found"}' }
  }
  await app.register(mcpRoute, { origins: [], timeout: 60_000, inject })
  const api = { app } as unknown as Api
  const get = () => send(api, toolCall('get_task', { task_id: session_id }))
  const running = Array.from({ length: 80 }, get)
  t.match(await get(), { status: 503, body: { error_code: 'overloaded' } })
  release()
  for (const { status } of await Promise.all(running)) t.equal(status, 200)
  t.equal((await get()).status, 200)
})

t.test('MCP=off turns it off', async (t) => {
  const api = await serve(t, { MCP: 'off' })
  t.match(await send(api, message('tools/list')), { status: 404, body: { error_code: 'route_not_found' } })
})
