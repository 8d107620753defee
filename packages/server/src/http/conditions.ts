/** Conditional requests (RFC 9110, section 13). The entity tag of a task is its `updated_at`. */
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { validationError } from './problem.js'

const tag = '"2025-12-06T10:00:00.000Z"'

/** The headers of a route that changes a task. */
export const ChangeHeaders = Type.Object({
  'If-Match': Type.Optional(
    Type.String({
      format: 'entity-tags',
      description: `Changes the task only if it has not changed since you read it. The value is its ETag, which is its \`updated_at\` in double quotes, such as \`${tag}\`. If the task has changed, returns 412 with the current task.`,
    }),
  ),
  'Lease-Token': Type.Optional(
    Type.String({
      format: 'uuid',
      description:
        'The token of the claim, sent by the worker that has claimed the task: changes the task only while this is its current token, and returns 409 `lease_lost` otherwise. Without it, a change of `status` ends the lease.',
    }),
  ),
})

/** Header of a worker that changes a task it has claimed. */
const LEASE_TOKEN = 'lease-token'

/** The header of a response that is one task. */
export const etagHeader = {
  ETag: {
    type: 'string',
    description: `The \`updated_at\` of the task in double quotes, such as \`${tag}\`.`,
  },
}

/** The entity tag of a version. */
export const etagOf = (version: string) => `"${version}"`

/** The versions in an If-Match header; undefined when any version matches. A weak tag matches none. */
export function versionsOf(ifMatch: string | undefined): string[] | undefined {
  if (ifMatch === undefined || ifMatch.trim() === '*') return undefined
  return entityTags(ifMatch).flatMap(({ weak, version }) => (weak ? [] : version))
}

const entityTags = (list: string) =>
  [...list.matchAll(/(W\/)?"([^"]*)"/g)].map(([, weak, version]) => ({ weak, version: version! }))

/** Conditions that would protect data if they were kept, and what to do about each. */
const unsupported = {
  'if-match':
    'is not supported by this operation. Remove it. To change a task only if it has not changed, update or delete it by its id',
  'if-none-match':
    'is not supported by operations that change something. Remove it. To change a task only if it has not changed, send If-Match',
  'if-unmodified-since':
    'is not supported. Remove it. To change a task only if it has not changed, send If-Match with its updated_at in double quotes',
  [LEASE_TOKEN]:
    'is not supported by this operation. Remove it. It is for changes of one task by its id; other operations take the token in the body',
}

const conditions = Object.keys(unsupported) as (keyof typeof unsupported)[]

/**
 * Rejects a condition that an operation cannot keep: if it were ignored, a change would take effect that the caller wanted to
 * prevent. Reads ignore the other conditions, which is always correct: they return the whole response.
 */
export const rejectConditions = fp(
  async (api) => {
    api.addHook('onRequest', (request, _reply, done) => {
      const found = conditions.filter((name) => request.headers[name] !== undefined && !allows(request, name))
      if (found.length === 0) return done()
      done(validationError(found.map((name) => ({ in: 'header', path: name, message: unsupported[name] }))))
    })
  },
  { name: 'reject-conditions' },
)

/** Whether an operation keeps a condition, or may ignore it. */
function allows({ method, routeOptions }: FastifyRequest, name: keyof typeof unsupported): boolean {
  if (routeOptions.schema?.headers === ChangeHeaders && (name === 'if-match' || name === LEASE_TOKEN))
    return true
  return name !== 'if-match' && (method === 'GET' || method === 'HEAD')
}
