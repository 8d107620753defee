/** The tools for models: one list for every framework, and for the MCP server. */
import type { Client } from '../client.js'
import { LeaseLostError } from '../errors.js'
import { explain, explainMistakes } from './answers.js'
import type { Context } from './calls.js'
import { check, type Mistake, MOST_SHOWN, withoutNulls } from './input.js'
import {
  type ObjectSchema,
  type ToolAnnotations,
  type ToolDefinition,
  type ToolName,
  table,
} from './table.js'

export type { JsonSchema } from './input.js'
export type { ObjectSchema, ToolAnnotations, ToolName }

/** What the program decides, so that a model need not and cannot. */
export interface ToolOptions {
  /** The session of the agent, a UUID. The tools then have no `session_id`, and reach no task of another session. */
  session?: string | undefined
  /**
   * Whether the tools keep their `session_id`, also with `session`, for a list that is the same for everybody. The model can leave
   * it out, and no other session is accepted. `false` by default.
   */
  offerSession?: boolean | undefined
  /**
   * The name under which tasks are claimed, 1 to 128 characters: unique among the agents that work on the plan, and the same
   * after a restart, so that the agent gets back the task that it held. A made-up one by default.
   */
  worker?: string | undefined
  /** For how long a task is claimed unless the model says otherwise, in seconds, from 10 to 86 400; 900 by default. */
  lease_seconds?: number | undefined
  /**
   * Whether the program keeps the tokens of the leases, so that a model cannot lose or make up one: the tools then have no
   * `token`. They are kept in memory, by the tools of one call of `taskTools` or `taskToolList`. `false` by default.
   */
  holdLeases?: boolean | undefined
}

/** What went wrong and what to do now, in a sentence for the model. */
export interface ToolFailure {
  error: string
}

/** What a framework passes besides the input. */
export interface ToolContext {
  abortSignal?: AbortSignal | undefined
  signal?: AbortSignal | undefined
}

/**
 * Runs a tool with the arguments from the model: an object, or its JSON. Returns what to give back to the model, an object with
 * `error` if its call was wrong or the service rejected it.
 *
 * @throws {ConnectionError} {TimeoutError} {AbortError} when there is no answer of the service.
 */
export type Execute = (input: unknown, context?: unknown) => Promise<object | ToolFailure>

/** The input of a tool as a Standard Schema (https://standardschema.dev) that has its JSON Schema. */
export interface InputSchema {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: '@aklp/task-client'
    readonly validate: (
      value: unknown,
    ) => { value: Record<string, unknown> } | { issues: { message: string; path: (string | number)[] }[] }
    readonly jsonSchema: {
      readonly input: () => Record<string, unknown>
      readonly output: () => Record<string, unknown>
    }
    readonly types?: { readonly input: Record<string, unknown>; readonly output: Record<string, unknown> }
  }
}

/** A tool as the Vercel AI SDK takes it. */
export interface TaskTool {
  description: string
  inputSchema: InputSchema
  execute: Execute
}

/** A tool under all the names that frameworks use for its parts. */
export interface ListedTool extends TaskTool {
  name: ToolName
  /** The same as `name`. */
  id: ToolName
  /** The input as JSON Schema. */
  parameters: ObjectSchema
  /** The same as `parameters`. */
  schema: ObjectSchema
  annotations: ToolAnnotations
  /** Some fields are optional, which the strict mode of OpenAI does not allow. */
  strict: false
}

/**
 * The tools by name.
 *
 * @example
 * await generateText({ model, tools: taskTools(aklp, { session, worker: 'agent-1' }), prompt })
 */
export function taskTools(client: Client, options: ToolOptions = {}): Record<ToolName, TaskTool> {
  return Object.fromEntries(
    taskToolList(client, options).map(({ name, description, inputSchema, execute }) => [
      name,
      { description, inputSchema, execute },
    ]),
  ) as Record<ToolName, TaskTool>
}

/**
 * The tools as a list, in the order in which a model needs them.
 *
 * @example
 * const tools = taskToolList(aklp, { session, worker: 'agent-1' }).map((it) => tool(it))
 */
export function taskToolList(client: Client, options: ToolOptions = {}): ListedTool[] {
  const { session, worker = madeUp(), lease_seconds = 900, holdLeases = false } = options
  const leases = holdLeases ? new Map<string, string>() : undefined
  return table.map((definition) => {
    const { name, description, annotations } = definition
    const schema = offered(definition, options)
    return {
      name,
      id: name,
      description,
      parameters: schema,
      schema,
      inputSchema: standard(schema),
      annotations,
      strict: false,
      execute: (input, context) => {
        const { abortSignal, signal = abortSignal } = (context ?? {}) as ToolContext
        return run(definition, schema, input, {
          client,
          session_id: session,
          worker,
          lease_seconds,
          leases,
          signal,
        })
      },
    }
  })
}

/** When and in which order to use the tools, for the prompt of a model. MCP calls it `instructions`. */
export const instructions = `A task list that survives lost context, restarts and other agents. Use it for work of more than two steps.
1. resume: first, and whenever you do not know where you were.
2. create_plan: save the whole plan in one call; name in blocked_by what must be completed first.
3. next_task: reserves a task for you. Start no work without it, others may have it.
4. finish_task: right after a task is done, with what came of it. It returns the next task.
update_task with the token keeps a long task reserved, release_task gives one back, extend_plan adds what turned up, get_task and list_tasks read. If an answer was lost, make the same call again: nothing is done twice.`

/** The input without what the program decides. */
function offered(
  { schema }: ToolDefinition,
  { session, offerSession, holdLeases }: ToolOptions,
): ObjectSchema {
  const hidden = [...(session && !offerSession ? ['session_id'] : []), ...(holdLeases ? ['token'] : [])]
  if (hidden.length === 0) return schema
  const isShown = (name: string) => !hidden.includes(name)
  return {
    ...schema,
    properties: Object.fromEntries(Object.entries(schema.properties).filter(([name]) => isShown(name))),
    required: schema.required.filter(isShown),
  }
}

async function run(
  { name, annotations, run }: ToolDefinition,
  schema: ObjectSchema,
  given: unknown,
  context: Context,
): Promise<object> {
  const { readOnlyHint = false } = annotations
  const parsed = parse(given)
  if (parsed === undefined) return { error: explainMistakes([NOT_JSON], name, readOnlyHint) }
  const input = withoutNulls(schema, parsed)
  const mistakes = check(schema, input)
  if (mistakes.length > 0)
    return {
      error: explainMistakes(mistakes, name, readOnlyHint),
    }
  const { session_id = context.session_id, ...rest } = input as { session_id?: string }
  if (context.session_id && session_id?.toLowerCase() !== context.session_id.toLowerCase())
    return { error: `Another session is configured. Leave session_id out and call ${name} again.` }
  try {
    return await run({ ...context, session_id }, rest as never)
  } catch (error) {
    if (error instanceof LeaseLostError)
      context.leases?.delete(String((rest as { task_id?: string }).task_id).toLowerCase())
    const message = explain(error, name, readOnlyHint)
    if (message === undefined) throw error
    return { error: message }
  }
}

const NOT_JSON: Mistake = { path: [], describe: () => 'the input is not valid JSON' }

function parse(input: unknown): unknown {
  if (typeof input !== 'string') return input ?? {}
  try {
    return JSON.parse(input || '{}')
  } catch {
    return undefined
  }
}

const standard = (schema: ObjectSchema): InputSchema => ({
  '~standard': {
    version: 1,
    vendor: '@aklp/task-client',
    validate: (value) => {
      const input = withoutNulls(schema, value)
      const issues = check(schema, input)
      if (issues.length === 0) return { value: input as Record<string, unknown> }
      return {
        issues: issues.slice(0, MOST_SHOWN).map(({ path, describe }) => ({ path, message: describe() })),
      }
    },
    jsonSchema: { input: () => ({ ...schema }), output: () => ({ ...schema }) },
  },
})

const madeUp = () =>
  `agent-${crypto.getRandomValues(new Uint8Array(4)).reduce((text, byte) => text + byte.toString(16).padStart(2, '0'), '')}`
