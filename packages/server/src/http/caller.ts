/** The caller of a request, as the features see it. How callers authenticate is in access/. */

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sent the request. Set on every route that requires authentication. */
    caller: Caller
  }
}

/** What a caller may do. */
export const SCOPES = ['tasks:read', 'tasks:write'] as const
export type Scope = (typeof SCOPES)[number]

export interface Caller {
  /** Unique among callers: used in logs, rate limits and idempotency records. */
  name: string
  scopes: readonly Scope[]
  /** The sessions that the caller can read and write, in lower case. If absent, all sessions and tasks without one. */
  sessions?: readonly string[]
  /** Until when the credentials hold, in milliseconds since 1970; without an end by default. */
  until?: number
}

/** Every caller, if authentication is off. */
export const anonymous: Caller = { name: 'anonymous', scopes: SCOPES }
