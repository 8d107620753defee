/** The nine tools: how a model sees them, and what they do. */
import {
  BatchCreate,
  BatchExtend,
  ClaimRequest,
  ListTasksQuery,
  ReleaseRequest,
  TaskPlan,
  TaskUpdate,
} from '../generated/tools.js'
import * as calls from './calls.js'
import type { JsonSchema } from './input.js'

/** What a tool does to its surroundings, as MCP names it. */
export interface ToolAnnotations {
  title: string
  readOnlyHint?: true
  destructiveHint?: false
  idempotentHint?: true
  /** Tools use the task service and nothing else. */
  openWorldHint: false
}

export interface ObjectSchema extends JsonSchema {
  type: 'object'
  properties: Record<string, JsonSchema>
  required: string[]
  // It is false. OpenAI Agents has true as its only type where fields are optional.
  // biome-ignore lint/suspicious/noExplicitAny: frameworks differ in the type
  additionalProperties: any
}

export interface ToolDefinition {
  name: ToolName
  description: string
  annotations: ToolAnnotations
  schema: ObjectSchema
  /** Runs the tool with a checked input. */
  run: (context: calls.Context, input: never) => Promise<object>
}

export type ToolName =
  | 'resume'
  | 'create_plan'
  | 'extend_plan'
  | 'next_task'
  | 'finish_task'
  | 'update_task'
  | 'release_task'
  | 'get_task'
  | 'list_tasks'

/** The rule about times, which is the same for all of them and would be repeated in each. */
const brief = <T extends { description: string }>(schema: T, description?: string): T => ({
  ...schema,
  description: description ?? schema.description.replace(/ A time without an offset .*$/, ''),
})

const id = (description: string): JsonSchema => ({ type: 'string', format: 'uuid', description })

const session_id = id('The session; only if none is configured.')
const task_id = id('The id of the task.')
const token = brief(ReleaseRequest.token, 'The token that next_task returned with the task.')
const note = brief(TaskUpdate.note, 'Why, or what the next one should know: up to 1000 characters.')

/** A task of a plan. */
const planned = (({ key, title, description, priority, blocked_by, not_before }) => ({
  type: 'object',
  properties: {
    key: brief(key, 'A short name, unique in the plan: 1 to 64 characters of `A-Za-z0-9_.-`.'),
    title,
    description,
    priority,
    blocked_by: {
      type: 'array',
      maxItems: blocked_by.maxItems,
      description: 'What must be completed first: the `key` of tasks of the plan, or ids of existing tasks.',
      items: { type: 'string' },
    },
    not_before: brief(not_before),
  },
  required: ['key', 'title'],
  additionalProperties: false,
}))(TaskPlan) satisfies JsonSchema

type Properties = Record<string, JsonSchema>

/** Without the descriptions, which a model has read in create_plan. */
const seen = (properties: Properties): Properties =>
  Object.fromEntries(Object.entries(properties).map(([name, { description, ...schema }]) => [name, schema]))

function tool<Input>(
  name: ToolName,
  hints: 'read-only' | 'idempotent' | 'neither',
  title: string,
  description: string,
  required: Properties,
  optional: Properties,
  run: (context: calls.Context, input: Input) => Promise<object>,
): ToolDefinition {
  return {
    name,
    description,
    annotations: {
      title,
      ...(hints === 'read-only' ? { readOnlyHint: true } : { destructiveHint: false }),
      ...(hints === 'idempotent' && { idempotentHint: true }),
      openWorldHint: false,
    },
    schema: {
      type: 'object',
      properties: { ...required, ...optional, session_id },
      required: Object.keys(required),
      additionalProperties: false,
    },
    run,
  }
}

/** In the order in which a model needs them. No tool deletes. */
export const table: readonly ToolDefinition[] = [
  tool(
    'resume',
    'read-only',
    'Where things stand',
    'Shows where things stand: progress, the next task, tasks in progress, the last results and notes, the latest plan. Call it first, and after you lost your context.',
    {},
    {},
    calls.resume,
  ),
  tool(
    'create_plan',
    'idempotent',
    'Create a plan',
    'Saves a plan: all its tasks in one call, in the order in which to work on them. The same call again creates nothing.',
    { tasks: { ...BatchCreate.tasks, items: planned } },
    { reason: brief(BatchCreate.reason, 'What the plan is for: up to 10000 characters.') },
    calls.createPlan,
  ),
  tool(
    'extend_plan',
    'idempotent',
    'Add tasks to a plan',
    'Adds tasks that turned up on the way to the end of a plan. The same call again adds nothing.',
    {
      tasks: {
        ...BatchExtend.tasks,
        description: 'The tasks to add, as in create_plan.',
        items: { ...planned, properties: seen(planned.properties) },
      },
    },
    { batch_id: id('The plan; the latest one by default.') },
    calls.extendPlan,
  ),
  tool(
    'next_task',
    'neither',
    'Get the next task',
    'Reserves the next ready task for you, or the one that you hold already, and returns it with the token that finish_task needs. Nobody else gets it until `expires_at`. If there is none, says why.',
    {},
    {
      task_id: id('Only this task.'),
      batch_id: id('Only tasks of this plan.'),
      lease_seconds: brief(
        ClaimRequest.lease_seconds,
        'For how long it is reserved; update_task with the token renews that.',
      ),
    },
    calls.nextTask,
  ),
  tool(
    'finish_task',
    'idempotent',
    'Finish a task and get the next one',
    'Completes a task that you hold with its result, and returns the next one as next_task does.',
    {
      task_id,
      token,
      result: {
        ...brief(TaskUpdate.result, 'What came of it: up to 4000 characters.'),
        type: 'string',
        minLength: 1,
      },
    },
    {
      note,
      next: {
        type: 'boolean',
        default: true,
        description: 'Whether to reserve the next task, too.',
      },
    },
    calls.finishTask,
  ),
  tool(
    'update_task',
    'idempotent',
    'Change a task',
    'Changes fields of a task; null clears one. With the token of a task that you hold, also renews its time.',
    { task_id },
    {
      token,
      ...seen({
        title: TaskUpdate.title,
        description: TaskUpdate.description,
        priority: TaskUpdate.priority,
        result: TaskUpdate.result,
      }),
      status: TaskUpdate.status,
      due_date: brief(TaskUpdate.due_date),
      blocked_by: {
        type: 'array',
        maxItems: TaskUpdate.blocked_by.maxItems,
        description: 'The ids of the tasks that must be completed first. Replaces the list; `[]` clears it.',
        items: { type: 'string', format: 'uuid' },
      },
      not_before: brief(TaskUpdate.not_before),
      metadata: brief(
        TaskUpdate.metadata,
        'Anything to keep with it, up to 8 KiB. Merged into what is there; null removes a member.',
      ),
      note,
    },
    calls.updateTask,
  ),
  tool(
    'release_task',
    'idempotent',
    'Give a task back',
    'Gives a task back that you hold and will not finish, so that it can be done by others or later.',
    { task_id, token },
    { note, not_before: brief(ReleaseRequest.not_before) },
    calls.releaseTask,
  ),
  tool(
    'get_task',
    'read-only',
    'Read a task',
    'Returns a whole task, the tasks that it builds on with their results, and its last notes.',
    { task_id },
    {},
    calls.getTask,
  ),
  tool(
    'list_tasks',
    'read-only',
    'List tasks',
    'Lists tasks in the order of the plan, as rows of `columns`: `open_blockers` are the tasks that must be completed first. To get work, call next_task instead.',
    {},
    {
      status: { ...ListTasksQuery.status.items, description: 'Only tasks with this status.' },
      ready: brief(
        ListTasksQuery.ready,
        'Only tasks that can be started now (`true`), or only others (`false`).',
      ),
      q: brief(ListTasksQuery.q, 'Only tasks with all these words in title, description or result.'),
      limit: { ...ListTasksQuery.limit, description: 'Most tasks to return.', default: 20 },
      cursor: brief(ListTasksQuery.cursor, 'The `next_cursor` of the page before, with the same filters.'),
    },
    calls.listTasks,
  ),
]
