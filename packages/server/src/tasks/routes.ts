/** The task operations over HTTP. */

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sessionFor } from '../access/session.js'
import { jsonArray, jsonObject, toJson } from '../db/json.js'
import { loadOfList, needsScan } from '../http/admission.js'
import type { Caller } from '../http/caller.js'
import { ChangeHeaders, etagHeader, etagOf, versionsOf } from '../http/conditions.js'
import { pageOf, positionOf } from '../http/paging.js'
import {
  ApiError,
  bodyProblems,
  commonProblems,
  createProblems,
  problems,
  validationError,
} from '../http/problem.js'
import { noContent, oneOf, ref, success } from '../http/schemas.js'
import { CreateHeaders, createOnceFrom, replayedTaskHeaders } from '../idempotency/header.js'
import type { Metrics } from '../telemetry/metrics.js'
import { isSortKey } from './list.js'
import { rejectRepeated } from './rules.js'
import {
  Task,
  TaskBulkDelete,
  TaskBulkDeleteResult,
  TaskBulkUpdate,
  TaskBulkUpdateResult,
  TaskCreate,
  TaskFieldsPage,
  TaskListQuery,
  TaskPage,
  TaskParams,
  TaskUpdate,
} from './schemas.js'
import type { Conditions, TaskStore } from './store.js'

const tags = ['tasks']

interface TaskRoutesOptions {
  store: TaskStore
  metrics: Metrics
}

export const taskRoutes: FastifyPluginAsyncTypebox<TaskRoutesOptions> = async (app, { store, metrics }) => {
  const createOnce = createOnceFrom(app, TaskCreate)
  /** Why a change found no task. */
  const notChanged = async (caller: Caller, id: string, { versions }: Conditions) => {
    const task = await store.get(caller, id)
    if (task === undefined) return new ApiError('task_not_found')
    const etag = etagOf(task.version)
    const current = JSON.parse(task.json)
    const hasChanged = versions !== undefined && !versions.includes(task.version)
    return new ApiError(hasChanged ? 'task_changed' : 'lease_lost', undefined, { etag }, { current })
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
          'Creates one task, such as an extra exercise. To save a whole learning path, create a batch: it takes all tasks in one call.',
        headers: CreateHeaders,
        body: ref(TaskCreate),
        response: {
          201: success('The new task.', ref(Task), replayedTaskHeaders),
          ...problems('task_blocked', ...createProblems, ...commonProblems),
        },
      },
    },
    async (request, reply) => {
      // Before a key is looked up: what it stands for may be in a session that is not the caller's any more.
      request.body.session_id = sessionFor(request.caller, request.body.session_id)
      rejectRepeated(request.body)
      const task = await createOnce(request, reply, (once) =>
        store.create(request.caller, request.body, once),
      )
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
          'Returns tasks, one page at a time. Filters are combined with AND; without a filter, the tasks of all sessions are returned. To get what is left to do, send `session_id` and `status=pending,in_progress`; with `fields=title,status`, the response is much shorter. `total` is exact up to 10000. Sorting all sessions by `priority`, `due_date` or `status` reads the whole table: such requests wait for each other.',
        querystring: TaskListQuery,
        response: {
          200: success('One page of tasks.', oneOf(TaskPage, TaskFieldsPage)),
          ...problems(...commonProblems),
        },
      },
    },
    async (request) => {
      const { caller, query, load } = request
      requireScope(caller, query)
      const after = positionOf(caller, query, (key) => isSortKey(query.sort_by, key))
      const list = load === 'scan' ? store.list : store.listFew
      const found = await list(caller, query, after)
      return found === undefined ? needsScan(request) : pageOf(found, caller, query)
    },
  )

  app.get(
    '/:task_id',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'getTask',
        tags,
        summary: 'Get a task',
        description: 'Returns one task.',
        params: TaskParams,
        response: {
          200: success('The task.', ref(Task), etagHeader),
          ...problems('task_not_found', ...commonProblems),
        },
      },
    },
    async (request, reply) => {
      const task = await store.get(request.caller, request.params.task_id)
      if (task === undefined) throw new ApiError('task_not_found')
      reply.header('etag', etagOf(task.version))
      return task.json
    },
  )

  const update = {
    operationId: 'updateTask',
    tags,
    summary: 'Update a task',
    description:
      'Changes the given fields; omitted fields keep their value. `{"status": "completed"}` completes the task and sets its `completed_at`; any other status clears it. `{}` changes nothing.',
    params: TaskParams,
    headers: ChangeHeaders,
    body: ref(TaskUpdate),
    response: {
      200: success('The changed task.', ref(Task), etagHeader),
      ...problems(
        'task_not_found',
        'task_changed',
        'task_blocked',
        'lease_lost',
        'dependency_cycle',
        ...bodyProblems,
        ...commonProblems,
      ),
    },
  }
  for (const [method, schema] of [
    ['PUT', update],
    ['PATCH', { ...update, operationId: 'patchTask', 'x-alias-of': 'updateTask' }],
  ] as const) {
    app.route({
      method,
      url: '/:task_id',
      config: { load: 'ordinary' },
      schema,
      handler: async (request, reply) => {
        const { caller, params, body } = request
        rejectRepeated(body)
        const conditions = conditionsOf(request.headers)
        const task = await store.update(caller, params.task_id, body, conditions)
        if (task === undefined) throw await notChanged(caller, params.task_id, conditions)
        if (task.becameCompleted) metrics.tasksCompleted++
        reply.header('etag', etagOf(task.version))
        return task.json
      },
    })
  }

  app.delete(
    '/:task_id',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'deleteTask',
        tags,
        summary: 'Delete a task',
        description:
          'Deletes one task. The request has no body. POST /api/v1/tasks/restore brings it back for `EVENT_DAYS` (30) days.',
        params: TaskParams,
        headers: ChangeHeaders,
        response: {
          204: noContent('The task is deleted.'),
          ...problems(
            'task_not_found',
            'task_changed',
            'lease_lost',
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
      const conditions = conditionsOf(request.headers)
      if (!(await store.delete(caller, params.task_id, conditions)))
        throw await notChanged(caller, params.task_id, conditions)
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
          'Changes up to 500 tasks in one transaction. If one item is invalid, the whole request is rejected. Unknown ids are skipped and returned in `not_found`.',
        body: ref(TaskBulkUpdate),
        response: {
          200: success('The changed tasks and the unknown ids.', ref(TaskBulkUpdateResult)),
          ...problems('task_blocked', 'dependency_cycle', ...bodyProblems, ...commonProblems),
        },
      },
    },
    async (request) => {
      rejectRepeated(request.body)
      const patches = request.body.tasks
      const { updated, becameCompleted } = await store.updateMany(request.caller, patches)
      metrics.tasksCompleted += becameCompleted
      const ids = patches.map(({ id }) => id)
      return jsonObject({
        updated: jsonArray([...updated.values()]),
        not_found: toJson(without(ids, updated.keys())),
      })
    },
  )

  const bulkDelete = {
    operationId: 'bulkDeleteTasks',
    tags,
    summary: 'Delete several tasks',
    description:
      'Deletes up to 500 tasks in one transaction, for example all completed tasks. The ids are in the JSON body. Unknown ids are skipped and returned in `not_found`. POST /api/v1/tasks/restore brings tasks back for `EVENT_DAYS` (30) days. Clients and proxies that send no body with DELETE can send the same body to POST /api/v1/tasks/bulk-delete.',
    body: ref(TaskBulkDelete),
    response: {
      200: success('The number of deleted tasks and the unknown ids.', ref(TaskBulkDeleteResult)),
      ...problems(...bodyProblems, ...commonProblems),
    },
  }
  for (const [method, url, schema] of [
    ['DELETE', '/bulk', bulkDelete],
    [
      'POST',
      '/bulk-delete',
      { ...bulkDelete, operationId: 'postBulkDeleteTasks', 'x-alias-of': 'bulkDeleteTasks' },
    ],
  ] as const) {
    app.route({
      method,
      url,
      config: { load: 'ordinary' },
      schema,
      handler: async (request) => {
        const { ids } = request.body
        const deleted = await store.deleteMany(request.caller, ids)
        return toJson({ deleted_count: deleted.length, not_found: without(ids, deleted) })
      },
    })
  }
}

/** Filters that no index serves: without a session or batch, they would read the whole table. */
function requireScope({ sessions }: Caller, query: TaskListQuery) {
  if (query.session_id !== undefined || query.batch_id !== undefined || sessions !== undefined) return
  const errors = (['q', 'ready', 'claimed_by'] as const)
    .filter((name) => query[name] !== undefined)
    .map((path) => ({ in: 'query' as const, path, message: 'needs session_id or batch_id beside it' }))
  if (errors.length > 0) throw validationError(errors)
}

/** What the headers of a change demand of the task. */
const conditionsOf = (headers: { 'if-match'?: string; 'lease-token'?: string }): Conditions => ({
  versions: versionsOf(headers['if-match']),
  leaseToken: headers['lease-token'],
})

/** The ids in lower case, each once, without those found. */
function without(ids: string[], found: Iterable<string>): string[] {
  const rest = new Set(ids.map((id) => id.toLowerCase()))
  for (const id of found) rest.delete(id)
  return [...rest]
}
