/** Classifies failures of statements: database unavailable, row locked, or anything else. */

import { DrizzleQueryError } from 'drizzle-orm/errors'

/** Connection or disk lost: codes of postgres.js, db/driver.ts, db/disk.ts and Node. */
const connectionCodes = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  // None of several hosts is the primary.
  'TARGET_SESSION_ATTRS',
  // The embedded database.
  'FOLDER_LOST',
  'DATABASE_CRASHED',
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
 * SQLSTATEs that a retry may resolve: connection exception (08), insufficient resources (53), operator intervention, such as
 * a shutdown or a statement timeout (57), system error (58), transaction rollback (40), lock not available (55P03) and
 * read-only transaction (25006). PostgreSQL, appendix A.
 */
const unavailableStates = /^(08|53|57|58|40)...$|^55P03$|^25006$/

/** Returns the driver's error: Drizzle wraps it in one whose message contains SQL and parameters; stores do not. */
export function driverError(error: unknown): DriverError {
  const cause = error instanceof Error ? error.cause : undefined
  return (cause ?? error ?? {}) as DriverError
}

interface DriverError {
  code?: unknown
  message?: unknown
  /** Only of an error that PostgreSQL reports. */
  severity?: unknown
  detail?: unknown
  /** The constraint that is violated, as postgres.js and as PGlite name it. */
  constraint_name?: unknown
  constraint?: unknown
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

/** Whether a statement reached its timeout while it waited for a row lock. */
export const isLocked = (error: unknown): boolean => driverError(error).code === '55P03'

/** Whether a statement was cancelled because it and another one waited for each other. */
export const isDeadlock = (error: unknown): boolean => driverError(error).code === '40P01'

/** Why only writes fail, if that is so. */
export function writeObstacle(error: unknown): 'read-only' | 'disk full' | undefined {
  const { code } = driverError(error)
  if (code === '25006') return 'read-only'
  return code === 'ENOSPC' || code === '53100' ? 'disk full' : undefined
}

/** Whether the database is unreachable or overloaded, so that a retry may succeed. */
export function isUnavailable(error: unknown): boolean {
  const { code } = driverError(error)
  return typeof code === 'string' && (connectionCodes.has(code) || unavailableStates.test(code))
}

/** Why it failed, in one line and without SQL. */
export function reasonOf(error: unknown) {
  const { message, code } = driverError(error)
  return message || code
}
