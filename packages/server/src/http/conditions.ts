/** Conditional requests (RFC 9110, section 13). The entity tag of a task is its `updated_at`. */
import { Type } from '@sinclair/typebox'

const tag = '"2025-12-06T10:00:00.000Z"'

/** The headers of a route that changes a task. */
export const ChangeHeaders = Type.Object({
  'If-Match': Type.Optional(
    Type.String({
      format: 'entity-tags',
      description: `Changes the task only if it has not changed since you read it. The value is its ETag, which is its \`updated_at\` in double quotes, such as \`${tag}\`. If the task has changed, returns 412 with the current task.`,
    }),
  ),
})

/** The headers of a route that reads a task. */
export const ReadHeaders = Type.Object({
  'If-None-Match': Type.Optional(
    Type.String({
      format: 'entity-tags',
      description: `Returns 304 without a body if the task has not changed since you read it. The value is its ETag, such as \`${tag}\`.`,
    }),
  ),
})

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

/** Whether an If-None-Match header names the version. */
export function isKnown(ifNoneMatch: string | undefined, version: string): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch.trim() === '*' || entityTags(ifNoneMatch).some((tag) => tag.version === version)
}

const entityTags = (list: string) =>
  [...list.matchAll(/(W\/)?"([^"]*)"/g)].map(([, weak, version]) => ({ weak, version: version! }))
