/** The operations as tools for a language model, whose mistakes come back to it as the service's own corrections. */
import { AklpError, InputError } from './errors.js'
import type { Operations } from './generated/operations.js'
import { calls, tools } from './generated/tools.js'
import type { ChangeOptions, CreateOptions } from './transport.js'

export { tools }

/** An operation in the form that language models are told of tools. */
export interface Tool {
  name: string
  description: string
  /** The input as JSON Schema. Called `input_schema`, `inputSchema` or `parameters` in the models' interfaces. */
  parameters: object
}

/** What to tell the model: the answer as JSON, or what it has to change. */
export interface ToolResult {
  content: string
  is_error: boolean
}

/**
 * Does what a model asked for. Only what the model can correct comes back as an error result; a service that
 * cannot be reached is the program's affair, and thrown.
 *
 * @param client The client, or a session: then a session_id of the model's own making has no effect.
 * @param input What the model gave: an object, or its JSON.
 * @param options For this call only. The id of the model's tool call is a good `idempotencyKey`: a conversation that
 *   is replayed then creates nothing twice. Calls that create nothing have no use for it.
 */
export async function callTool(
  client: Operations,
  name: string,
  input: unknown,
  options?: CreateOptions & ChangeOptions,
): Promise<ToolResult> {
  try {
    const call = Object.hasOwn(calls, name) && calls[name]
    if (!call) throw new InputError(`There is no tool ${name}. There are: ${Object.keys(calls).join(', ')}.`)
    const given = typeof input === 'string' ? parseJson(input) : input
    if (given === null || typeof given !== 'object') throw new InputError('The input must be a JSON object.')
    const answer = await call(client, given, options)
    return { content: answer === undefined ? 'Done.' : JSON.stringify(answer), is_error: false }
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
