/** In which session a caller creates. */

import type { Caller } from '../http/caller.js'
import { mistaken } from '../http/problem.js'

/** Most sessions of a caller that one answer lists. */
const MAX_LISTED = 20

/**
 * The session of what `caller` creates: the one it asks for, or its own where it has exactly one. Throws what is answered
 * to any other: the same for a session that exists as for one that does not.
 */
export function sessionFor(caller: Caller, session_id: string | null | undefined): string | null | undefined {
  const { sessions } = caller
  if (sessions === undefined) return session_id
  if (session_id == null && sessions.length === 1) return sessions[0]
  if (session_id != null && sessions.includes(session_id.toLowerCase())) return session_id
  const message =
    sessions.length === 0
      ? 'cannot be given: the key or token works in no session'
      : `must be ${sessions.length === 1 ? 'the session' : 'one of the sessions'} of the key or token`
  throw mistaken([{ in: 'body', path: 'session_id', message, allowed: sessions.slice(0, MAX_LISTED) }])
}
