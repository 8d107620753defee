/** Requests that depend on what the caller has seen (RFC 9110, section 13): the entity tag of a task is its `updated_at`. */
import { Type } from '@sinclair/typebox'

const tag = '"2025-12-06T10:00:00.000Z"'

/** The headers of a route that changes a task. */
export const ChangeHeaders = Type.Object({
  'If-Match': Type.Optional(
    Type.String({
      format: 'entity-tags',
      description: `Changes the task only if it is as you know it: its \`updated_at\` in double quotes, which is also its ETag, as in \`${tag}\`. If somebody changed it since, the answer is 412 with the task as it is now.`,
    }),
  ),
})

/** The headers of a route that reads a task. */
export const ReadHeaders = Type.Object({
  'If-None-Match': Type.Optional(
    Type.String({
      format: 'entity-tags',
      description: `Answers 304 without a body if the task is still as you know it: its ETag, as in \`${tag}\`.`,
    }),
  ),
})

/** The header of an answer that is one task. */
export const etagHeader = {
  ETag: { type: 'string', description: `The \`updated_at\` of the task in double quotes, as in \`${tag}\`.` },
}

/** The entity tag of a version. */
export const etagOf = (version: string) => `"${version}"`

/** The versions that an If-Match names; undefined when it names none and any will do. A weak tag matches none. */
export function versionsOf(ifMatch: string | undefined): string[] | undefined {
  if (ifMatch === undefined || ifMatch.trim() === '*') return undefined
  return entityTags(ifMatch).flatMap(({ weak, version }) => (weak ? [] : version))
}

/** Whether an If-None-Match names the version. */
export function isKnown(ifNoneMatch: string | undefined, version: string): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch.trim() === '*' || entityTags(ifNoneMatch).some((tag) => tag.version === version)
}

const entityTags = (list: string) =>
  [...list.matchAll(/(W\/)?"([^"]*)"/g)].map(([, weak, version]) => ({ weak, version: version! }))
