/** The OpenAPI document, generated from the routes' schemas, and the page that shows it. */

import swagger from '@fastify/swagger'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { JSON_TYPE } from './schemas.js'
import { version } from './version.js'

const description = `
Task management for AI agents that teach Kubernetes. An agent saves a learning path as a **batch** of tasks in one call,
works through it over hours or days, and can ask at any time what is left.

- **Session.** An agent generates one UUID for its session and sends it as \`session_id\` with every call.
- **Plan:** \`POST /api/v1/batches\`. **What is left:** \`GET /api/v1/tasks?session_id=…&status=pending\`.
  **Complete a task:** \`PUT /api/v1/tasks/{task_id}\` with \`{"status": "completed"}\`. **Where things stand**, after a
  lost context: \`GET /api/v1/sessions/{session_id}\`.
- **Order.** A task waits for those in its \`blocked_by\`: it cannot be begun or completed before them. In a new batch, name
  them by their \`key\`.
- **Several workers.** \`POST /api/v1/tasks/claim\` leases the next ready task to one worker; with \`done\`, it completes the
  previous one in the same call. With \`resume\`, a worker that was restarted gets its task back.
- **JSON** is UTF-8 with snake_case names. Unknown fields and parameters are rejected, never ignored. Lengths count Unicode
  code points. Text must not contain NUL characters or unpaired surrogates.
- **Authentication.** If the service requires a key or token, send it as \`Authorization: Bearer …\`. The service also returns
  404 for tasks and batches in a session that the key or token has no access to.
- **Times** are returned as RFC 3339 in UTC with milliseconds. Input is RFC 3339 (UTC if it has no offset) or a date alone
  (midnight UTC).
- **Errors** are \`application/problem+json\` (RFC 9457). Act on \`error_code\`. \`detail\` and \`errors\` state what to
  change, with the allowed names and values and the one that was probably meant. Retry an unchanged request only if the
  response has \`Retry-After\`, after that many seconds.
- **Retries.** Send an \`Idempotency-Key\` that names the step, such as \`<session_id>:plan:1\`, with each create: a retry with
  the same key creates nothing twice. Without a key, check whether a create took effect before you retry it.
- **Concurrent changes.** Send the \`updated_at\` of a task, in double quotes, as \`If-Match\` to change the task only if it has
  not changed since you read it. Conditions that an operation cannot keep are rejected.
`.trim()

export interface OpenapiOptions {
  /** Whether to serve the document and the page. */
  docs: boolean
  /** The path that the service is mounted at, if not at the root; it may have parameters, as in `/tenants/:tenant`. */
  path: string
}

/** Register it before the routes. */
export const openapi = fp<OpenapiOptions>(
  async (app, { docs, path }) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'AKLP Task Service',
          version,
          description,
          contact: { name: 'AKLP' },
          license: { name: 'MIT', identifier: 'MIT' },
        },
        servers: [serverAt(path || '/')],
        tags: [
          { name: 'batches', description: 'Plans: several tasks created in one call.' },
          { name: 'tasks', description: 'Single tasks, claims, and changes to several tasks in one call.' },
          { name: 'sessions', description: 'Where things stand in a session.' },
          { name: 'events', description: 'What happened, in order.' },
          { name: 'health', description: 'The health of the service.' },
        ],
        components: {
          securitySchemes: {
            bearer: {
              type: 'http',
              scheme: 'bearer',
              description:
                'An API key of the service, or a token (JWT) of an issuer that it trusts. The scope `tasks:read` allows reads, `tasks:write` allows changes. A key or token that is limited to sessions has access only to their tasks and batches. A service without keys and issuer requires neither.',
            },
          },
        },
      },
      transformObject: (document) =>
        'openapiObject' in document
          ? shareProblems(withLists(document.openapiObject))
          : document.swaggerObject,
      // Components have the names of their schemas.
      refResolver: {
        buildLocalReference: (schema, _base, _fragment, i) => (schema.$id as string) ?? `def-${i}`,
      },
    })

    if (!docs) return
    // One buffer for all responses: a copy for each would fill the memory while clients do not read them.
    const sendOnce = (type: string, write: () => string) => {
      let document: Buffer | undefined
      return (_request: FastifyRequest, reply: FastifyReply) => {
        document ??= Buffer.from(write())
        return reply.type(type).send(document)
      }
    }
    const sendJson = sendOnce(JSON_TYPE, () => JSON.stringify(app.swagger()))
    for (const path of ['/openapi.json', '/docs/json']) app.get(path, { schema: { hide: true } }, sendJson)
    const sendYaml = sendOnce('application/yaml', () => app.swagger({ yaml: true }))
    app.get('/docs/yaml', { schema: { hide: true } }, sendYaml)

    // Loaded at the first request: a start should not wait for it.
    let page: ReturnType<typeof import('./docs.js')['createDocs']> | undefined
    const sendPage = async (request: FastifyRequest, reply: FastifyReply) => {
      page ??= import('./docs.js').then(({ createDocs }) => createDocs())
      const { routing } = await page
      reply.hijack()
      for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value!)
      request.raw.headers['x-request-id'] = request.id
      routing(request.raw, reply.raw)
    }
    for (const path of ['/docs', '/docs/static/*']) app.get(path, { schema: { hide: true } }, sendPage)
    app.addHook('onClose', async () => (await page)?.close())
  },
  { name: 'openapi' },
)

/** Parameters of the path become server variables, for which the reader fills in a value; OpenAPI requires a default. */
function serverAt(path: string) {
  const names = [...path.matchAll(PARAMETER)].map(([, name]) => name!)
  return {
    url: path.replace(PARAMETER, '{$1}'),
    ...(names.length > 0 && {
      variables: Object.fromEntries(names.map((name) => [name, { default: name }])),
    }),
  }
}

/** A parameter of a route, with its pattern if it has one. */
const PARAMETER = /:(\w+)(?:\([^/]*\))?/g

type Response = { $ref?: string; content?: Record<string, { examples?: object }> }
type Parameter = { in: string; schema: { type?: string } }
type Operation = { parameters?: Parameter[]; responses: Record<string, Response> }
type Document = { paths?: object; components?: object }

const operationsOf = ({ paths }: Document) =>
  Object.values(paths ?? {}).flatMap((path) => Object.values<Operation>(path))

/** Declares that the lists in queries are separated by commas. */
function withLists(document: Document): Document {
  for (const { parameters = [] } of operationsOf(document)) {
    for (const parameter of parameters) {
      if (parameter.in === 'query' && parameter.schema.type === 'array')
        Object.assign(parameter, { style: 'form', explode: false })
    }
  }
  return document
}

/**
 * Moves each error response into a component named after its codes, and refers to it from the operations. Language models
 * read the whole document, so it must be short.
 */
function shareProblems(document: Document): object {
  const shared: Record<string, Response> = {}
  for (const { responses } of operationsOf(document)) {
    for (const [status, response] of Object.entries(responses)) {
      const problem = response.content?.['application/problem+json']
      if (problem === undefined) continue
      const name = Object.keys(problem.examples ?? {})
        .map(pascalCase)
        .join('Or')
      shared[name] = response
      responses[status] = { $ref: `#/components/responses/${name}` }
    }
  }
  return { ...document, components: { ...document.components, responses: shared } }
}

const pascalCase = (code: string) => code.replace(/(?:^|_)(.)/g, (_, letter: string) => letter.toUpperCase())
