/** The MCP server: the tools of `@aklp/task-client/tools` over the Model Context Protocol. */
import type { Client } from '@aklp/task-client'
import { type InputSchema, instructions, type ListedTool, taskToolList } from '@aklp/task-client/tools'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'

export interface TaskServerOptions {
  client: Client
  /** The session of the agent, a UUID. Without it, the model must send one with every call. */
  session?: string | undefined
  /** The name under which tasks are claimed: unique among agents, and the same after a restart. A made-up one by default. */
  worker?: string | undefined
  /** The version of the server, for the clients that show it. */
  version?: string | undefined
  /** Called with each error that is not in a tool's answer, such as a service that cannot be reached. */
  onError?: ((error: unknown) => void) | undefined
}

/** Creates an MCP server with the nine tools, to connect to a transport. */
export function createTaskServer({ client, session, worker, version = '0', onError }: TaskServerOptions) {
  const server = new McpServer({ name: 'aklp-task', version }, { instructions })
  for (const tool of taskToolList(client, { session, worker, offerSession: true })) {
    const { name, description, annotations, inputSchema } = tool
    server.registerTool(
      name,
      { description, annotations, inputSchema: unchecked(inputSchema) },
      (input, context) => answer(tool, input, context.mcpReq.signal, onError),
    )
  }
  return server
}

/** The tool explains mistakes itself, in one sentence; the check of the protocol's library would come before. */
const unchecked = ({ '~standard': standard }: InputSchema) => ({
  '~standard': { ...standard, validate: (value: unknown) => ({ value }) },
})

async function answer(
  { execute }: ListedTool,
  input: unknown,
  signal: AbortSignal,
  onError: TaskServerOptions['onError'],
) {
  try {
    const result = await execute(input, { signal })
    const text = 'error' in result ? String(result.error) : JSON.stringify(result)
    return { content: [{ type: 'text' as const, text }], isError: 'error' in result }
  } catch (error) {
    onError?.(error)
    // The message of an error that is thrown here would go to the model.
    return { content: [{ type: 'text' as const, text: UNREACHABLE }], isError: true }
  }
}

const UNREACHABLE =
  'The task service cannot be reached, so it is unknown whether this took effect. Make the same call again in a minute: nothing is done twice. If it fails again, tell the person who configured it, and do not start other tasks.'

/** Answers a request of MCP over Streamable HTTP. `body` is the parsed body. */
export type TaskHandler<Context> = (request: Request, body: unknown, context: Context) => Promise<Response>

/**
 * Serves MCP over Streamable HTTP, with a new server for each request: nothing is kept between them.
 *
 * @param optionsOf The options for the server of a request, from what the caller passes with it.
 */
export function createTaskHandler<Context>(
  optionsOf: (context: Context) => TaskServerOptions,
): TaskHandler<Context> {
  const handler = createMcpHandler(
    ({ authInfo }) => createTaskServer(optionsOf(authInfo!.extra!.context as Context)),
    // The tools never change, so there is nothing to subscribe to, and no response stays open.
    { maxSubscriptions: 0 },
  )
  return (request, parsedBody, context) =>
    handler.fetch(request, {
      parsedBody,
      authInfo: { token: '', clientId: '', scopes: [], extra: { context } },
    })
}
