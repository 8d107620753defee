/** The Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header): a create that is retried takes effect once. */
import { createHash } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isLocked } from '../db/failures.js'
import { ApiError } from '../http/problem.js'
import type { Created, Creation, Once } from './record.js'

/** The headers of a route that creates. The key has no example: Swagger UI would send it with every request. */
export const CreateHeaders = Type.Object({
  'Idempotency-Key': Type.Optional(
    Type.String({
      format: 'idempotency-key',
      description:
        'Makes it safe to retry the request: a request with a key that was used before returns the first response and creates nothing. 1 to 255 visible ASCII characters, with or without double quotes. Use a key that names the step, such as `<session_id>:plan:1`, so that a step that is planned twice runs once; or use a new UUID. Each caller has its own keys. The service keeps a key for 7 days unless configured otherwise.',
    }),
  ),
})

/** The headers of its response. */
export const replayedHeader = {
  'Idempotency-Replayed': {
    type: 'string',
    enum: ['true'],
    description: 'Present when the response is that of an earlier request with the same `Idempotency-Key`.',
  },
}

/** Creates something, only once per Idempotency-Key if the request has one, and prepares the response. */
export async function createOnce<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  create: (once: Once | undefined) => Promise<Creation<T>>,
): Promise<Created<T>> {
  const creation = await create(readOnce(request)).catch((error: unknown) => {
    throw isLocked(error) ? new ApiError('idempotency_in_progress') : error
  })
  if (creation.outcome === 'key_reused') throw new ApiError('idempotency_key_reused')
  if (creation.outcome === 'replayed') reply.header('idempotency-replayed', 'true')
  reply.code(201)
  return creation
}

function readOnce({ headers, caller, method, routeOptions, body }: FastifyRequest): Once | undefined {
  const given = headers['idempotency-key'] as string | undefined
  if (given === undefined) return undefined
  const fingerprint = createHash('sha256')
    .update(`${method} ${routeOptions.url}\n${JSON.stringify(body, inOrder)}`)
    .digest('base64')
  return { caller: caller.name, key: bare(given), fingerprint }
}

/** The same object says the same in whatever order its fields are given. */
const inOrder = (_name: string, value: unknown) =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value

/** The key without the quotes and escapes of a structured field (RFC 9651, section 3.3.3), where it has them. */
const bare = (key: string) => (key.startsWith('"') ? key.slice(1, -1).replaceAll(/\\(.)/g, '$1') : key)
