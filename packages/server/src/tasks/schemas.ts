/** The schemas of tasks. The OpenAPI document is generated from them, so descriptions are documentation. */

import { type Static, type TString, Type } from '@sinclair/typebox'
import { FreeFormObject } from '../http/free-form.js'
import { FieldsPageOf, fieldsParameter, PageOf, pageParameters } from '../http/paging.js'
import {
  Defaulted,
  ListOf,
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

/** Most items that one bulk call or one new batch takes. */
export const MAX_ITEMS = 500

/** Most tasks of a batch. */
export const MAX_TASKS = 2000

/** Most blockers of a task. */
const MAX_BLOCKERS = 50

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

const key = Type.String({
  format: 'key',
  description:
    'The name of the task in its batch, unique there: 1 to 64 characters of `A-Za-z0-9_.-`. Other tasks of the batch can name it in `blocked_by`. It cannot be changed.',
  examples: ['create-pod'],
})
const not_before = TimestampInput(
  'When it becomes ready at the earliest, such as a review in three days; null for now. Only claims wait for it.',
  '2025-12-09T09:00:00Z',
)
export const result = Text(
  4000,
  'What came of it: up to 4000 characters, or null. Usually sent with `"status": "completed"`.',
  'Pod nginx가 Running 상태입니다.',
)
/** Anything that an agent wants to keep with a task or batch. */
export const metadata = (description: string, options: object = {}) =>
  FreeFormObject({ maxBytes: 8192, maxNameLength: 64 }, description, { namespace: 'lab-1' }, options)
const METADATA =
  'Anything that the agent wants to keep: a JSON object of up to 8 KiB, with names of up to 64 characters.'

const blockers = (items: TString, description: string) =>
  Type.Array(items, { minItems: 0, maxItems: MAX_BLOCKERS, description })
const blocker = Uuid('The id of a task of the same session.', '019b0f3e-7c00-7000-8000-000000000002')
const BLOCKED_BY = `The ids of the tasks that must be completed first, up to ${MAX_BLOCKERS}. They must belong to the same session.`

export const Task = Type.Object(
  {
    id: Uuid('The id of the task, a UUIDv7.', example.task_id),
    session_id: Nullable(Uuid('The session that the task belongs to, or null.', example.session_id)),
    batch_id: Nullable(Uuid('The batch that the task was created in, or null.', example.batch_id)),
    key: Nullable(returned({ ...key, description: 'Its name in its batch, or null.' })),
    title: returned(title),
    description: Nullable(returned(description)),
    status: status(),
    priority: Nullable(priority),
    due_date: Nullable(Timestamp('When it is due, or null.', '2025-12-07T23:59:59.000Z')),
    blocked_by: Type.Array(blocker, {
      description:
        'The ids of the tasks that must be completed first, in the order given. Deleted tasks are not included.',
      examples: [[]],
    }),
    is_ready: Type.Boolean({
      description:
        'Whether it can be claimed now: all tasks in `blocked_by` are completed, `not_before` has passed, and it is `pending`, or `in_progress` under a lease that has expired.',
      examples: [true],
    }),
    not_before: Nullable(
      Timestamp('When it becomes ready at the earliest, or null.', '2025-12-09T09:00:00.000Z'),
    ),
    attempts: Type.Integer({
      minimum: 0,
      description: 'How often it has been claimed. After several attempts, try another way.',
      examples: [0],
    }),
    claimed_by: Nullable(
      Type.String({ description: 'The worker that holds the lease, or null.', examples: ['agent-1'] }),
    ),
    lease_expires_at: Nullable(
      Timestamp(
        'When the lease expires, or null. After that, another worker can claim the task.',
        '2025-12-06T10:15:00.000Z',
      ),
    ),
    result: Nullable(returned(result)),
    metadata: Type.Unsafe<Record<string, unknown>>({
      type: 'object',
      description: 'What an agent keeps with the task; `{}` if nothing.',
      examples: [{}],
    }),
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

const creation = {
  title,
  description: Type.Optional(Nullable(description)),
  status: Defaulted(status({ default: 'pending' })),
  priority: Type.Optional(Nullable(priority)),
  due_date: Type.Optional(Nullable(due_date)),
  not_before: Type.Optional(Nullable(not_before)),
  result: Type.Optional(Nullable(result)),
  metadata: Type.Optional(metadata(METADATA)),
}

export const TaskCreate = Strict(
  {
    ...creation,
    blocked_by: Type.Optional(blockers(blocker, BLOCKED_BY)),
    session_id: Type.Optional(
      Nullable(
        Uuid(
          'The session of the agent: a UUID that it generates once and sends with every call.',
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

export const TaskPlan = Strict(
  {
    key: Type.Optional(Nullable(key)),
    ...creation,
    blocked_by: Type.Optional(
      blockers(
        Text(64, 'A `key` of the batch, or the id of an existing task of the session.', 'create-pod'),
        `The tasks that must be completed first, up to ${MAX_BLOCKERS}: by their \`key\` in the same batch, also of tasks further down, or by the id of an existing task of the session.`,
      ),
    ),
    session_id: Type.Optional(
      Nullable(Uuid('Accepted but has no effect: tasks of a batch have its session.', example.session_id)),
    ),
  },
  {
    $id: 'TaskPlan',
    description: 'A new task of a batch. Only `title` is required.',
    examples: [
      { key: 'create-pod', title: 'nginx Pod 생성하기', priority: 'high' },
      { key: 'read-logs', title: 'Pod 로그 확인하기', blocked_by: ['create-pod'] },
    ],
  },
)
export type TaskPlan = Static<typeof TaskPlan>

/** The fields of a task that can be changed. */
const changes = {
  title: Type.Optional(title),
  description: Type.Optional(Nullable(description)),
  status: Type.Optional(status()),
  priority: Type.Optional(Nullable(priority)),
  due_date: Type.Optional(Nullable(due_date)),
  blocked_by: Type.Optional(
    blockers(
      blocker,
      `${BLOCKED_BY} Replaces the whole list; \`[]\` clears it. Together with what these wait for, up to 5000 tasks that wait themselves.`,
    ),
  ),
  not_before: Type.Optional(Nullable(not_before)),
  result: Type.Optional(Nullable(result)),
  metadata: Type.Optional(
    metadata(
      `${METADATA} Merged into the existing object (RFC 7396): a member with the value null is removed.`,
    ),
  ),
}

/** Why a change is made. In the event of the change, not on the task. */
export const note = (what: string) =>
  Text(1000, what, 'The image name was wrong.', { minLength: 1, pattern: '\\S' })

const changeNote = Type.Optional(
  note(
    'Why, or what the next one should know, 1 to 1000 characters. It is kept in the event of this change, not on the task; alone, it changes nothing else.',
  ),
)

export const TaskUpdate = Strict(
  { ...changes, note: changeNote },
  {
    $id: 'TaskUpdate',
    description:
      'The fields to change. An omitted field keeps its value; null clears `description`, `priority`, `due_date`, `not_before` or `result`. Other fields cannot be changed: to move a task to another session or batch, create it there.',
    examples: [{ status: 'completed' }],
  },
)
export type TaskUpdate = Static<typeof TaskUpdate>

/** Those of them that are on the task. */
export type TaskChanges = Omit<TaskUpdate, 'note'>

export const TaskPatch = Strict(
  { id: Uuid('The task to change.', example.task_id), ...changes, note: changeNote },
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

export const notFound = Type.Array(Uuid('An unknown id.', example.task_id), {
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

/** The ids of tasks, in an operation that acts on all of them. */
export const idsTo = (act: string) =>
  Type.Array(Uuid(`The id of a task to ${act}.`, example.task_id), {
    minItems: 1,
    maxItems: MAX_ITEMS,
    description: `The ids of the tasks to ${act}, 1 to ${MAX_ITEMS}. A repeated id counts once.`,
  })

export const TaskBulkDelete = Strict(
  { ids: idsTo('delete') },
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

const count = (description: string, example: number) =>
  Type.Integer({ minimum: 0, description, examples: [example] })

export const Progress = Type.Object(
  {
    total: count('The number of tasks.', 4),
    pending: count('Tasks with the status `pending`.', 2),
    in_progress: count('Tasks with the status `in_progress`.', 1),
    completed: count('Tasks with the status `completed`.', 1),
    ready: count('Tasks that can be claimed now.', 1),
    blocked: count('Pending tasks that wait for other tasks: see their `blocked_by`.', 1),
    deferred: count('Pending tasks that are not blocked, but whose `not_before` is to come.', 0),
    overdue: count('Tasks that are not completed and whose `due_date` has passed.', 0),
    percent: Type.Integer({
      minimum: 0,
      maximum: 100,
      description: 'The completed tasks in percent, rounded down.',
      examples: [25],
    }),
    last_activity_at: Nullable(
      Timestamp('When a task last changed; null if there are no tasks.', '2025-12-06T11:30:00.000Z'),
    ),
  },
  { $id: 'Progress', description: 'How far a plan is.' },
)
export type Progress = Static<typeof Progress>

export const TaskPage = PageOf(Task)
export const TaskFieldsPage = FieldsPageOf(Task)

export const TASK_FIELDS = Object.keys(Task.properties) as (keyof Task)[]

/** Most ids that a list is limited to: those of a page. */
const MAX_IDS = 100

const moment = (description: string) =>
  Type.Optional(Type.String({ format: 'date-time', description: `${description} RFC 3339, or a date.` }))

export const TaskListQuery = Strict({
  ...pageParameters,
  status: Type.Optional(
    ListOf(STATUS, {
      description:
        'Only tasks with one of these statuses, separated by commas: `pending`, `in_progress`, `completed`.',
    }),
  ),
  priority: Type.Optional(
    ListOf(PRIORITY, {
      description: 'Only tasks with one of these priorities, separated by commas: `high`, `medium`, `low`.',
    }),
  ),
  session_id: Type.Optional(UuidFilter('Only tasks of this session.')),
  batch_id: Type.Optional(UuidFilter('Only tasks of this batch.')),
  ids: Type.Optional(
    Type.Array(UuidFilter('The id of a task.'), {
      minItems: 1,
      maxItems: MAX_IDS,
      description: `Only tasks with one of these ids, separated by commas; up to ${MAX_IDS}.`,
    }),
  ),
  ready: Type.Optional(
    Type.Boolean({
      description:
        'With `true`, only tasks that can be claimed now; with `false`, only others. Requires `session_id` or `batch_id`.',
    }),
  ),
  claimed_by: Type.Optional(
    Text(128, 'Only tasks that this worker holds. Requires `session_id` or `batch_id`.', 'agent-1', {
      examples: undefined,
      minLength: 1,
      pattern: '\\S',
    }),
  ),
  due_before: moment('Only tasks that are due before this time.'),
  due_after: moment('Only tasks that are due after this time.'),
  updated_since: moment('Only tasks that changed at this time or later.'),
  q: Type.Optional(
    Text(
      200,
      'Only tasks with every one of these words in title, description or result, in any case; parts of words match, too. Up to 200 characters. Requires `session_id` or `batch_id`.',
      'pod',
      { examples: undefined, minLength: 1, pattern: '\\S' },
    ),
  ),
  fields: fieldsParameter(TASK_FIELDS, ['title', 'status']),
  sort_by: Defaulted(
    OneOf(['updated_at', 'created_at', 'due_date', 'priority', 'status'], {
      default: 'updated_at',
      description:
        'The field to sort by. `priority` ranks high > medium > low; `status` ranks pending < in_progress < completed. Tasks without a value come last in both orders. Tasks with equal values are sorted by id. To go through tasks that change meanwhile, sort by `created_at`.',
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
  Progress,
  TaskCreate,
  TaskPlan,
  TaskUpdate,
  TaskPatch,
  TaskBulkUpdate,
  TaskBulkUpdateResult,
  TaskBulkDelete,
  TaskBulkDeleteResult,
  TaskPage,
  TaskFieldsPage,
]
