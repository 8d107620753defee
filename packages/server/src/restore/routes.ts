/** Restoring deleted tasks over HTTP. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { jsonArray, jsonObject, toJson } from '../db/json.js'
import { ApiError, bodyProblems, commonProblems, problems, validationError } from '../http/problem.js'
import { ref, success } from '../http/schemas.js'
import { MAX_TASKS } from '../tasks/schemas.js'
import { TaskRestore, TaskRestoreResult } from './schemas.js'
import { BatchesFull, type RestoreStore } from './store.js'

interface RestoreRoutesOptions {
  store: RestoreStore
  /** Whether events are kept: deleted tasks are restored from them. */
  areKept: boolean
}

export const restoreRoutes: FastifyPluginAsyncTypebox<RestoreRoutesOptions> = async (
  app,
  { store, areKept },
) => {
  app.post(
    '/restore',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'restoreTasks',
        tags: ['tasks'],
        summary: 'Restore deleted tasks',
        description:
          'Brings back up to 500 tasks that were deleted within `EVENT_DAYS` (30), in one transaction: as they were, under their ids, at their place in the plan, but without a lease. Each is blocked by those of its blockers that still exist; tasks that it blocked are not blocked again. It has no `key` if another task has it now. Tasks that exist are returned as they are. To find deleted tasks: GET /api/v1/events?types=task.deleted.',
        body: ref(TaskRestore),
        response: {
          200: success('The tasks that exist now and the unknown ids.', ref(TaskRestoreResult)),
          ...problems('events_off', ...bodyProblems, ...commonProblems),
        },
      },
    },
    async (request) => {
      if (!areKept) throw new ApiError('events_off')
      const ids = [...new Set(request.body.ids.map((id) => id.toLowerCase()))]
      const restored = await store.restore(request.caller, ids).catch(explain)
      return jsonObject<TaskRestoreResult>({
        restored: jsonArray([...restored.values()]),
        not_found: toJson(ids.filter((id) => !restored.has(id))),
      })
    },
  )
}

/** Throws the error for the caller. */
function explain(error: unknown): never {
  if (!(error instanceof BatchesFull)) throw error
  const message = `must leave at most ${MAX_TASKS} tasks in a batch, but tasks were added to ${error.ids.join(', ')} meanwhile. Restore fewer of its tasks, or delete others`
  throw validationError([{ in: 'body', path: 'ids', message }])
}
