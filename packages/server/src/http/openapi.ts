/** The OpenAPI document, made from the routes' schemas, and the page that shows it. */

import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../start/config.js'
import { closeFiles } from './shutdown.js'
import { version } from './version.js'

const description = `
The task memory of agents that teach Kubernetes: write a learning path down as a **batch** of tasks in one call, work
through it over hours or days, and ask at any time what is left.

- **Session.** An agent makes one UUID for its session and sends it as \`session_id\` with every call.
- **Plan:** \`POST /api/v1/batches\`. **What is left:** \`GET /api/v1/tasks?session_id=…&status=pending\`.
  **Done:** \`PUT /api/v1/tasks/{task_id}\` with \`{"status": "completed"}\`. **Where are we:**
  \`GET /api/v1/batches/latest?session_id=…\`.
- **JSON** in UTF-8 with snake_case names. Unknown fields and parameters are refused, never ignored. Lengths count
  Unicode code points; text has no NUL characters and no unpaired surrogates.
- **Key.** Where the service asks for one, send it in the header \`Authorization: Bearer …\`. A 404 is also the answer for what is
  in a session that the key may not see.
- **Times** are answered as RFC 3339 in UTC with milliseconds. They are read as RFC 3339, without an offset as UTC, or as a
  date alone, midnight UTC.
- **Errors** are \`application/problem+json\` (RFC 9457). Act on \`error_code\`; \`detail\` and \`errors\` say what to
  change, with the names and values that exist and the one probably meant. Repeat a request as it was only after an answer with
  \`Retry-After\`, when that many seconds have passed.
- **Retries.** Send creates with an \`Idempotency-Key\` that names the step, such as \`<session_id>:plan:1\`: repeated, they
  take effect once. Without one, look before repeating a create.
- **Side by side.** Send \`If-Match\` with a task's \`updated_at\` in double quotes to change it only if nobody did since.
`.trim()

/** To be registered before the routes. `path` is what stands before theirs in URLs. */
export async function registerOpenapi(app: FastifyInstance, { DOCS }: Config, path: string) {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'AKLP Task Service', version, description, license: { name: 'MIT', identifier: 'MIT' } },
      ...(path && { servers: [{ url: path }] }),
      tags: [
        { name: 'batches', description: 'Plans: several tasks written down in one call.' },
        { name: 'tasks', description: 'Single tasks, and changes to several at once.' },
        { name: 'health', description: 'How the service is.' },
      ],
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description:
              'A key of the service, or a token (JWT) of an issuer that it trusts. `tasks:read` allows to read, `tasks:write` to change; one that is bound to sessions sees and changes nothing else. A service that is set up without keys asks for none.',
          },
        },
      },
    },
    transformObject: (document) =>
      'openapiObject' in document ? shareProblems(document.openapiObject) : document.swaggerObject,
    // Components are called what their schemas are called.
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, i) => (schema.$id as string) ?? `def-${i}`,
    },
  })

  if (DOCS === 'off') return
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())

  await app.register(async (docs) => {
    closeFiles(docs)
    await docs.register(swaggerUi, {
      routePrefix: '/docs',
      // Everything comes from here. The ready-made policy would also turn http into https, where nobody listens.
      staticCSP:
        "default-src 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'",
      uiConfig: {
        layout: 'BaseLayout',
        tryItOutEnabled: true,
        displayRequestDuration: true,
        defaultModelsExpandDepth: 0,
      },
      theme: { title: 'AKLP Task Service' },
    })
  })
}

type Response = { $ref?: string; content?: Record<string, { examples?: object }> }
type Operation = { responses: Record<string, Response> }
type Document = { paths?: object; components?: object }

/**
 * Describes the same answer to an error once, as a component called by its codes, and refers to it from the operations:
 * language models read the whole document.
 */
function shareProblems(document: Document): object {
  const shared: Record<string, Response> = {}
  const operations = Object.values(document.paths ?? {}).flatMap((path) => Object.values<Operation>(path))
  for (const { responses } of operations) {
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
