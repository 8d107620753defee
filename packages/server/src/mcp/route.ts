/** The tools for models at /mcp, over Streamable HTTP of the Model Context Protocol. */
import { hash } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyPluginAsync } from 'fastify'
import type { Caller } from '../http/caller.js'
import { onOver } from '../http/pipelining.js'
import { Places } from '../http/places.js'
import { ApiError, validationError } from '../http/problem.js'
import { Strict, Text, UuidFilter } from '../http/schemas.js'
import type { Inject } from './handler.js'

export interface McpOptions {
  /** Origins whose pages may call it, besides those of the service itself. */
  origins: readonly string[]
  /** The timeout of a request, in milliseconds. */
  timeout: number
  /** Sends a request to the service, as if it came over the network. */
  inject: Inject
}

/** What an agent can have in the URL of its configuration. */
const Query = Strict({
  session_id: Type.Optional(UuidFilter('The session of the agent.')),
  worker: Type.Optional(
    Text(128, 'The name under which tasks are claimed.', 'agent-1', { minLength: 1, pattern: '\\S' }),
  ),
})

/**
 * Most requests that are handled at a time. Each holds its body several times, up to 2 MB, and waits for calls of the API, which
 * are admitted there.
 */
const MOST_AT_ONCE = 100
const MOST_OF_CALLER = 80

/** Requires authentication. Each tool is calls of the API with the key of the request: scopes, limits and admission hold there. */
export const mcpRoute: FastifyPluginAsync<McpOptions> = async (app, { origins, timeout, inject }) => {
  // Loaded at the first request: most services need it never or late, and a start should not wait for it.
  let handler: Promise<ReturnType<typeof import('./handler.js')['createHandler']>> | undefined
  const load = () => {
    handler ??= import('./handler.js').then(({ createHandler }) => createHandler({ inject, timeout }))
    return handler
  }
  const places = new Places({ most: MOST_AT_ONCE, mostOfCaller: MOST_OF_CALLER })

  app.addHook('onRequest', ({ headers }, _reply, done) => {
    const { origin, host } = headers
    const isAllowed = origin === undefined || origins.includes(origin) || hostOf(origin) === host
    done(isAllowed ? undefined : new ApiError('origin_not_allowed'))
  })
  app.post<{ Querystring: Static<typeof Query> }>(
    '/mcp',
    { config: { load: 'none', scope: 'any' }, schema: { hide: true, querystring: Query } },
    async (request, reply) => {
      const { body, caller, query } = request
      // A list of messages, of a former version of the protocol, would be any number of calls in one request.
      if (typeof body !== 'object' || body === null || Array.isArray(body)) throw validationError([NOT_ONE])
      const leave = places.enter(caller)
      const gone = new AbortController()
      onOver(reply.raw, () => gone.abort())
      try {
        const handle = await load()
        const [onlySession, ...others] = caller.sessions ?? []
        const response = await handle(request, body, gone.signal, {
          session: query.session_id ?? (others.length === 0 ? onlySession : undefined),
          worker: query.worker ?? nameFor(caller, request.ip),
        })
        reply.code(response.status)
        const type = response.headers.get('content-type')
        if (type !== null) reply.type(type)
        return await response.text()
      } finally {
        leave()
      }
    },
  )
}

const NOT_ONE = { in: 'body' as const, path: '', message: 'must be one JSON-RPC message' }

/**
 * The name of an agent that has none: its key, and a code for its address, which others need not see. Agents at the same address that
 * share a key would take each other's tasks: they need names.
 */
const nameFor = (caller: Caller, address: string) =>
  `${caller.name.slice(0, 120)}-${hash('sha256', address).slice(0, 6)}`

function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/.exec(origin)?.[1]
}
