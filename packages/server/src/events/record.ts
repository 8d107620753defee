/** Who changes and why, for the events that triggers write (migration 0007): each statement that changes says it to them. */
import { type Placeholder, type SQL, sql } from 'drizzle-orm'
import { toJson } from '../db/json.js'
import type { Caller } from '../http/caller.js'

/** What an event says apart from the change. */
interface Circumstances {
  /** The token of the lease that the caller holds: the event of its task names the worker. */
  token?: string | undefined
  /** Why, by the id of the task. */
  notes?: Record<string, string> | undefined
  /** The ids of the tasks that a batch gets, by the id of the batch. */
  extended?: Record<string, string[]>
  /** The tasks that the statement creates were deleted before. */
  restored?: true
}

/** The value of statements that change. */
export interface Recorded {
  by: string
}

/** Returns the value `by` of the statements that make a change for a caller. */
export type Recorder = (caller: Pick<Caller, 'name'>, circumstances?: Circumstances) => Recorded

/** The same for changes that are no event. */
export const WITHOUT_EVENT = '{"days":0}'

/** @param days For how many days events are kept; 0 for none at all. */
export const createRecorder =
  (days: number): Recorder =>
  ({ name }, circumstances) => ({
    by: days === 0 ? WITHOUT_EVENT : toJson({ days, caller: name, ...circumstances }),
  })

/**
 * A condition that is always true, and sets what the triggers read. It ends with the transaction, so it is safe behind a pooler. A
 * subquery that refers to no row runs once.
 */
export const recorded = (by: Placeholder): SQL =>
  sql`(select set_config('aklp.event', ${by}, true)) is not null`
