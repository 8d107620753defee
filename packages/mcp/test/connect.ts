/** Shared by the tests: the official client over both ways, in both eras of the protocol. */
import { fileURLToPath } from 'node:url'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import type { Test } from 'tap'
import { asUser } from '../../server/test/process.js'

export const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url))

/** `legacy` speaks the protocol of 2025 with its handshake, `auto` that of 2026 without. */
export type Era = 'legacy' | 'auto'

export interface Agent {
  client: Client
  /** Calls a tool; the answer is parsed, an error is `{ error }`. */
  call(name: string, input?: object): Promise<any>
}

export interface Where {
  url: string
  session?: string
  worker?: string
  token?: string
  /** Used instead of the global `fetch`. */
  fetch?: typeof globalThis.fetch
}

export async function overHttp(test: Test, era: Era, { url, session, worker, token, fetch }: Where) {
  const endpoint = new URL(`${url}/mcp`)
  if (session) endpoint.searchParams.set('session_id', session)
  if (worker) endpoint.searchParams.set('worker', worker)
  const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {}
  return connect(
    test,
    era,
    new StreamableHTTPClientTransport(endpoint, { requestInit: { headers }, ...(fetch && { fetch }) }),
  )
}

export async function overStdio(
  test: Test,
  era: Era,
  { url, session, worker, token }: Partial<Where>,
  cwd = test.testdir(),
) {
  const env: Record<string, string> = { PATH: process.env.PATH! }
  if (url) env.AKLP_URL = url
  if (session) env.AKLP_SESSION = session
  if (worker) env.AKLP_WORKER = worker
  if (token) env.AKLP_TOKEN = token
  const [command, args] = asUser([process.execPath, cli])
  return connect(test, era, new StdioClientTransport({ command, args, env, cwd, stderr: 'ignore' }))
}

async function connect(
  test: Test,
  mode: Era,
  transport: StdioClientTransport | StreamableHTTPClientTransport,
): Promise<Agent> {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } })
  await client.connect(transport)
  test.teardown(() => client.close())
  return {
    client,
    async call(name, input = {}) {
      const { content, isError } = await client.callTool({
        name,
        arguments: input as Record<string, unknown>,
      })
      const [{ text }] = content as unknown as [{ text: string }]
      return isError ? { error: text } : JSON.parse(text)
    },
  }
}
