/** Why a statement failed, as far as it matters outside: the database could not be asked, or something else. */

import { DrizzleQueryError } from 'drizzle-orm/errors'

/** The driver could not reach the server, or lost it, or its disk: codes of postgres.js and of Node. */
const connectionCodes = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  // Of several servers, none is the primary now.
  'TARGET_SESSION_ATTRS',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EACCES',
  'ENOSPC',
  'EROFS',
  'EPIPE',
  'ETIMEDOUT',
])

/**
 * The server answered that it cannot serve: connection exceptions (class 08), insufficient resources (53), an
 * operator’s shutdown or a cancelled statement (57), an error of the system (58), a lock or serialisation that can be tried
 * again (40, 55P03), and a server that is read-only for now (25006). PostgreSQL, appendix A.
 */
const unavailableStates = /^(08|53|57|58|40)...$|^55P03$|^25006$/

/** The error of the driver: that of a store as it is, elsewhere below one of Drizzle, which quotes SQL and parameters. */
export function driverError(error: unknown): { code?: unknown; message?: unknown } {
  const cause = error instanceof Error ? error.cause : undefined
  return (cause ?? error ?? {}) as { code?: unknown; message?: unknown }
}

/** What the log says of an error. */
export interface LoggedError {
  type: string
  code?: unknown
  message: string
  stack?: string | undefined
}

/**
 * An unexpected error for the log. For an error of PostgreSQL only code and message are logged: its other fields contain
 * SQL and values, as does the message of a DrizzleQueryError.
 */
export function toLoggedError(thrown: unknown): LoggedError {
  const error = thrown instanceof DrizzleQueryError ? thrown.cause : thrown
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an Error' }
  const { code, message, stack } = error as NodeJS.ErrnoException
  // Both drivers copy the fields of PostgreSQL's response. The class of PGlite has no readable name.
  if ('severity' in error) {
    // Only the messages of data exceptions (class 22) quote values.
    const safe = String(code).startsWith('22') ? message.replace(/".*"/s, '"…"') : message
    return { type: 'PostgresError', code, message: safe }
  }
  return { type: error.constructor.name, ...(code !== undefined && { code }), message, stack }
}

/** Whether a statement gave up waiting for another that holds its rows. */
export const isLocked = (error: unknown): boolean => driverError(error).code === '55P03'

/** Whether the database is away or overloaded, so that the same call may succeed later. */
export function isUnavailable(error: unknown): boolean {
  const { code } = driverError(error)
  return typeof code === 'string' && (connectionCodes.has(code) || unavailableStates.test(code))
}

/** Why it failed, in one line and without SQL. */
export function reasonOf(error: unknown) {
  const { message, code } = driverError(error)
  return message || code
}
