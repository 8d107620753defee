// GENERATED from packages/server/openapi.json by packages/client/scripts/generate.ts. Do not edit.
import { eachItem } from '../pages.js'
import type { ChangeOptions, CreateOptions, RequestOptions, Send } from '../transport.js'
import type { Batch, BatchCreate, BatchPage, Health, LatestBatchQuery, ListBatchesQuery, ListTasksQuery, Task, TaskBulkDelete, TaskBulkDeleteResult, TaskBulkUpdate, TaskBulkUpdateResult, TaskCreate, TaskPage, TaskUpdate } from './schema.js'

/** The operations by resource. `scope` goes along with every one that takes a session_id. */
export function createOperations(send: Send, scope: { session_id?: string }) {
  const health = {
    /**
     * Get the health of the service.
     *
     * Always answers 200 while the process runs; the body says whether the database works.
     *
     * `GET /health`
     *
     * @param options For this call only: timeout, signal, headers, retries.
     */
    get: (options?: RequestOptions): Promise<Health> =>
      send('GET', '/health', {}, options),
  }

  const tasks = {
    /**
     * Create a task.
     *
     * Adds one task, for example an extra exercise. To write down a whole learning path, create a batch: one call for all its tasks.
     *
     * `POST /api/v1/tasks`
     *
     * @param body A new task. Only `title` is needed.
     * @param options For this call only: idempotencyKey, timeout, signal, headers, retries.
     * @throws {AklpError} with the code invalid_json, empty_body, bad_request, unauthorized, forbidden, request_timeout, idempotency_in_progress, body_too_large, unsupported_media_type, idempotency_key_reused, validation_error, rate_limited, internal_error, database_unavailable, issuer_unavailable, overloaded, timeout.
     * @example
     * aklp.tasks.create({"title":"nginx Pod 생성하기","description":"kubectl run 명령어로 nginx Pod 생성","status":"pending","priority":"high","due_date":"2025-12-07T23:59:59Z","session_id":"550e8400-e29b-41d4-a716-446655440001"})
     */
    create: (body: TaskCreate, options?: CreateOptions): Promise<Task> =>
      send('POST', '/api/v1/tasks', { body: { ...body, ...scope }, once: true }, options),

    /**
     * List tasks.
     *
     * Answers what is left or done, a page at a time. Filters add up; without any, the tasks of all sessions are listed. An agent asks with its `session_id` and `status=pending` for what is left to do.
     *
     * `GET /api/v1/tasks`
     *
     * @param query Which, and in what order. Nothing needs to be given.
     * @param options For this call only: timeout, signal, headers, retries.
     * @throws {AklpError} with the code bad_request, unauthorized, forbidden, validation_error, rate_limited, internal_error, database_unavailable, issuer_unavailable, overloaded, timeout.
     */
    list: (query: ListTasksQuery = {}, options?: RequestOptions): Promise<TaskPage> =>
      send('GET', '/api/v1/tasks', { query: { ...query, ...scope } }, options),

    /**
     * List tasks.
     *
     * Goes through all pages, for `for await`. All are read before the first item comes, so that the loop may change what it goes through.
     *
     * `GET /api/v1/tasks`
     *
     * @param query Which, and in what order. Nothing needs to be given.
     * @param options For this call only: timeout, signal, headers, retries.
     * @throws {AklpError} with the code bad_request, unauthorized, forbidden, validation_error, rate_limited, internal_error, database_unavailable, issuer_unavailable, overloaded, timeout.
     */
    each: (query: Omit<ListTasksQuery, 'page'> = {}, options?: RequestOptions): AsyncGenerator<Task, void, undefined> =>
      eachItem((page) => tasks.list({ limit: 100, ...query, page }, options)),

    /**
     * Get a task.
     *
     * Answers one task as it is now.
     *
     * `GET /api/v1/tasks/{task_id}`
     *
     * @param task_id The task’s id.
     * @param options For this call only: timeout, signal, headers, retries.
     * @throws {AklpError} with the code bad_request, unauthorized, forbidden, task_not_found, validation_error, rate_limited, internal_error, database_unavailable, issuer_unavailable, overloaded, timeout.
     */
    get: (task_id: string, options?: RequestOptions): Promise<Task> =>
      send('GET', '/api/v1/tasks/{task_id}', { params: { task_id } }, options),

    /**
     * Update a task.
     *
     * Changes the given fields and leaves the others as they are. `{"status": "completed"}` completes the task and sets its `completed_at`; any other status clears it. `{}` changes nothing.
     *
     * `PUT /api/v1/tasks/{task_id}`
     *
     * @param task_id The task’s id.
     * @param body What to change. A field left out stays as it is; null clears description, priority or due_date. Nothing else can be changed: to move a task to another session or batch, create it there.
     * @param options For this call only: ifUnchangedSince, timeout, signal, headers, retries.
     * @throws {AklpError} with the code invalid_json, empty_body, bad_request, unauthorized, forbidden, task_not_found, request_timeout, task_changed, body_too_large, unsupported_media_type, validation_error, rate_limited, internal_error, database_unavailable, issuer_unavailable, overloaded, timeout.
     * @example
     * aklp.tasks.update('019b0f3e-7c00-7000-8000-000000000001', {"status":"completed"})
     */
    update: (task_id: string, body: TaskUpdate, options?: ChangeOptions): Promise<Task> =>
      send('PUT', '/api/v1/tasks/{task_id}', { params: { task_id }, body }, options),

    /**
     * Delete a task.
     *
     * Deletes one task for good. Takes no body.
     *
     * `DELETE /api/v1/tasks/{task_id}`
     *
     * @param task_id The task’s id.
     * @param options For this call only: ifUnchangedSince, timeout, signal, headers, retries.
     * @throws {AklpError} with the code invalid_json, bad_request, unauthorized, forbidden, task_not_found, task_changed, body_too_large, unsupported_media_type, validation_error, rate_limited, internal_error, database_unavailable, issuer_unavailable, overloaded, timeout.
     */
    delete: (task_id: string, options?: ChangeOptions): Promise<void> =>
      send('DELETE', '/api/v1/tasks/{task_id}', { params: { task_id } }, options),

    /**
     * Update several tasks.
     *
     * Changes up to 500 tasks in one call, all or none. One invalid item refuses the whole request; ids that no task has are skipped and listed in `not_found`.
     *
     * `PUT /api/v1/tasks/bulk`
     *
     * @param tasks The changes, 1 to 500. An id given twice is changed in the order given and listed once.
     * @param options For this call only: timeout, signal, headers, retries.
     * @throws {AklpError} with the code invalid_json, empty_body, bad_request, unauthorized, forbidden, request_timeout, body_too_large, unsupported_media_type, validation_error, rate_limited, internal_error, database_unavailable, issuer_unavailable, overloaded, timeout.
     * @example
     * aklp.tasks.bulkUpdate([{"id":"019b0f3e-7c00-7000-8000-000000000001","status":"completed"}])
     */
    bulkUpdate: (tasks: TaskBulkUpdate['tasks'], options?: RequestOptions): Promise<TaskBulkUpdateResult> =>
      send('PUT', '/api/v1/tasks/bulk', { body: { tasks } }, options),

    /**
     * Delete several tasks.
     *
     * Deletes up to 500 tasks in one call, all or none, for example the completed ones. Ids that no task has are skipped and listed in `not_found`. The ids stand in a JSON body.
     *
     * `DELETE /api/v1/tasks/bulk`
     *
     * @param ids The ids of the tasks to delete, 1 to 500. An id given twice counts once.
     * @param options For this call only: timeout, signal, headers, retries.
     * @throws {AklpError} with the code invalid_json, empty_body, bad_request, unauthorized, forbidden, request_timeout, body_too_large, unsupported_media_type, validation_error, rate_limited, internal_error, database_unavailable, issuer_unavailable, overloaded, timeout.
     * @example
     * aklp.tasks.bulkDelete(["019b0f3e-7c00-7000-8000-000000000001"])
     */
    bulkDelete: (ids: TaskBulkDelete['ids'], options?: RequestOptions): Promise<TaskBulkDeleteResult> =>
      send('DELETE', '/api/v1/tasks/bulk', { body: { ids } }, options),
  }

  const batches = {
    /**
     * Create a batch of tasks.
     *
     * Writes down a learning path: up to 500 tasks in the order to work through, in one call, whole or not at all.
     *
     * `POST /api/v1/batches`
     *
     * @param body A new batch with all its tasks: created whole or not at all.
     * @param options For this call only: idempotencyKey, timeout, signal, headers, retries.
     * @throws {AklpError} with the code invalid_json, empty_body, bad_request, unauthorized, forbidden, request_timeout, idempotency_in_progress, body_too_large, unsupported_media_type, idempotency_key_reused, validation_error, rate_limited, internal_error, database_unavailable, issuer_unavailable, overloaded, timeout.
     * @example
     * aklp.batches.create({"session_id":"550e8400-e29b-41d4-a716-446655440001","reason":"Kubernetes 기초 학습을 위한 단계별 과제입니다.","tasks":[{"title":"Pod 개념 이해하기","priority":"high"},{"title":"nginx Pod 생성하기","priority":"high"},{"title":"Pod 로그 확인하기","priority":"medium"},{"title":"Pod 삭제하기","priority":"low"}]})
     */
    create: (body: BatchCreate, options?: CreateOptions): Promise<Batch> =>
      send('POST', '/api/v1/batches', { body: { ...body, ...scope }, once: true }, options),

    /**
     * List batches.
     *
     * Answers batches with their tasks, newest first, a page at a time.
     *
     * `GET /api/v1/batches`
     *
     * @param query Which, and in what order. Nothing needs to be given.
     * @param options For this call only: timeout, signal, headers, retries.
     * @throws {AklpError} with the code bad_request, unauthorized, forbidden, validation_error, rate_limited, internal_error, database_unavailable, issuer_unavailable, overloaded, timeout.
     */
    list: (query: ListBatchesQuery = {}, options?: RequestOptions): Promise<BatchPage> =>
      send('GET', '/api/v1/batches', { query: { ...query, ...scope } }, options),

    /**
     * List batches.
     *
     * Goes through all pages, for `for await`. All are read before the first item comes, so that the loop may change what it goes through.
     *
     * `GET /api/v1/batches`
     *
     * @param query Which, and in what order. Nothing needs to be given.
     * @param options For this call only: timeout, signal, headers, retries.
     * @throws {AklpError} with the code bad_request, unauthorized, forbidden, validation_error, rate_limited, internal_error, database_unavailable, issuer_unavailable, overloaded, timeout.
     */
    each: (query: Omit<ListBatchesQuery, 'page'> = {}, options?: RequestOptions): AsyncGenerator<Batch, void, undefined> =>
      eachItem((page) => batches.list({ limit: 100, ...query, page }, options)),

    /**
     * Get the latest batch.
     *
     * Answers the batch created last, with its tasks as they are now: where the learner stands. With `session_id`, the latest of that session. Where there is none yet the answer is the JSON value `null`, not an error.
     *
     * `GET /api/v1/batches/latest`
     *
     * @param query Which, and in what order. Nothing needs to be given.
     * @param options For this call only: timeout, signal, headers, retries.
     * @throws {AklpError} with the code bad_request, unauthorized, forbidden, validation_error, rate_limited, internal_error, database_unavailable, issuer_unavailable, overloaded, timeout.
     */
    latest: (query: LatestBatchQuery = {}, options?: RequestOptions): Promise<Batch | null> =>
      send('GET', '/api/v1/batches/latest', { query: { ...query, ...scope } }, options),

    /**
     * Get a batch.
     *
     * Answers one batch with its tasks as they are now, in the order they were given.
     *
     * `GET /api/v1/batches/{batch_id}`
     *
     * @param batch_id The batch’s id.
     * @param options For this call only: timeout, signal, headers, retries.
     * @throws {AklpError} with the code bad_request, unauthorized, forbidden, batch_not_found, validation_error, rate_limited, internal_error, database_unavailable, issuer_unavailable, overloaded, timeout.
     */
    get: (batch_id: string, options?: RequestOptions): Promise<Batch> =>
      send('GET', '/api/v1/batches/{batch_id}', { params: { batch_id } }, options),
  }

  return { health, tasks, batches }
}

export type Operations = ReturnType<typeof createOperations>
