// GENERATED from packages/server/openapi.json by packages/client/scripts/generate.ts. Do not edit.
/** One thing that the learner is to do. */
export interface Task {
    /**
     * The task’s id, a UUIDv7.
     * Format: uuid
     * @example 019b0f3e-7c00-7000-8000-000000000001
     */
    id: string;
    /**
     * The session that the task belongs to, or null.
     * Format: uuid
     * @example 550e8400-e29b-41d4-a716-446655440001
     */
    session_id: string | null;
    /**
     * The batch that the task was created in, or null.
     * Format: uuid
     * @example 019b0f3e-7c00-7000-8000-0000000000b1
     */
    batch_id: string | null;
    /**
     * What to do, in 1 to 255 characters, not blanks only.
     * @example Pod 개념 이해하기
     */
    title: string;
    /**
     * How to do it, in up to 1000 characters; null for none.
     * @example kubectl run 명령어로 nginx Pod 생성
     */
    description: string | null;
    /**
     * How far the task is: `pending` (not begun), `in_progress`, or `completed`.
     * @example pending
     * @enum {string}
     */
    status: "pending" | "in_progress" | "completed";
    /**
     * How much it matters: `high` is needed for the next step, `medium` helps, `low` is optional; null for not set.
     * @example high
     * @enum {string|null}
     */
    priority: "high" | "medium" | "low" | null;
    /**
     * When it is due, or null.
     * Format: date-time
     * @example 2025-12-07T23:59:59.000Z
     */
    due_date: string | null;
    /**
     * When it was completed; null unless the status is `completed`. The service keeps it.
     * Format: date-time
     * @example 2025-12-06T11:30:00.000Z
     */
    completed_at: string | null;
    /**
     * When it was created.
     * Format: date-time
     * @example 2025-12-06T10:00:00.000Z
     */
    created_at: string;
    /**
     * When it last changed; it rises with every change.
     * Format: date-time
     * @example 2025-12-06T10:00:00.000Z
     */
    updated_at: string;
}
/**
 * A new task. Only `title` is needed.
 * @example {
 *       "title": "nginx Pod 생성하기",
 *       "description": "kubectl run 명령어로 nginx Pod 생성",
 *       "status": "pending",
 *       "priority": "high",
 *       "due_date": "2025-12-07T23:59:59Z",
 *       "session_id": "550e8400-e29b-41d4-a716-446655440001"
 *     }
 */
export interface TaskCreate {
    /**
     * What to do, in 1 to 255 characters, not blanks only.
     *     @minLength 1
     *     @maxLength 255
     * @example Pod 개념 이해하기
     */
    title: string;
    /**
     * How to do it, in up to 1000 characters; null for none.
     *     @maxLength 1000
     * @example kubectl run 명령어로 nginx Pod 생성
     */
    description?: string | null;
    /**
     * How far the task is: `pending` (not begun), `in_progress`, or `completed`.
     * @default pending
     * @example pending
     * @enum {string}
     */
    status?: "pending" | "in_progress" | "completed";
    /**
     * How much it matters: `high` is needed for the next step, `medium` helps, `low` is optional; null for not set.
     * @example high
     * @enum {string|null}
     */
    priority?: "high" | "medium" | "low" | null;
    /**
     * When it is due; null for never. RFC 3339; without an offset it is taken as UTC, and a date alone as its midnight in UTC.
     * Format: date-time
     * @example 2025-12-07T23:59:59Z
     */
    due_date?: string | Date | null;
    /**
     * The agent’s session: a UUID that it makes once and sends with every call. The tasks of a batch have the session of their batch; there this field is accepted and has no effect.
     * Format: uuid
     * @example 550e8400-e29b-41d4-a716-446655440001
     */
    session_id?: string | null;
}
/**
 * What to change. A field left out stays as it is; null clears description, priority or due_date. Nothing else can be changed: to move a task to another session or batch, create it there.
 * @example {
 *       "status": "completed"
 *     }
 */
export interface TaskUpdate {
    /**
     * What to do, in 1 to 255 characters, not blanks only.
     *     @minLength 1
     *     @maxLength 255
     * @example Pod 개념 이해하기
     */
    title?: string;
    /**
     * How to do it, in up to 1000 characters; null for none.
     *     @maxLength 1000
     * @example kubectl run 명령어로 nginx Pod 생성
     */
    description?: string | null;
    /**
     * How far the task is: `pending` (not begun), `in_progress`, or `completed`.
     * @example pending
     * @enum {string}
     */
    status?: "pending" | "in_progress" | "completed";
    /**
     * How much it matters: `high` is needed for the next step, `medium` helps, `low` is optional; null for not set.
     * @example high
     * @enum {string|null}
     */
    priority?: "high" | "medium" | "low" | null;
    /**
     * When it is due; null for never. RFC 3339; without an offset it is taken as UTC, and a date alone as its midnight in UTC.
     * Format: date-time
     * @example 2025-12-07T23:59:59Z
     */
    due_date?: string | Date | null;
}
/** The id of a task and what to change of it, as in TaskUpdate. */
export interface TaskPatch {
    /**
     * The task to change.
     * Format: uuid
     * @example 019b0f3e-7c00-7000-8000-000000000001
     */
    id: string;
    /**
     * What to do, in 1 to 255 characters, not blanks only.
     *     @minLength 1
     *     @maxLength 255
     * @example Pod 개념 이해하기
     */
    title?: string;
    /**
     * How to do it, in up to 1000 characters; null for none.
     *     @maxLength 1000
     * @example kubectl run 명령어로 nginx Pod 생성
     */
    description?: string | null;
    /**
     * How far the task is: `pending` (not begun), `in_progress`, or `completed`.
     * @example pending
     * @enum {string}
     */
    status?: "pending" | "in_progress" | "completed";
    /**
     * How much it matters: `high` is needed for the next step, `medium` helps, `low` is optional; null for not set.
     * @example high
     * @enum {string|null}
     */
    priority?: "high" | "medium" | "low" | null;
    /**
     * When it is due; null for never. RFC 3339; without an offset it is taken as UTC, and a date alone as its midnight in UTC.
     * Format: date-time
     * @example 2025-12-07T23:59:59Z
     */
    due_date?: string | Date | null;
}
/**
 * Changes to several tasks, made together or not at all.
 * @example {
 *       "tasks": [
 *         {
 *           "id": "019b0f3e-7c00-7000-8000-000000000001",
 *           "status": "completed"
 *         }
 *       ]
 *     }
 */
export interface TaskBulkUpdate {
    /**
     * The changes, 1 to 500. An id given twice is changed in the order given and listed once.
     *     @minItems 1
     *     @maxItems 500
     */
    tasks: TaskPatch[];
}
/** What a bulk update did. */
export interface TaskBulkUpdateResult {
    /** The tasks after the change, in the order of the request. */
    updated: Task[];
    /**
     * The given ids that no task has, in the order given. They were skipped.
     * @example []
     */
    not_found: string[];
}
/**
 * Tasks to delete, together or not at all.
 * @example {
 *       "ids": [
 *         "019b0f3e-7c00-7000-8000-000000000001"
 *       ]
 *     }
 */
export interface TaskBulkDelete {
    /**
     * The ids of the tasks to delete, 1 to 500. An id given twice counts once.
     *     @minItems 1
     *     @maxItems 500
     */
    ids: string[];
}
/** What a bulk delete did. */
export interface TaskBulkDeleteResult {
    /**
     * How many tasks were deleted.
     *     @minimum 0
     * @example 1
     */
    deleted_count: number;
    /**
     * The given ids that no task has, in the order given. They were skipped.
     * @example []
     */
    not_found: string[];
}
/** One page of a list: Task items and where the page stands. */
export interface TaskPage {
    /** The items of this page, in the order asked for. */
    items: Task[];
    /**
     * How many items there are on all pages together.
     *     @minimum 0
     * @example 4
     */
    total: number;
    /**
     * The page that was asked for.
     *     @minimum 1
     * @example 1
     */
    page: number;
    /**
     * Items a page, as asked for.
     *     @minimum 1
     * @example 10
     */
    limit: number;
    /**
     * How many pages there are; 0 when there are no items.
     *     @minimum 0
     * @example 1
     */
    total_pages: number;
    /**
     * Whether a later page has items.
     * @example false
     */
    has_next: boolean;
    /**
     * Whether this page is not the first.
     * @example false
     */
    has_prev: boolean;
}
/** A plan: the tasks of one learning path, written down in one call. */
export interface Batch {
    /**
     * The batch’s id, a UUIDv7.
     * Format: uuid
     * @example 019b0f3e-7c00-7000-8000-0000000000b1
     */
    id: string;
    /**
     * The session that the batch and its tasks belong to, or null.
     * Format: uuid
     * @example 550e8400-e29b-41d4-a716-446655440001
     */
    session_id: string | null;
    /**
     * Why the batch was planned, in up to 10000 characters; null for none.
     * @example Kubernetes 기초 학습을 위한 단계별 과제입니다.
     */
    reason: string | null;
    /**
     * When it was created.
     * Format: date-time
     * @example 2025-12-06T10:00:00.000Z
     */
    created_at: string;
    /** Its tasks as they are now, in the order they were given. Deleted ones are gone. */
    tasks: Task[];
}
/**
 * A new batch with all its tasks: created whole or not at all.
 * @example {
 *       "session_id": "550e8400-e29b-41d4-a716-446655440001",
 *       "reason": "Kubernetes 기초 학습을 위한 단계별 과제입니다.",
 *       "tasks": [
 *         {
 *           "title": "Pod 개념 이해하기",
 *           "priority": "high"
 *         },
 *         {
 *           "title": "nginx Pod 생성하기",
 *           "priority": "high"
 *         },
 *         {
 *           "title": "Pod 로그 확인하기",
 *           "priority": "medium"
 *         },
 *         {
 *           "title": "Pod 삭제하기",
 *           "priority": "low"
 *         }
 *       ]
 *     }
 */
export interface BatchCreate {
    /**
     * The session that the batch and its tasks belong to, or null.
     * Format: uuid
     * @example 550e8400-e29b-41d4-a716-446655440001
     */
    session_id?: string | null;
    /**
     * Why the batch was planned, in up to 10000 characters; null for none.
     *     @maxLength 10000
     * @example Kubernetes 기초 학습을 위한 단계별 과제입니다.
     */
    reason?: string | null;
    /**
     * The tasks in the order to work through, 1 to 500.
     *     @minItems 1
     *     @maxItems 500
     */
    tasks: TaskCreate[];
}
/** One page of a list: Batch items and where the page stands. */
export interface BatchPage {
    /** The items of this page, in the order asked for. */
    items: Batch[];
    /**
     * How many items there are on all pages together.
     *     @minimum 0
     * @example 4
     */
    total: number;
    /**
     * The page that was asked for.
     *     @minimum 1
     * @example 1
     */
    page: number;
    /**
     * Items a page, as asked for.
     *     @minimum 1
     * @example 10
     */
    limit: number;
    /**
     * How many pages there are; 0 when there are no items.
     *     @minimum 0
     * @example 1
     */
    total_pages: number;
    /**
     * Whether a later page has items.
     * @example false
     */
    has_next: boolean;
    /**
     * Whether this page is not the first.
     * @example false
     */
    has_prev: boolean;
}
/** How the service is. */
export interface Health {
    /**
     * `healthy`, or `degraded` while the database cannot be asked.
     * @example healthy
     * @enum {string}
     */
    status: "healthy" | "degraded";
    /**
     * The version of the service.
     * @example 1.0.0
     */
    version: string;
    /**
     * Whether the database answers.
     * @example healthy
     * @enum {string}
     */
    database: "healthy" | "unhealthy";
}
/** Why a request failed, in the form of RFC 9457. */
export interface Problem {
    /**
     * The kind of problem, as a URI made from `error_code`.
     * Format: uri
     * @example urn:aklp:problem:validation_error
     */
    type: string;
    /**
     * The kind of problem in a few words; the same for every one of the kind.
     * @example The request breaks the schema
     */
    title: string;
    /**
     * The HTTP status.
     * @example 422
     */
    status: number;
    /**
     * What went wrong this time and what to do about it.
     * @example 1 mistake. status in the body must be pending, in_progress or completed; did you mean completed?
     */
    detail: string;
    /**
     * The path of the request.
     * @example /api/v1/tasks
     */
    instance: string;
    /**
     * The kind of problem, for programs. A code never changes its meaning.
     * @example validation_error
     * @enum {string}
     */
    error_code: "bad_request" | "invalid_json" | "empty_body" | "unauthorized" | "forbidden" | "task_not_found" | "batch_not_found" | "route_not_found" | "method_not_allowed" | "idempotency_in_progress" | "task_changed" | "request_timeout" | "body_too_large" | "unsupported_media_type" | "validation_error" | "rate_limited" | "idempotency_key_reused" | "headers_too_large" | "internal_error" | "database_unavailable" | "issuer_unavailable" | "overloaded" | "shutting_down" | "timeout";
    /**
     * The request’s id, which names it in the logs; also in the header X-Request-ID.
     * @example 019b0f3e-7c00-7000-8000-00000000000f
     */
    request_id: string;
    /** Every mistake in the request, 20 at most. Only with `validation_error`. */
    errors?: {
        /**
         * The part of the request.
         * @example body
         * @enum {string}
         */
        in: "body" | "query" | "path" | "header";
        /**
         * The field in it, as `title` or `tasks[3].status`; empty for the whole.
         * @example status
         */
        path: string;
        /**
         * What is wrong with it.
         * @example must be pending, in_progress or completed
         */
        message: string;
        /**
         * The values, or the names of fields or parameters, that exist there.
         * @example [
         *       "pending",
         *       "in_progress",
         *       "completed"
         *     ]
         */
        allowed?: (string | null)[];
        /**
         * The allowed one that was probably meant.
         * @example completed
         */
        did_you_mean?: string;
    }[];
    current?: Task;
    /**
     * How many mistakes there are, also those that `errors` leaves out. Only with `validation_error`.
     * @example 1
     */
    error_count?: number;
}
/** What listTasks is asked with. */
export interface ListTasksQuery {
    /**
     * Which page, from 1. A page past the end is empty and still reports the total.
     *     @minimum 1
     *     @maximum 2147483647
     * @default 1
     */
    page?: number;
    /**
     * Items a page, from 1 to 100.
     *     @minimum 1
     *     @maximum 100
     * @default 10
     */
    limit?: number;
    /**
     * Only tasks with this status.
     * @enum {string}
     */
    status?: "pending" | "in_progress" | "completed";
    /**
     * Only tasks of this session. A UUID.
     * Format: uuid
     */
    session_id?: string;
    /**
     * Only tasks of this batch. A UUID.
     * Format: uuid
     */
    batch_id?: string;
    /**
     * What to sort by. `priority` ranks high > medium > low, `status` ranks pending < in_progress < completed. Tasks without the value come last in both orders; equal ones are sorted by id.
     * @default updated_at
     * @enum {string}
     */
    sort_by?: "updated_at" | "created_at" | "due_date" | "priority" | "status";
    /**
     * `desc`: latest or highest first; `asc`: earliest or lowest first.
     * @default desc
     * @enum {string}
     */
    order?: "desc" | "asc";
}
/** What listBatches is asked with. */
export interface ListBatchesQuery {
    /**
     * Which page, from 1. A page past the end is empty and still reports the total.
     *     @minimum 1
     *     @maximum 2147483647
     * @default 1
     */
    page?: number;
    /**
     * Items a page, from 1 to 100.
     *     @minimum 1
     *     @maximum 100
     * @default 10
     */
    limit?: number;
    /**
     * Only batches of this session. A UUID.
     * Format: uuid
     */
    session_id?: string;
}
/** What latestBatch is asked with. */
export interface LatestBatchQuery {
    /**
     * Only batches of this session. A UUID.
     * Format: uuid
     */
    session_id?: string;
}
