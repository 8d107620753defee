/** The shapes of tasks on the wire. The OpenAPI document is made from these: descriptions are documentation. */

import { type Static, Type } from '@sinclair/typebox'
import { PageOf, pageParameters } from '../http/paging.js'
import {
  answered,
  Defaulted,
  Nullable,
  OneOf,
  ref,
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

const title = Text(255, 'What to do, in 1 to 255 characters, not blanks only.', 'Pod 개념 이해하기', {
  minLength: 1,
  pattern: '\\S',
})
const description = Text(
  1000,
  'How to do it, in up to 1000 characters; null for none.',
  'kubectl run 명령어로 nginx Pod 생성',
)
const status = (options: object = {}) =>
  OneOf(STATUS, {
    description: 'How far the task is: `pending` (not begun), `in_progress`, or `completed`.',
    examples: ['pending'],
    ...options,
  })
const priority = OneOf(PRIORITY, {
  description:
    'How much it matters: `high` is needed for the next step, `medium` helps, `low` is optional; null for not set.',
  examples: ['high'],
})
const due_date = TimestampInput('When it is due; null for never.', '2025-12-07T23:59:59Z')

export const Task = Type.Object(
  {
    id: Uuid('The task’s id, a UUIDv7.', example.task_id),
    session_id: Nullable(Uuid('The session that the task belongs to, or null.', example.session_id)),
    batch_id: Nullable(Uuid('The batch that the task was created in, or null.', example.batch_id)),
    title: answered(title),
    description: Nullable(answered(description)),
    status: status(),
    priority: Nullable(priority),
    due_date: Nullable(Timestamp('When it is due, or null.', '2025-12-07T23:59:59.000Z')),
    completed_at: Nullable(
      Timestamp(
        'When it was completed; null unless the status is `completed`. The service keeps it.',
        '2025-12-06T11:30:00.000Z',
      ),
    ),
    created_at: Timestamp('When it was created.', '2025-12-06T10:00:00.000Z'),
    updated_at: Timestamp('When it last changed; it rises with every change.', '2025-12-06T10:00:00.000Z'),
  },
  { $id: 'Task', description: 'One thing that the learner is to do.' },
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
          'The agent’s session: a UUID that it makes once and sends with every call. The tasks of a batch have the session of their batch; there this field is accepted and has no effect.',
          example.session_id,
        ),
      ),
    ),
  },
  {
    $id: 'TaskCreate',
    description: 'A new task. Only `title` is needed.',
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

/** What can be changed of a task. */
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
    'What to change. A field left out stays as it is; null clears description, priority or due_date. Nothing else can be changed: to move a task to another session or batch, create it there.',
  examples: [{ status: 'completed' }],
})
export type TaskUpdate = Static<typeof TaskUpdate>

export const TaskPatch = Strict(
  { id: Uuid('The task to change.', example.task_id), ...changes },
  { $id: 'TaskPatch', description: 'The id of a task and what to change of it, as in TaskUpdate.' },
)
export type TaskPatch = Static<typeof TaskPatch>

export const TaskBulkUpdate = Strict(
  {
    tasks: Type.Array(ref(TaskPatch), {
      minItems: 1,
      maxItems: MAX_ITEMS,
      description: `The changes, 1 to ${MAX_ITEMS}. An id given twice is changed in the order given and listed once.`,
    }),
  },
  {
    $id: 'TaskBulkUpdate',
    description: 'Changes to several tasks, made together or not at all.',
    examples: [{ tasks: [{ id: example.task_id, status: 'completed' }] }],
  },
)
export type TaskBulkUpdate = Static<typeof TaskBulkUpdate>

const notFound = Type.Array(Uuid('An id that no task has.', example.task_id), {
  description: 'The given ids that no task has, in the order given. They were skipped.',
  examples: [[]],
})

export const TaskBulkUpdateResult = Type.Object(
  {
    updated: Type.Array(ref(Task), {
      description: 'The tasks after the change, in the order of the request.',
    }),
    not_found: notFound,
  },
  { $id: 'TaskBulkUpdateResult', description: 'What a bulk update did.' },
)

export const TaskBulkDelete = Strict(
  {
    ids: Type.Array(Uuid('A task to delete.', example.task_id), {
      minItems: 1,
      maxItems: MAX_ITEMS,
      description: `The ids of the tasks to delete, 1 to ${MAX_ITEMS}. An id given twice counts once.`,
    }),
  },
  {
    $id: 'TaskBulkDelete',
    description: 'Tasks to delete, together or not at all.',
    examples: [{ ids: [example.task_id] }],
  },
)
export type TaskBulkDelete = Static<typeof TaskBulkDelete>

export const TaskBulkDeleteResult = Type.Object(
  {
    deleted_count: Type.Integer({ minimum: 0, description: 'How many tasks were deleted.', examples: [1] }),
    not_found: notFound,
  },
  { $id: 'TaskBulkDeleteResult', description: 'What a bulk delete did.' },
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
        'What to sort by. `priority` ranks high > medium > low, `status` ranks pending < in_progress < completed. Tasks without the value come last in both orders; equal ones are sorted by id.',
    }),
  ),
  order: Defaulted(
    OneOf(['desc', 'asc'], {
      default: 'desc',
      description: '`desc`: latest or highest first; `asc`: earliest or lowest first.',
    }),
  ),
})
export type TaskListQuery = Static<typeof TaskListQuery>

export const TaskParams = Type.Object({ task_id: Uuid('The task’s id.', example.task_id) })

/** The schemas that get a name in the OpenAPI document. */
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
