/** The schemas of tasks. The OpenAPI document is generated from them, so descriptions are documentation. */

import { type Static, Type } from '@sinclair/typebox'
import { PageOf, pageParameters } from '../http/paging.js'
import {
  Defaulted,
  Nullable,
  OneOf,
  ref,
  returned,
  Strict,
  Text,
  Timestamp,
  TimestampInput,
  Uuid,
  UuidFilter,
} from '../http/schemas.js'

/** Most items that one bulk call or one batch takes. */
export const MAX_ITEMS = 500

export const example = {
  task_id: '019b0f3e-7c00-7000-8000-000000000001',
  batch_id: '019b0f3e-7c00-7000-8000-0000000000b1',
  session_id: '550e8400-e29b-41d4-a716-446655440001',
}

const STATUS = ['pending', 'in_progress', 'completed'] as const
const PRIORITY = ['high', 'medium', 'low'] as const

const title = Text(255, 'What to do: 1 to 255 characters, not only whitespace.', 'Pod 개념 이해하기', {
  minLength: 1,
  pattern: '\\S',
})
const description = Text(
  1000,
  'How to do it: up to 1000 characters, or null.',
  'kubectl run 명령어로 nginx Pod 생성',
)
const status = (options: object = {}) =>
  OneOf(STATUS, {
    description: 'The state of the task: `pending` (not started), `in_progress` or `completed`.',
    examples: ['pending'],
    ...options,
  })
const priority = OneOf(PRIORITY, {
  description:
    'How important it is: `high` (required for the next step), `medium` (helpful) or `low` (optional); null if not set.',
  examples: ['high'],
})
const due_date = TimestampInput('When it is due; null for no due date.', '2025-12-07T23:59:59Z')

export const Task = Type.Object(
  {
    id: Uuid('The id of the task, a UUIDv7.', example.task_id),
    session_id: Nullable(Uuid('The session that the task belongs to, or null.', example.session_id)),
    batch_id: Nullable(Uuid('The batch that the task was created in, or null.', example.batch_id)),
    title: returned(title),
    description: Nullable(returned(description)),
    status: status(),
    priority: Nullable(priority),
    due_date: Nullable(Timestamp('When it is due, or null.', '2025-12-07T23:59:59.000Z')),
    completed_at: Nullable(
      Timestamp(
        'When it was completed; null unless the status is `completed`. Set by the service.',
        '2025-12-06T11:30:00.000Z',
      ),
    ),
    created_at: Timestamp('When it was created.', '2025-12-06T10:00:00.000Z'),
    updated_at: Timestamp('When it last changed. Every change increases it.', '2025-12-06T10:00:00.000Z'),
  },
  { $id: 'Task', description: 'One thing for the learner to do.' },
)
export type Task = Static<typeof Task>

export const TaskCreate = Strict(
  {
    title,
    description: Type.Optional(Nullable(description)),
    status: Defaulted(status({ default: 'pending' })),
    priority: Type.Optional(Nullable(priority)),
    due_date: Type.Optional(Nullable(due_date)),
    session_id: Type.Optional(
      Nullable(
        Uuid(
          'The session of the agent: a UUID that it generates once and sends with every call. In a batch, this field is accepted but has no effect: tasks of a batch have the session of the batch.',
          example.session_id,
        ),
      ),
    ),
  },
  {
    $id: 'TaskCreate',
    description: 'A new task. Only `title` is required.',
    examples: [
      {
        title: 'nginx Pod 생성하기',
        description: 'kubectl run 명령어로 nginx Pod 생성',
        status: 'pending',
        priority: 'high',
        due_date: '2025-12-07T23:59:59Z',
        session_id: example.session_id,
      },
    ],
  },
)
export type TaskCreate = Static<typeof TaskCreate>

/** The fields of a task that can be changed. */
const changes = {
  title: Type.Optional(title),
  description: Type.Optional(Nullable(description)),
  status: Type.Optional(status()),
  priority: Type.Optional(Nullable(priority)),
  due_date: Type.Optional(Nullable(due_date)),
}

export const TaskUpdate = Strict(changes, {
  $id: 'TaskUpdate',
  description:
    'The fields to change. An omitted field keeps its value; null clears `description`, `priority` or `due_date`. Other fields cannot be changed: to move a task to another session or batch, create it there.',
  examples: [{ status: 'completed' }],
})
export type TaskUpdate = Static<typeof TaskUpdate>

export const TaskPatch = Strict(
  { id: Uuid('The task to change.', example.task_id), ...changes },
  { $id: 'TaskPatch', description: 'The id of a task and the fields to change, as in TaskUpdate.' },
)
export type TaskPatch = Static<typeof TaskPatch>

export const TaskBulkUpdate = Strict(
  {
    tasks: Type.Array(ref(TaskPatch), {
      minItems: 1,
      maxItems: MAX_ITEMS,
      description: `The changes, 1 to ${MAX_ITEMS}. Changes with the same id are applied in the order of the request, and the task is returned once.`,
    }),
  },
  {
    $id: 'TaskBulkUpdate',
    description: 'Changes to several tasks, applied in one transaction.',
    examples: [{ tasks: [{ id: example.task_id, status: 'completed' }] }],
  },
)
export type TaskBulkUpdate = Static<typeof TaskBulkUpdate>

const notFound = Type.Array(Uuid('An unknown id.', example.task_id), {
  description: 'The unknown ids, in the order of the request. They were skipped.',
  examples: [[]],
})

export const TaskBulkUpdateResult = Type.Object(
  {
    updated: Type.Array(ref(Task), {
      description: 'The changed tasks, in the order of the request.',
    }),
    not_found: notFound,
  },
  { $id: 'TaskBulkUpdateResult', description: 'The result of a bulk update.' },
)

export const TaskBulkDelete = Strict(
  {
    ids: Type.Array(Uuid('The id of a task to delete.', example.task_id), {
      minItems: 1,
      maxItems: MAX_ITEMS,
      description: `The ids of the tasks to delete, 1 to ${MAX_ITEMS}. A repeated id counts once.`,
    }),
  },
  {
    $id: 'TaskBulkDelete',
    description: 'Tasks to delete in one transaction.',
    examples: [{ ids: [example.task_id] }],
  },
)
export type TaskBulkDelete = Static<typeof TaskBulkDelete>

export const TaskBulkDeleteResult = Type.Object(
  {
    deleted_count: Type.Integer({ minimum: 0, description: 'The number of deleted tasks.', examples: [1] }),
    not_found: notFound,
  },
  { $id: 'TaskBulkDeleteResult', description: 'The result of a bulk delete.' },
)

export const TaskPage = PageOf(Task)

export const TaskListQuery = Strict({
  ...pageParameters,
  status: Type.Optional(OneOf(STATUS, { description: 'Only tasks with this status.' })),
  session_id: Type.Optional(UuidFilter('Only tasks of this session.')),
  batch_id: Type.Optional(UuidFilter('Only tasks of this batch.')),
  sort_by: Defaulted(
    OneOf(['updated_at', 'created_at', 'due_date', 'priority', 'status'], {
      default: 'updated_at',
      description:
        'The field to sort by. `priority` ranks high > medium > low; `status` ranks pending < in_progress < completed. Tasks without a value come last in both orders. Tasks with equal values are sorted by id.',
    }),
  ),
  order: Defaulted(
    OneOf(['desc', 'asc'], {
      default: 'desc',
      description: 'The order: `desc` returns the latest or highest first, `asc` the earliest or lowest.',
    }),
  ),
})
export type TaskListQuery = Static<typeof TaskListQuery>

export const TaskParams = Type.Object({ task_id: Uuid('The id of the task.', example.task_id) })

/** The schemas that are named components of the OpenAPI document. */
export const taskComponents = [
  Task,
  TaskCreate,
  TaskUpdate,
  TaskPatch,
  TaskBulkUpdate,
  TaskBulkUpdateResult,
  TaskBulkDelete,
  TaskBulkDeleteResult,
  TaskPage,
]
