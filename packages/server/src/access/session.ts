/** The session in which a caller creates. */

import type { Caller } from '../http/caller.js'
import { validationError } from '../http/problem.js'

/** Most sessions of a caller that one response lists. */
const MAX_LISTED = 20

/**
 * The session of what `caller` creates: the requested one, or the only session of the caller. Throws a validation error
 * for any other session; it is the same whether that session exists or not.
 */
export function sessionFor(caller: Caller, session_id: string | null | undefined): string | null | undefined {
  const { sessions } = caller
  if (sessions === undefined) return session_id
  if (session_id == null && sessions.length === 1) return sessions[0]
  if (session_id != null && sessions.includes(session_id.toLowerCase())) return session_id
  const message =
    sessions.length === 0
      ? 'cannot be used: the key or token has access to no session'
      : `must be ${sessions.length === 1 ? 'the session' : 'one of the sessions'} of the key or token`
  throw validationError([{ in: 'body', path: 'session_id', message, allowed: sessions.slice(0, MAX_LISTED) }])
}
