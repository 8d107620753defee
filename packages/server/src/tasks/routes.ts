/** The task operations over HTTP. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ApiError, bodyProblems, commonProblems, problems } from '../errors.js'
import { answer, noContent, ref, toPage } from '../schemas.js'
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

export const taskRoutes: FastifyPluginAsyncTypebox<{ store: TaskStore }> = async (app, { store }) => {
  app.post(
    '',
    {
      schema: {
        operationId: 'createTask',
        tags,
        summary: 'Create a task',
        description:
          'Adds one task, for example an extra exercise. To write down a whole learning path, create a batch: one call for all its tasks.',
        body: ref(TaskCreate),
        response: {
          201: answer('The new task.', ref(Task)),
          ...problems(...bodyProblems, ...commonProblems),
        },
      },
    },
    async (request, reply) => {
      reply.code(201)
      return store.create(request.body)
    },
  )

  app.get(
    '',
    {
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
    async (request) => toPage(await store.list(request.query), request.query),
  )

  app.get(
    '/:task_id',
    {
      schema: {
        operationId: 'getTask',
        tags,
        summary: 'Get a task',
        description: 'Answers one task as it is now.',
        params: TaskParams,
        response: {
          200: answer('The task.', ref(Task)),
          ...problems('task_not_found', ...commonProblems),
        },
      },
    },
    async (request) => {
      const task = await store.get(request.params.task_id)
      if (task === undefined) throw new ApiError('task_not_found')
      return task
    },
  )

  app.put(
    '/:task_id',
    {
      schema: {
        operationId: 'updateTask',
        tags,
        summary: 'Update a task',
        description:
          'Changes the given fields and leaves the others as they are. `{"status": "completed"}` completes the task and sets its `completed_at`; any other status clears it. `{}` changes nothing.',
        params: TaskParams,
        body: ref(TaskUpdate),
        response: {
          200: answer('The task after the change.', ref(Task)),
          ...problems('task_not_found', ...bodyProblems, ...commonProblems),
        },
      },
    },
    async (request) => {
      const task = await store.update(request.params.task_id, request.body)
      if (task === undefined) throw new ApiError('task_not_found')
      return task
    },
  )

  app.delete(
    '/:task_id',
    {
      schema: {
        operationId: 'deleteTask',
        tags,
        summary: 'Delete a task',
        description: 'Deletes one task for good. Takes no body.',
        params: TaskParams,
        response: {
          204: noContent('The task is deleted.'),
          ...problems(
            'task_not_found',
            'invalid_json',
            'body_too_large',
            'unsupported_media_type',
            ...commonProblems,
          ),
        },
      },
    },
    async (request, reply) => {
      if (!(await store.delete(request.params.task_id))) throw new ApiError('task_not_found')
      return reply.code(204).send(null)
    },
  )

  app.put(
    '/bulk',
    {
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
      const updated = await store.updateMany(patches)
      const found = updated.map((task) => task.id)
      return {
        updated,
        not_found: without(
          patches.map((patch) => patch.id),
          found,
        ),
      }
    },
  )

  app.delete(
    '/bulk',
    {
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
      const deleted = await store.deleteMany(request.body.ids)
      return { deleted_count: deleted.length, not_found: without(request.body.ids, deleted) }
    },
  )
}

/** The ids in lower case, each once, without those found. */
function without(ids: string[], found: string[]): string[] {
  const rest = new Set(ids.map((id) => id.toLowerCase()))
  for (const id of found) rest.delete(id)
  return [...rest]
}
