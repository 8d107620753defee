/** Every request gets the response that the OpenAPI document describes: valid, nearly valid and hostile ones. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { Agent } from 'node:http'
import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import {
  assertProblem,
  isSuccess,
  nearlyValidRequest,
  numRuns,
  type Operation,
  readOperations,
  toRequest,
  UUID,
  uuid,
  validRequest,
} from './generators.js'
import { hostileBytes, hostileRequest, hostileTexts, send } from './hostile.js'
import { createResponseCheck, onEachDatabase, type TestResponse } from './support.js'

/**
 * Rules between tasks, between parameters and on leases, which a schema cannot express: the places in a request, and the
 * codes.
 */
const RULES = /(^|\.)(blocked_by\[\d+\]|key|session_id|cursor|page|q|ready|claimed_by)$/
const TIMES = /(^|\.)(due_date|not_before|due_before|due_after|updated_since)$/
const isRuled = ({ status, body }: TestResponse) =>
  (status === 409 && /^(task_(blocked|claimed|completed)|lease_lost)$/.test(body.error_code)) ||
  // A place that is made up is one of another database.
  (status === 410 && body.error_code === 'events_expired') ||
  (status === 422 && body.errors?.every(({ path }: any) => RULES.test(path)))

onEachDatabase(async (t, { app, call, plan, clear, database }) => {
  const operations = readOperations((await app.inject('/openapi.json')).json())
  // A request that waits is one that reads again.
  const { wait } = operations.find(({ operationId }) => operationId === 'listEvents')!.query.properties
  wait.maximum = 0

  t.beforeEach(clear)

  await t.test(
    'a request that matches the OpenAPI document succeeds, unless its id is unknown or a rule between tasks forbids it',
    async (t) => {
      for (const operation of operations.map(withoutBlockers)) {
        const batch = await plan(Array.from({ length: 20 }, (_, i) => ({ title: `${i}` })))
        const ofTasks = fc.constantFrom(...batch.tasks.map((task: { id: string }) => task.id))
        const ids = fc.oneof(uuid, ofTasks, fc.constant(batch.id))
        const examples: [any][] = []
        if (operation.body?.required?.includes('token')) {
          const [task] = batch.tasks
          await database.db.execute(sql`
            update tasks set status = 'in_progress', claimed_by = 'a', lease_token = id, lease_expires_at = now()
            where id = ${task.id}`)
          examples.push([{ params: { task_id: task.id }, query: {}, body: { token: task.id } }])
        }
        // Few of the scopes that are made up exist, and no cursor does.
        if (operation.operationId === 'claimNextTask')
          examples.push([{ params: {}, query: {}, body: { worker: 'a', batch_id: batch.id } }])
        if (operation.operationId.startsWith('list')) examples.push([{ params: {}, query: {} }])
        let successes = 0
        await fc.assert(
          fc.asyncProperty(validRequest(operation, ids), async (request) => {
            const { url, body } = toRequest(operation, request)
            const response = await call(operation.method, url, body)
            if (isSuccess(response)) successes++
            else assert.ok(response.status === 404 || isRuled(response), response.text)
          }),
          { numRuns, examples },
        )
        t.ok(successes > 0, `${operation.operationId} succeeds`)
      }
    },
  )

  await t.test(
    'a request that does not match the OpenAPI document returns an error that names the invalid field',
    async (t) => {
      // Operations outside the API ignore unknown query parameters, which probes may add.
      for (const operation of operations.filter(({ path }) => path.startsWith('/api/'))) {
        let rejections = 0
        await fc.assert(
          fc.asyncProperty(nearlyValidRequest(operation), async ({ url, body, isValid }) => {
            const response = await call(operation.method, url, body)
            const { status, text } = response
            if (isSuccess(response) || [404, 409, 410].includes(status)) return assert.ok(isValid, text)
            assertProblem(response)
            rejections++
            // The JSON parser rejects keys that pollute prototypes, before the schema is checked.
            if (status === 400) return assert.match(body ?? '', /"(__proto__|constructor)":/, text)
            assert.equal(status, 422, text)
            // A schema cannot express which times exist, and what an object of any shape may contain.
            const paths = isValid ? response.body.errors.map(({ path }: any) => path) : []
            for (const path of paths)
              assert.ok(RULES.test(path) || TIMES.test(path) || /(^|\.)metadata$/.test(path), text)
          }),
          { numRuns: numRuns * 2 },
        )
        t.ok(rejections > 0, `${operation.operationId} rejects`)
      }
    },
  )

  await t.test('a body of arbitrary bytes is either parsed as JSON or rejected with a problem', async (t) => {
    for (const operation of operations.filter(({ body }) => body)) {
      await fc.assert(
        fc.asyncProperty(hostileBytes(operation), async (payload) => {
          const url = operation.path.replace(/\{\w+\}/, randomUUID())
          const headers = { 'content-type': 'application/json' }
          const response = await call(operation.method, url, undefined, { payload, headers })
          if (!isSuccess(response)) assertProblem(response)
        }),
        { numRuns, examples: hostileTexts.map((text) => [Buffer.from(text)]) },
      )
    }
    t.pass('every request got a response')
  })

  await t.test(
    'an arbitrary HTTP request returns a documented response and never an internal error',
    async (t) => {
      const check = createResponseCheck(app)
      await app.listen({ host: '127.0.0.1', port: 0 })
      const { port } = app.server.address() as { port: number }
      const agent = new Agent({ keepAlive: true })
      t.teardown(() => agent.destroy())
      await fc.assert(
        fc.asyncProperty(hostileRequest, async ({ method, path, headers, payload }) => {
          const response = await send({ port, agent, method, path, headers }, payload)
          // The OpenAPI document and the docs page are not operations in the document.
          if (!isSuccess(response) || /^\/(api|health)/.test(path)) check(method, path, response)
          if (!isSuccess(response) && method !== 'HEAD') assertProblem(response)
          const given = headers['x-request-id']?.replace(/^[ \t]+|[ \t]+$/g, '') ?? ''
          const usable = /^[\x21-\x7e]{1,128}$/.test(given)
          const id = response.headers['x-request-id']!
          assert.ok(usable ? id === given : UUID.test(id), `${given} became ${id}`)
        }),
        { numRuns: numRuns * 20 },
      )
      t.equal((await call('GET', '/health')).body.status, 'healthy', 'the service still works')
    },
  )
})

/** An operation whose tasks have no blockers: arbitrary ones are unknown, so that no request would succeed. */
const withoutBlockers = (operation: Operation): Operation =>
  JSON.parse(JSON.stringify(operation), (name, value) =>
    name === 'blocked_by' ? { ...value, maxItems: 0 } : value,
  )
