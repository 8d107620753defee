/**
 * Every operation of the OpenAPI document, called by every kind of caller on what is its own and what is not. Nothing
 * here knows an operation by its name: a new one is covered by being there.
 *
 * No response may depend on data that its caller must not see. So each call is sent twice, with and without the data of
 * others in the database, and both responses must be the same.
 */

import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import t from 'tap'
import { hashKey, makeKey } from '../src/access/keys.js'
import { batches, tasks } from '../src/db/tables.js'
import { startIssuer } from './issuer.js'
import { createApi, sharedEmbedded } from './support.js'

const [A, B] = [randomUUID(), randomUUID()]
/** The token of every lease: a caller that knows it must not see more by it. */
const TOKEN = randomUUID()
const NONE = null
type Session = string | null

/** What is in each session: a batch of two tasks. */
const world = [A, B, NONE].map((session_id, i) => {
  const moment = `2026-01-0${i + 1}T00:00:00.000Z`
  const batch = { id: randomUUID(), session_id, reason: `secret of ${session_id}`, created_at: moment }
  const task = (position: number) => ({
    id: randomUUID(),
    session_id,
    batch_id: batch.id,
    position,
    title: `secret of ${session_id}`,
    status: 'in_progress' as const,
    claimed_by: 'agent-1',
    lease_token: TOKEN,
    // Expired: its worker can use it, and another one can claim the task.
    lease_expires_at: moment,
    created_at: moment,
    updated_at: moment,
  })
  return { session_id, batch, tasks: [task(0), task(1)] }
})
const [inA, inB, inNone] = world as [World, World, World]
type World = (typeof world)[number]
const taskIds = (...worlds: World[]) => worlds.flatMap(({ tasks }) => tasks.map(({ id }) => id))

/** What a call is about; `session_id` is not sent where it is undefined. */
interface Target {
  session_id?: Session
  batch_id: string
  task_ids: string[]
}
const targets: Record<string, Target> = {
  A: { session_id: A, batch_id: inA.batch.id, task_ids: taskIds(inA) },
  B: { session_id: B, batch_id: inB.batch.id, task_ids: taskIds(inB) },
  'no session': { session_id: NONE, batch_id: inNone.batch.id, task_ids: taskIds(inNone) },
  'A, unsaid': { batch_id: inA.batch.id, task_ids: taskIds(inA) },
  'B, unsaid': { batch_id: inB.batch.id, task_ids: taskIds(inB) },
  'what is not there': { session_id: randomUUID(), batch_id: randomUUID(), task_ids: [randomUUID()] },
  'all at once': {
    session_id: A,
    batch_id: inB.batch.id,
    task_ids: [...taskIds(inB, inA, inNone), randomUUID()],
  },
}

const scopesOf: string[][] = [[], ['tasks:read'], ['tasks:write'], ['tasks:read', 'tasks:write']]
const bounds: (string[] | undefined)[] = [undefined, [A], [A, B], []]
const sees = (sessions: string[] | undefined, session: Session) =>
  sessions === undefined || (session !== null && sessions.includes(session))

const issuer = await startIssuer(t)
const keys = bounds.flatMap((sessions) =>
  scopesOf.map((scopes) => ({ by: 'key', credential: makeKey(), scopes, sessions })),
)
const tokens = await Promise.all(
  scopesOf.map(async (scopes) => ({
    by: 'token',
    credential: await issuer.token({ scope: scopes.join(' '), sessions: [A] }),
    scopes,
    sessions: [A],
  })),
)

const database = await sharedEmbedded()
const { app } = await createApi(database, {
  ...issuer.settings,
  API_KEYS: JSON.stringify(
    keys.map(({ credential, scopes, sessions }, i) => ({
      name: `${i}`,
      hash: hashKey(credential),
      scopes,
      sessions,
    })),
  ),
})
t.teardown(() => app.close())

const document = app.swagger() as any
const resolve = (value: any): any =>
  value.$ref
    ? resolve(
        value.$ref
          .slice(2)
          .split('/')
          .reduce((found: any, name: string) => found[name], document),
      )
    : value

interface Operation {
  name: string
  method: string
  /** The scope that it needs; undefined when it is open. */
  scope: string | undefined
  /** Requests about a target. */
  requests(target: Target): Request[]
}

interface Request {
  url: string
  headers?: Record<string, string>
  payload?: object
}

const operations: Operation[] = Object.entries<any>(document.paths).flatMap(([path, methods]) =>
  Object.entries<any>(methods).flatMap(
    ([method, { operationId, security, parameters = [], requestBody }]) => {
      // It does not end: event-stream.test.ts has what a caller sees of it.
      if (operationId === 'streamEvents') return []
      const given = (place: string) => parameters.filter((parameter: any) => parameter.in === place)
      return {
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        scope: security?.[0]?.bearer[0],
        requests(target: Target) {
          if (path.includes('{session_id}') && target.session_id == null) return []
          const filled = path.replace(/\{(\w+)\}/g, (_, name) => String(idFor(name, target)))
          const queries = given('query').flatMap(({ name, schema }: any) => {
            const value = schema.format === 'uuid' ? idFor(name, target) : undefined
            return value == null ? [] : `?${name}=${value}`
          })
          const body = requestBody && resolve(requestBody).content['application/json'].schema
          const payload = body && fill(body, '', target)
          const request = { url: filled, ...(payload && { payload }) }
          return [
            request,
            ...queries.map((query: string) => ({ ...request, url: filled + query })),
            ...given('header').map(({ name }: any) => ({ ...request, headers: { [name]: headerFor(name) } })),
          ]
        },
      }
    },
  ),
)

/** The id of the target that a parameter or field of this name takes. New names must be added here. */
function idFor(name: string, target: Target): Session | undefined {
  if (name === 'session_id') return target.session_id
  if (name === 'batch_id') return target.batch_id
  if (['task_id', 'id', 'ids'].includes(name)) return target.task_ids[0]
  if (name === 'token') return TOKEN
  throw new Error(`idFor has no id for ${name}`)
}

/** A header that changes the response if the task exists. */
function headerFor(name: string): string {
  if (name === 'Idempotency-Key') return 'step-1'
  if (name === 'If-Match') return '"2020-01-01T00:00:00.000Z"'
  if (name === 'Lease-Token') return randomUUID()
  throw new Error(`headerFor has no value for ${name}`)
}

function labelOf({ name }: Operation, about: string, { url, headers }: Request): string {
  return `${name}, ${about}: ${url} ${headers ? JSON.stringify(headers) : ''}`
}

/** A value of a schema with the ids of the target. */
function fill(reference: any, name: string, target: Target): any {
  const schema = resolve(reference)
  // Tasks of the target in one direction only: they must not block each other.
  if (name === 'blocked_by') return target.task_ids.filter((id) => id > target.task_ids[0]!)
  if (schema.type === 'array') {
    const item = resolve(schema.items)
    const isList = item.format === 'uuid' || item.properties?.id
    const idsFrom = (id: string) => [id, ...target.task_ids.filter((other) => other !== id)]
    const each = isList ? target.task_ids.map((id) => ({ ...target, task_ids: idsFrom(id) })) : [target]
    return each.map((target) => fill(item, name, target))
  }
  if (schema.properties) {
    return Object.fromEntries(
      Object.entries(schema.properties).map(([name, property]) => [name, fill(property, name, target)]),
    )
  }
  if (schema.format !== 'uuid') return schema.examples?.[0] ?? schema.default ?? schema.minimum
  return idFor(name, target) ?? (schema.type.includes('null') ? null : undefined)
}

/** Replaces all data with that of these worlds. */
async function seed(worlds: World[]) {
  // With few rows, faster than a truncate.
  await database.db.execute(sql`
    with tasks as (delete from tasks), keys as (delete from idempotency_keys) delete from batches`)
  await database.db.execute(sql`delete from events`)
  if (worlds.length === 0) return
  await database.db.insert(batches).values(worlds.map(({ batch }) => batch))
  await database.db.insert(tasks).values(worlds.flatMap(({ tasks }) => tasks))
}

/** All rows as text, with their sessions. */
async function rows(): Promise<Map<string, Session>> {
  const all = [...(await database.db.select().from(batches)), ...(await database.db.select().from(tasks))]
  return new Map(all.map((row) => [JSON.stringify(row), row.session_id]))
}

const known = new Set(JSON.stringify([world, targets]).match(/[0-9a-f-]{36}/g))

/** Sends a request. `comparable` is the response without new ids and the current time. */
async function send({ method }: Operation, request: Request, credential: string | undefined) {
  const headers = { ...request.headers, ...(credential && { authorization: `Bearer ${credential}` }) }
  const response = await app.inject({ ...request, method: method as 'GET', headers })
  const { statusCode: status, body, headers: received } = response
  const {
    'x-request-id': id,
    'content-length': _length,
    date: _date,
    ...rest
  } = received as Record<string, string>
  const comparable = JSON.stringify({ status, body, headers: rest })
    .replaceAll(id!, 'the request')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => (known.has(id) ? id : 'a new id'))
    .replace(/\b[0-9a-f]{24}\b/g, 'a place')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (time) => (time.startsWith('2026-01-0') ? time : 'now'))
  return { status, comparable }
}

const guarded = operations.filter(({ scope }) => scope !== undefined)
const cells = guarded.flatMap((operation) =>
  Object.entries(targets).flatMap(([about, target]) =>
    operation
      .requests(target)
      .map((request) => ({ operation, about, target, request, label: labelOf(operation, about, request) })),
  ),
)

/** Makes every call on a database that contains these worlds, which is restored after each change. */
async function callAll(worlds: World[], credential: string | undefined) {
  const responses: { status: number; comparable: string; touched: Session[] }[] = []
  await seed(worlds)
  const seeded = await rows()
  for (const [i, { operation, request }] of cells.entries()) {
    const response = await send(operation, request, credential)
    // A rejected call that changes data nevertheless is found after the next that succeeds, and after the last one.
    const isRead = (operation.method === 'GET' || response.status >= 400) && i < cells.length - 1
    const now = isRead ? seeded : await rows()
    const touched = [...new Map([...seeded, ...now])].filter(([row]) => seeded.has(row) !== now.has(row))
    responses.push({ ...response, touched: touched.map(([, session]) => session) })
    if (touched.length > 0) await seed(worlds)
  }
  return responses
}

t.test('every operation under /api needs credentials', async (t) => {
  for (const { name, scope } of operations) if (scope === undefined) t.notMatch(name, '/api/')
  t.ok(guarded.length >= 18, 'the operations of the contract')
  for (const { scope, method } of guarded) t.equal(scope, method === 'GET' ? 'tasks:read' : 'tasks:write')
  for (const [i, { status, touched }] of (await callAll(world, undefined)).entries()) {
    // Too many failed authentications return 429.
    if (![401, 429].includes(status) || touched.length > 0) t.fail(cells[i]!.label)
  }
})

for (const { by, credential, scopes, sessions } of [...keys, ...tokens]) {
  const seen = world.filter(({ session_id }) => sees(sessions, session_id))
  const where = sessions === undefined ? 'everywhere' : `in ${sessions.length} sessions`
  t.test(`a ${by} with ${scopes.join(' and ') || 'no scope'} ${where}`, async (t) => {
    const among = await callAll(world, credential)
    const alone = seen.length < world.length ? await callAll(seen, credential) : among
    let [allowed, changed] = [0, 0]
    for (const [i, { operation, about, target, request, label }] of cells.entries()) {
      const { status, comparable, touched } = among[i]!
      const isAllowed = scopes.includes(operation.scope!)
      if (comparable !== alone[i]!.comparable) t.equal(comparable, alone[i]!.comparable, label)
      if (touched.some((session) => !sees(sessions, session)))
        t.fail(`${label} changes data of another session`)
      if (isAllowed === (status === 403)) t.fail(`${label} returns ${comparable}`)
      if (!isAllowed && touched.length > 0) t.fail(`${label} changes data`)
      if (touched.length > 0) changed++
      if (isAllowed && status < 300) allowed++

      // The caller's own data is accessible: a service that rejects everything would pass the checks above.
      const isOwn = ['A', 'B', 'no session'].includes(about) && sees(sessions, target.session_id!)
      const conditional =
        request.headers && { 'If-Match': 412, 'Lease-Token': 409 }[Object.keys(request.headers)[0]!]
      if (isAllowed && isOwn && (conditional ? status !== conditional : status >= 300)) {
        t.fail(`${label} returns ${comparable}`)
      }
    }
    t.equal(allowed > 0, scopes.length > 0, `${allowed} of ${cells.length} calls were allowed`)
    t.equal(changed > 0, scopes.includes('tasks:write') && seen.length > 0, `${changed} changed data`)
  })
}
