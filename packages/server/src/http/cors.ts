/** Which web pages may call the service (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol). */
import fastifyCors, { type FastifyCorsOptions } from '@fastify/cors'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ApiError } from './problem.js'

export interface CorsOptions {
  /** Origins whose pages may call the service, such as `https://app.example.com`. If empty, no CORS headers are sent. */
  origins: readonly string[]
}

const shared: FastifyCorsOptions = {
  methods: 'DELETE, GET, HEAD, PATCH, POST, PUT',
  allowedHeaders:
    'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Lease-Token, MCP-Protocol-Version, Mcp-Method, Mcp-Name, X-Request-ID, X-Session-ID',
  exposedHeaders: 'ETag, Idempotency-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID',
  maxAge: 3600,
}
const forPreflight: FastifyCorsOptions = { ...shared, origin: true, preflight: true }
const forCall: FastifyCorsOptions = { ...shared, origin: true, preflight: false }
const forOthers: FastifyCorsOptions = { origin: false }

/** @fastify/cors adds a route for OPTIONS on every path. Only unknown paths reach it: the known ones have their own. */
const isUnknownPath = (request: FastifyRequest) => request.is404 || request.routeOptions.url === '*'

/** Register it before authentication, since a preflight has no key, and before the hook that collects routes for 405. */
export const cors = fp<CorsOptions>(
  async (app, { origins }) => {
    if (origins.length === 0) return
    await app.register(fastifyCors, {
      delegator: (request, done) => {
        const { origin } = request.headers
        if (origin === undefined || !origins.includes(origin)) return done(null, forOthers)
        // A plain OPTIONS is a method that the path does not have, like any other.
        const isPreflight = request.headers['access-control-request-method'] !== undefined
        done(null, isPreflight && !isUnknownPath(request) ? forPreflight : forCall)
      },
    })
    app.addHook('onRequest', (request, _reply, done) => {
      // http/not-found rejects the others, and names the nearest route.
      done(request.routeOptions.url === '*' ? new ApiError('route_not_found') : undefined)
    })
  },
  { name: 'cors' },
)
