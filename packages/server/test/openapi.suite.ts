import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createConfig, lint } from '@redocly/openapi-core'
import { Validator } from '@seriousme/openapi-schema-validator'
import spectral from '@stoplight/spectral-core'
import { oas } from '@stoplight/spectral-rulesets'
import t from 'tap'
import { buildApp } from '../src/app.js'
import { joined } from '../src/db/database.js'
import { loadConfig, serviceOptions } from '../src/start/config.js'

const file = new URL('../openapi.json', import.meta.url)
const app = await buildApp({
  database: {
    db: joined(async () => []),
    ping: () => Promise.resolve(),
  },
  ...serviceOptions(loadConfig({})),
})
t.teardown(() => app.close())
const document = JSON.parse((await app.inject('/openapi.json')).body)
const operations: [string, any][] = Object.entries<object>(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]): [string, any] => [
    `${method.toUpperCase()} ${path}`,
    operation,
  ]),
)

t.test('the served OpenAPI document is the committed one', async (t) => {
  t.same(document, JSON.parse(readFileSync(file, 'utf8')))
})

t.test('an independent validator accepts the document as OpenAPI 3.1', async (t) => {
  const { valid, errors } = await new Validator().validate(structuredClone(document))
  t.ok(valid, JSON.stringify(errors))
  t.match(document.openapi, /^3\.1\./)
})

t.test('two linters find nothing under their recommended rules', async (t) => {
  const config = await createConfig({ extends: ['recommended'] })
  const found = await lint({ ref: fileURLToPath(file), config })
  t.same(
    found.map(({ ruleId, location }) => [ruleId, location[0]?.pointer]),
    [],
    'Redocly',
  )

  const linter = new spectral.Spectral()
  // OpenAPI 3.1 lets any scheme name what an operation requires (Security Requirement Object). This rule is of 3.0, where only those of OAuth 2 do.
  linter.setRuleset({
    extends: [[oas as spectral.RulesetDefinition, 'recommended']],
    rules: { 'oas3-operation-security-defined': 'off' },
  })
  const results = await linter.run(structuredClone(document))
  t.same(
    results.map(({ code, path }) => [code, path.join('.')]),
    [],
    'Spectral',
  )
})

t.test('every route of the contract is an operation with an operationId', async (t) => {
  t.same(Object.fromEntries(operations.map(([name, { operationId }]) => [name, operationId])), {
    'GET /health': 'getHealth',
    'GET /livez': 'getLiveness',
    'GET /readyz': 'getReadiness',
    'POST /api/v1/tasks': 'createTask',
    'GET /api/v1/tasks': 'listTasks',
    'GET /api/v1/tasks/{task_id}': 'getTask',
    'PUT /api/v1/tasks/{task_id}': 'updateTask',
    'PATCH /api/v1/tasks/{task_id}': 'patchTask',
    'DELETE /api/v1/tasks/{task_id}': 'deleteTask',
    'PUT /api/v1/tasks/bulk': 'bulkUpdateTasks',
    'DELETE /api/v1/tasks/bulk': 'bulkDeleteTasks',
    'POST /api/v1/tasks/bulk-delete': 'postBulkDeleteTasks',
    'POST /api/v1/tasks/claim': 'claimNextTask',
    'POST /api/v1/tasks/restore': 'restoreTasks',
    'POST /api/v1/tasks/{task_id}/claim': 'claimTask',
    'POST /api/v1/tasks/{task_id}/renew': 'renewLease',
    'POST /api/v1/tasks/{task_id}/release': 'releaseTask',
    'POST /api/v1/batches': 'createBatch',
    'POST /api/v1/batches/{batch_id}/tasks': 'extendBatch',
    'GET /api/v1/batches': 'listBatches',
    'GET /api/v1/batches/latest': 'latestBatch',
    'GET /api/v1/batches/{batch_id}': 'getBatch',
    'GET /api/v1/events': 'listEvents',
    'GET /api/v1/events/stream': 'streamEvents',
    'GET /api/v1/sessions/{session_id}': 'getSession',
  })
})

t.test('the components have fixed names', async (t) => {
  t.same(Object.keys(document.components.schemas).sort(), [
    'Batch',
    'BatchCreate',
    'BatchExtend',
    'BatchFieldsPage',
    'BatchPage',
    'Claim',
    'ClaimRequest',
    'Event',
    'EventPage',
    'Health',
    'Lease',
    'Problem',
    'Progress',
    'ReleaseRequest',
    'RenewRequest',
    'SessionFieldsState',
    'SessionState',
    'Task',
    'TaskBulkDelete',
    'TaskBulkDeleteResult',
    'TaskBulkUpdate',
    'TaskBulkUpdateResult',
    'TaskClaimRequest',
    'TaskCreate',
    'TaskFieldsPage',
    'TaskLease',
    'TaskPage',
    'TaskPatch',
    'TaskPlan',
    'TaskRestore',
    'TaskRestoreResult',
    'TaskUpdate',
  ])
})

t.test('every operation has a summary, a description and every error that it can return', async (t) => {
  for (const [name, operation] of operations) {
    t.ok(operation.summary, name)
    t.ok(operation.description, name)
    const statuses = Object.keys(operation.responses)
    if (name.includes('/api/'))
      t.ok(
        ['400', '422', '500', '503'].every((status) => statuses.includes(status)),
        name,
      )
    if (operation.requestBody)
      t.ok(
        ['413', '415'].every((status) => statuses.includes(status)),
        name,
      )
    // A session exists as soon as a caller has its id.
    if (name.endsWith('_id}') && !name.endsWith('{session_id}')) t.ok(statuses.includes('404'), name)
    for (const [status, described] of Object.entries<any>(operation.responses)) {
      const response = described.$ref
        ? document.components.responses[described.$ref.split('/').at(-1)]
        : described
      t.not(response.description, 'Default Response', `${name} ${status}`)
      t.ok(response.headers['X-Request-ID'], `${name} ${status}`)
      if (Number(status) < 400) continue
      const { schema, examples } = response.content['application/problem+json']
      t.equal(schema.$ref, '#/components/schemas/Problem')
      for (const [code, { value }] of Object.entries<any>(examples)) {
        t.match(value, { error_code: code, status: Number(status) }, `${name} ${status}`)
      }
    }
  }
})

t.test('every parameter and every field has a description, and every field an example', async (t) => {
  for (const [name, { parameters = [] }] of operations) {
    for (const parameter of parameters) t.ok(parameter.description, `${name} ${parameter.name}`)
  }
  const check = (schema: any, where: string) => {
    if (schema.$ref) return
    for (const [name, property] of Object.entries<any>(schema.properties ?? {})) {
      const field = `${where}.${name}`
      // A component has its own description and examples.
      if (property.$ref) continue
      t.ok(property.description, field)
      // An object has examples of its fields, and a default is one.
      const isLeaf = property.type !== 'array' && !property.properties && !property.anyOf
      if (isLeaf) t.ok(property.examples?.length || property.default !== undefined, field)
      check(property, field)
    }
    if (schema.items) check(schema.items, `${where}[]`)
  }
  for (const [name, schema] of Object.entries<any>(document.components.schemas)) {
    t.ok(schema.description, name)
    check(schema, name)
  }
})

t.test('the schemas of responses allow fields that a later version adds', async (t) => {
  for (const [name, schema] of Object.entries<any>(document.components.schemas)) {
    const isInput = /(Create|Update|Patch|Plan|Extend|Request|BulkDelete|Restore)$/.test(name)
    t.equal(schema.additionalProperties === false, isInput, name)
  }
})
