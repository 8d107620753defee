/** Runs the tools of a request of MCP on the API of this service. */
import { createClient } from '@aklp/task-client'
import { createTaskHandler } from '@aklp/task-mcp'
import type { FastifyRequest } from 'fastify'
import { version } from '../http/version.js'

/** A call of the API within this process. */
export type Inject = (request: {
  method: 'GET'
  url: string
  headers: Record<string, string>
  payload?: string
  remoteAddress: string
}) => Promise<{ statusCode: number; headers: object; body: string }>

interface Who {
  session: string | undefined
  worker: string
}

/** Headers of the request that its calls have, too: who calls, and what connects the lines in the logs. */
const PASSED_ON = ['authorization', 'traceparent', 'tracestate']

/** The part of the time limit in which the calls of a tool must end, so that the model gets an answer. */
const PART_FOR_CALLS = 0.8

export function createHandler({ inject, timeout }: { inject: Inject; timeout: number }) {
  const handle = createTaskHandler<Who & { request: FastifyRequest }>(({ request, session, worker }) => ({
    client: createClient({
      baseUrl: 'http://localhost',
      timeout: timeout * PART_FOR_CALLS,
      // A client that retries at once would undo the admission.
      retries: 1,
      fetch: (url, init) => callHere(request, url, init),
    }),
    session,
    worker,
    version,
    onError: (error) => request.log.warn({ err: error }, 'a tool got no response'),
  }))

  async function callHere(
    { headers, id, ip }: FastifyRequest,
    url: string,
    { method, headers: own, body }: RequestInit,
  ): Promise<Response> {
    const { pathname, search } = new URL(url)
    const passed = PASSED_ON.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]]))
    const response = await inject({
      method: method as 'GET',
      url: pathname + search,
      headers: {
        ...(own as Record<string, string>),
        ...Object.fromEntries(passed),
        'x-request-id': id,
      },
      ...(body && { payload: body as string }),
      remoteAddress: ip,
    })
    const { statusCode: status } = response
    return new Response(status === 204 ? null : response.body, {
      status,
      headers: response.headers as Record<string, string>,
    })
  }

  return (request: FastifyRequest, body: object, signal: AbortSignal, who: Who): Promise<Response> => {
    const { method, headers } = request
    const given = Object.entries(headers).flatMap(([name, value]) =>
      // The body is parsed already.
      typeof value === 'string' && name !== 'content-length' ? [[name, value] as [string, string]] : [],
    )
    const web = new Request('http://localhost/mcp', { method, headers: given, signal })
    return handle(web, body, { ...who, request })
  }
}
