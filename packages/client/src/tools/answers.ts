/** What the tools answer: short results, and errors that say what to do now. */
import { AklpError, InputError } from '../errors.js'
import type { Progress, Task } from '../generated/schema.js'
import { type Mistake, MOST_SHOWN } from './input.js'

/** The model asked for something that cannot be: the message says what to do now. */
export class ToolError extends Error {
  override name = 'ToolError'
}

/** Most characters of a text of another task. */
const MOST_CHARACTERS = 500

/** A text that is not what was asked for, cut with a mark that says so. */
export function cut(text: string | null): string | null {
  if (text === null || text.length <= MOST_CHARACTERS) return text
  // Not between the halves of a surrogate pair.
  const kept = text.slice(0, MOST_CHARACTERS).replace(/[\uD800-\uDBFF]$/, '')
  return `${kept}… (${text.length - kept.length} more characters: get_task returns all)`
}

/** Without nulls, empty lists and empty objects: each costs a model a part of its context. */
export function lean<T extends object>(value: T): Partial<T> {
  const isKept = (inner: unknown) =>
    inner !== null &&
    inner !== undefined &&
    (typeof inner !== 'object' || inner instanceof Date || Object.keys(inner).length > 0)
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => isKept(inner))) as Partial<T>
}

/** A task to work on. */
export const toWorkOn = ({ id, key, title, description, priority, due_date, metadata, attempts }: Task) =>
  // From the second attempt on, it says that another way is needed.
  lean({
    id,
    key,
    title,
    description,
    priority,
    due_date,
    metadata,
    attempts: attempts > 1 ? attempts : null,
  })

/** A task that was changed: what the model has not just sent. */
export const changed = ({ id, key, title, status, priority, not_before }: Task) =>
  lean({ id, key, title, status, priority, not_before })

/** What to do when no task is ready. */
export function whyNone({ total, completed, in_progress, deferred }: Progress): string {
  if (total === 0) return 'There are no tasks yet: call create_plan.'
  if (completed === total) return 'All tasks are completed. Add more with extend_plan, or report the results.'
  if (in_progress > 0)
    return 'No task is ready: the rest waits for tasks that others have in progress. Do not start one without next_task; call next_task again later.'
  if (deferred > 0)
    return 'No task is ready: the rest is deferred. list_tasks shows it; call next_task again later.'
  return 'No task is ready: the rest is blocked by tasks that cannot be started. list_tasks shows `open_blockers`.'
}

const BUSY = (seconds = 1) =>
  `The task service is busy or restarting. Wait ${Math.max(1, Math.ceil(seconds))} s and make the same call again: nothing is done twice.`

/** Why a call failed, as a model should read it; undefined if the service could not be reached, or for any other error. */
export function explain(error: unknown, tool: string, isReadOnly: boolean): string | undefined {
  if (error instanceof ToolError) return error.message
  if (error instanceof InputError) return `${error.message}. Correct it and call ${tool} again.`
  if (!(error instanceof AklpError)) return undefined
  const { error_code, detail, problem, errors, status, retryAfter, requestId } = error
  const { current, open_blockers: blockers = [] } = problem ?? {}
  const again = `${isReadOnly ? '' : 'Nothing was changed. '}Correct it and call ${tool} again.`
  switch (error_code) {
    case 'validation_error': {
      const mistakes = errors.map(({ path, message, did_you_mean }) => {
        const meant = did_you_mean ? ` (did you mean ${did_you_mean}?)` : ''
        return `${path.replace(/^done\./, '')} ${message}${meant}`
      })
      const omitted = (problem?.error_count ?? 0) - errors.length
      return `${mistakes.join('; ')}${omitted > 0 ? `; and ${omitted} more` : ''}. ${again}`
    }
    case 'unauthorized':
      return 'The task service rejected the key or token of this connection. Do not retry: ask the person who configured it for a valid one.'
    case 'forbidden':
      return 'The key or token of this connection does not allow this. Do not retry: ask the person who configured it for one with the scopes `tasks:read` and `tasks:write`.'
    case 'task_not_found':
      return 'No task has this id in this session. Call list_tasks to find the ids.'
    case 'batch_not_found':
      return 'No plan has this batch_id in this session. Call resume: `latest_batch` has the id of the latest one.'
    case 'task_blocked': {
      const names = blockers.slice(0, 5).map(({ key, title, id }) => `${key ?? id} (${title})`)
      const more = blockers.length > 5 ? ` and ${blockers.length - 5} more` : ''
      return `The task waits for tasks that are not completed: ${names.join(', ')}${more}. Nothing was changed. Finish those first: call next_task.`
    }
    case 'task_claimed': {
      const { claimed_by, lease_expires_at } = current ?? {}
      return claimed_by
        ? `${claimed_by} has this task until ${lease_expires_at}. Do not start work on it: call next_task without task_id to get another one.`
        : 'Someone is at work on this task. Do not start work on it: call next_task without task_id to get another one.'
    }
    case 'task_completed':
      return 'This task is completed already: get_task returns its result. Call next_task without task_id to get another one.'
    case 'lease_lost': {
      const { claimed_by, status } = current ?? {}
      const now =
        status === 'completed'
          ? 'it is completed'
          : claimed_by
            ? `${claimed_by} has it now`
            : `its status is ${status} now`
      return `You do not hold this task with this token: ${now}. Nothing was changed. Stop work on this task and call next_task.`
    }
    case 'dependency_cycle':
      return `${detail.replace(/ Nothing was changed\..*$/s, '')} ${again}`
    case 'idempotency_key_reused':
      return 'The same tasks were added to another plan before, so nothing was added. If they belong to this plan as well, give its batch_id.'
    case 'answer_too_large':
      return `The answer would be too large. Call ${tool} again with a smaller limit.`
    case 'internal_error':
      return `The task service failed, and your input is not the cause. Report this to the person who runs it${requestId ? `, with the request id ${requestId}` : ''}.`
    case undefined:
      return `The address of the task service returned HTTP ${status}, but not as the task service does. Do not retry: ask the person who configured it to check the URL.`
  }
  if (status === 429 || status >= 500 || status === 408 || error_code === 'idempotency_in_progress')
    return BUSY(retryAfter)
  return `The task service rejected the call (${error_code}). Do not retry it unchanged.`
}

/** One sentence for all mistakes of an input. */
export function explainMistakes(mistakes: readonly Mistake[], tool: string, isReadOnly: boolean): string {
  const shown = mistakes.slice(0, MOST_SHOWN).map(({ describe }) => describe())
  const more = mistakes.length > shown.length ? `; and ${mistakes.length - shown.length} more` : ''
  return `${shown.join('; ')}${more}. ${isReadOnly ? '' : 'Nothing was changed. '}Correct this and call ${tool} again.`
}
