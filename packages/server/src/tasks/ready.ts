/** Whether a task can be claimed now. The time is the database's. */
import { type SQL, sql } from 'drizzle-orm'
import { tasks } from '../db/tables.js'

/**
 * Whether a task has a blocker that is not completed.
 *
 * @param done The id of a task that counts as completed.
 */
export const hasOpenBlocker = (done?: SQL): SQL =>
  sql`${tasks.blocked_by} <> '{}' and has_open_blocker(${tasks.blocked_by}${done && sql`, ${done}`})`

/** Whether its `not_before` is to come. */
export const isDeferred = sql`${tasks.not_before} is not null and ${tasks.not_before} > now()`

/** Whether nobody works on it: it is pending, or its lease has expired. In progress without a lease, a person works on it. */
export const isFree = sql`
  (${tasks.status} = 'pending' or
   (${tasks.status} = 'in_progress' and ${tasks.lease_expires_at} is not null and ${tasks.lease_expires_at} <= now()))`

/** @param blocked Whether it has an open blocker. */
export const isReady = (blocked: SQL): SQL => sql`(${isFree} and not (${isDeferred}) and not (${blocked}))`

/** The order in which ready tasks are claimed: by priority, then by their place in the plan. */
export const claimOrder = [
  sql`${tasks.priority} desc nulls last`,
  sql`${tasks.created_at}`,
  sql`${tasks.position}`,
  sql`${tasks.id}`,
]
