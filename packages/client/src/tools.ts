/** The operations as tools for a language model. Errors in its calls are returned to the model as text. */
import { AklpError, InputError } from './errors.js'
import type { Operations } from './generated/operations.js'
import { calls, tools } from './generated/tools.js'
import type { ChangeOptions, CreateOptions } from './transport.js'

export { tools }

/** The definition of a tool, as language models expect it. */
export interface Tool {
  name: string
  description: string
  /** The input as JSON Schema. Model APIs call it `input_schema`, `inputSchema` or `parameters`. */
  parameters: object
}

/** What to return to the model: the response as JSON, or an error that says what to change. */
export interface ToolResult {
  content: string
  is_error: boolean
}

/**
 * Runs a tool call of a model. An error response or an invalid input is returned with `is_error`, for the model to
 * correct. All other errors are thrown: `ConnectionError`, `TimeoutError`, `AbortError`.
 *
 * @param client The client, or a session. With a session, a `session_id` in the input has no effect.
 * @param input The arguments from the model: an object, or its JSON.
 * @param options Options for this call. Use the id of the model's tool call as `idempotencyKey`: a conversation that is
 *   replayed then creates nothing twice. Calls that create nothing ignore it.
 */
export async function callTool(
  client: Operations,
  name: string,
  input: unknown,
  options?: CreateOptions & ChangeOptions,
): Promise<ToolResult> {
  try {
    const call = Object.hasOwn(calls, name) && calls[name]
    if (!call)
      throw new InputError(`Unknown tool ${name}. Available tools: ${Object.keys(calls).join(', ')}.`)
    const given = typeof input === 'string' ? parseJson(input) : input
    if (given === null || typeof given !== 'object') throw new InputError('The input must be a JSON object.')
    const result = await call(client, given, options)
    return { content: result === undefined ? 'Done.' : JSON.stringify(result), is_error: false }
  } catch (error) {
    if (error instanceof AklpError || error instanceof InputError)
      return { content: error.message, is_error: true }
    throw error
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new InputError(`The input must be a JSON object: ${(error as Error).message}`)
  }
}
