/** The Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header): a create that is retried takes effect once. */
import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isLocked } from '../db/failures.js'
import { etagHeader } from '../http/conditions.js'
import { ApiError } from '../http/problem.js'
import { fingerprintOf, formerFingerprintOf, normalizer } from './fingerprint.js'
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
    description:
      'Present when the response is that of an earlier request with the same `Idempotency-Key`. What it created may have changed since.',
  },
}

/** The headers of a response that is one task, and may be that of an earlier request. */
export const replayedTaskHeaders = {
  ETag: {
    ...etagHeader.ETag,
    description: `${etagHeader.ETag.description} With \`Idempotency-Replayed\`, it is the ETag of the first response, and the task may have changed since: get the task before you change it with \`If-Match\`.`,
  },
  ...replayedHeader,
}

/**
 * Returns a function that creates something, only once per Idempotency-Key if the request has one, and prepares the response.
 * The session of the body must be set before: it is part of the fingerprint.
 *
 * @param schema The schema of the body.
 * @param status The status of the response.
 */
export function createOnceFrom(app: FastifyInstance, schema: TSchema, status = 201) {
  const normalize = normalizer(schema, (id) => app.getSchema(id))

  function readOnce({
    headers,
    caller,
    method,
    routeOptions,
    params,
    body,
  }: FastifyRequest): Once | undefined {
    const given = headers['idempotency-key'] as string | undefined
    if (given === undefined) return undefined
    const operation = `${method} ${pathOf(routeOptions.url!, params as Record<string, string>)}`
    return {
      caller: caller.name,
      key: bare(given),
      fingerprint: fingerprintOf(operation, normalize(body)),
      formerFingerprint: () => formerFingerprintOf(operation, body),
    }
  }

  return async <T>(
    request: FastifyRequest,
    reply: FastifyReply,
    create: (once: Once | undefined) => Promise<Creation<T>>,
  ): Promise<Created<T>> => {
    const creation = await create(readOnce(request)).catch((error: unknown) => {
      throw isLocked(error) ? new ApiError('idempotency_in_progress') : error
    })
    if (creation.outcome === 'key_reused') throw new ApiError('idempotency_key_reused')
    if (creation.outcome === 'replayed') reply.header('idempotency-replayed', 'true')
    reply.code(status)
    return creation
  }
}

/** The path with the ids of a request: the same body for another batch is another request. */
const pathOf = (url: string, params: Record<string, string>) =>
  url.replace(/:(\w+)/g, (_, name) => params[name]!.toLowerCase())

/** The key without the quotes and escapes of a structured field (RFC 9651, section 3.3.3), where it has them. */
const bare = (key: string) => (key.startsWith('"') ? key.slice(1, -1).replaceAll(/\\(.)/g, '$1') : key)
