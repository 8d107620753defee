/** The OpenAPI document, made from the routes' schemas, and the page that shows it. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
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
- **Times** are answered as RFC 3339 in UTC with milliseconds. They are read as RFC 3339, without an offset as UTC, or as a
  date alone, midnight UTC.
- **Errors** are \`application/problem+json\` (RFC 9457). Act on \`error_code\`; \`detail\` and \`errors\` say what to
  change, with the names and values that exist and the one probably meant. Repeat a request as it was only after a 503, when
  \`Retry-After\` seconds have passed.
`.trim()

/** To be registered before the routes. */
export async function registerOpenapi(app: FastifyInstance) {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'AKLP Task Service', version, description, license: { name: 'MIT', identifier: 'MIT' } },
      tags: [
        { name: 'batches', description: 'Plans: several tasks written down in one call.' },
        { name: 'tasks', description: 'Single tasks, and changes to several at once.' },
        { name: 'health', description: 'How the service is.' },
      ],
    },
    // Components are called what their schemas are called.
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, i) => (schema.$id as string) ?? `def-${i}`,
    },
  })

  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())

  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    uiConfig: {
      tryItOutEnabled: true,
      displayRequestDuration: true,
      defaultModelsExpandDepth: 0,
    },
    theme: { title: 'AKLP Task Service' },
  })
}
