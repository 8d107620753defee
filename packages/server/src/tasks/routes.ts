/** The task operations over HTTP. */

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sessionFor } from '../access/session.js'
import { jsonArray } from '../db/json.js'
import { loadOfList } from '../http/admission.js'
import type { Caller } from '../http/caller.js'
import { ChangeHeaders, etagHeader, etagOf, isKnown, ReadHeaders, versionsOf } from '../http/conditions.js'
import { pageOf } from '../http/paging.js'
import { ApiError, bodyProblems, commonProblems, createProblems, problems } from '../http/problem.js'
import { answer, noContent, ref } from '../http/schemas.js'
import { CreateHeaders, createOnce, replayedHeader } from '../idempotency/header.js'
import type { Metrics } from '../telemetry/metrics.js'
import {
  Task,
  TaskBulkDelete,
  TaskBulkDeleteResult,
  TaskBulkUpdate,
  TaskBulkUpdateResult,
  TaskCreate,
  TaskListQuery,
  TaskPage,
  TaskParams,
  TaskUpdate,
} from './schemas.js'
import type { TaskStore } from './store.js'

const tags = ['tasks']

interface TaskRoutesOptions {
  store: TaskStore
  metrics: Metrics
}

export const taskRoutes: FastifyPluginAsyncTypebox<TaskRoutesOptions> = async (app, { store, metrics }) => {
  /** Why a change found no task. */
  const notChanged = async (caller: Caller, id: string) => {
    const current = await store.get(caller, id)
    if (current === undefined) return new ApiError('task_not_found')
    const etag = etagOf(current.version)
    return new ApiError('task_changed', undefined, { etag }, { current: JSON.parse(current.json) })
  }

  app.post(
    '',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'createTask',
        tags,
        summary: 'Create a task',
        description:
          'Adds one task, for example an extra exercise. To write down a whole learning path, create a batch: one call for all its tasks.',
        headers: CreateHeaders,
        body: ref(TaskCreate),
        response: {
          201: answer('The new task.', ref(Task), { ...etagHeader, ...replayedHeader }),
          ...problems(...createProblems, ...commonProblems),
        },
      },
    },
    async (request, reply) => {
      // Before a key is looked up: what it stands for may be in a session that is not the caller's any more.
      request.body.session_id = sessionFor(request.caller, request.body.session_id)
      const task = await createOnce(request, reply, (once) => store.create(request.body, once))
      metrics.created(task.outcome, [request.body])
      reply.header('etag', etagOf(task.version))
      return task.json
    },
  )

  app.get(
    '',
    {
      config: { load: loadOfList },
      schema: {
        operationId: 'listTasks',
        tags,
        summary: 'List tasks',
        description:
          'Answers what is left or done, a page at a time. Filters add up; without any, the tasks of all sessions are listed. An agent asks with its `session_id` and `status=pending` for what is left to do.',
        querystring: TaskListQuery,
        response: {
          200: answer('A page of tasks.', ref(TaskPage)),
          ...problems(...commonProblems),
        },
      },
    },
    async (request) => pageOf(await store.list(request.caller, request.query), request.query),
  )

  app.get(
    '/:task_id',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'getTask',
        tags,
        summary: 'Get a task',
        description: 'Answers one task as it is now.',
        params: TaskParams,
        headers: ReadHeaders,
        response: {
          200: answer('The task.', ref(Task), etagHeader),
          304: noContent('The task is still as you know it.', etagHeader),
          ...problems('task_not_found', ...commonProblems),
        },
      },
    },
    async (request, reply) => {
      const task = await store.get(request.caller, request.params.task_id)
      if (task === undefined) throw new ApiError('task_not_found')
      reply.header('etag', etagOf(task.version))
      return isKnown(request.headers['if-none-match'], task.version)
        ? reply.code(304).send(undefined)
        : task.json
    },
  )

  app.put(
    '/:task_id',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'updateTask',
        tags,
        summary: 'Update a task',
        description:
          'Changes the given fields and leaves the others as they are. `{"status": "completed"}` completes the task and sets its `completed_at`; any other status clears it. `{}` changes nothing.',
        params: TaskParams,
        headers: ChangeHeaders,
        body: ref(TaskUpdate),
        response: {
          200: answer('The task after the change.', ref(Task), etagHeader),
          ...problems('task_not_found', 'task_changed', ...bodyProblems, ...commonProblems),
        },
      },
    },
    async (request, reply) => {
      const { caller, params, body } = request
      const versions = versionsOf(request.headers['if-match'])
      const task = await store.update(caller, params.task_id, body, versions)
      if (task === undefined) throw await notChanged(caller, params.task_id)
      if (task.becameCompleted) metrics.tasksCompleted++
      reply.header('etag', etagOf(task.version))
      return task.json
    },
  )

  app.delete(
    '/:task_id',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'deleteTask',
        tags,
        summary: 'Delete a task',
        description: 'Deletes one task for good. Takes no body.',
        params: TaskParams,
        headers: ChangeHeaders,
        response: {
          204: noContent('The task is deleted.'),
          ...problems(
            'task_not_found',
            'task_changed',
            'invalid_json',
            'body_too_large',
            'unsupported_media_type',
            ...commonProblems,
          ),
        },
      },
    },
    async (request, reply) => {
      const { caller, params } = request
      const versions = versionsOf(request.headers['if-match'])
      if (!(await store.delete(caller, params.task_id, versions)))
        throw await notChanged(caller, params.task_id)
      reply.code(204)
      return ''
    },
  )

  app.put(
    '/bulk',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'bulkUpdateTasks',
        tags,
        summary: 'Update several tasks',
        description:
          'Changes up to 500 tasks in one call, all or none. One invalid item refuses the whole request; ids that no task has are skipped and listed in `not_found`.',
        body: ref(TaskBulkUpdate),
        response: {
          200: answer('The changed tasks and the ids that were not found.', ref(TaskBulkUpdateResult)),
          ...problems(...bodyProblems, ...commonProblems),
        },
      },
    },
    async (request) => {
      const patches = request.body.tasks
      const { updated, becameCompleted } = await store.updateMany(request.caller, patches)
      metrics.tasksCompleted += becameCompleted
      const ids = patches.map(({ id }) => id)
      const not_found = JSON.stringify(without(ids, updated.keys()))
      return `{"updated":${jsonArray([...updated.values()])},"not_found":${not_found}}`
    },
  )

  app.delete(
    '/bulk',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'bulkDeleteTasks',
        tags,
        summary: 'Delete several tasks',
        description:
          'Deletes up to 500 tasks in one call, all or none, for example the completed ones. Ids that no task has are skipped and listed in `not_found`. The ids stand in a JSON body.',
        body: ref(TaskBulkDelete),
        response: {
          200: answer('How many were deleted and the ids that were not found.', ref(TaskBulkDeleteResult)),
          ...problems(...bodyProblems, ...commonProblems),
        },
      },
    },
    async (request) => {
      const { ids } = request.body
      const deleted = await store.deleteMany(request.caller, ids)
      return JSON.stringify({ deleted_count: deleted.length, not_found: without(ids, deleted) })
    },
  )
}

/** The ids in lower case, each once, without those found. */
function without(ids: string[], found: Iterable<string>): string[] {
  const rest = new Set(ids.map((id) => id.toLowerCase()))
  for (const id of found) rest.delete(id)
  return [...rest]
}
