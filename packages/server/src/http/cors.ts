/** What browsers are told: which pages may call the service (CORS), and to do nothing with an answer but hand it over. */
import type { FastifyInstance } from 'fastify'
import type { Config } from '../start/config.js'

export const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  // The page at /docs has a policy of its own.
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
}

const shared = {
  'access-control-expose-headers':
    'ETag, Idempotency-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID',
}

const preflight = {
  'access-control-allow-methods': 'DELETE, GET, HEAD, POST, PUT',
  'access-control-allow-headers':
    'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-ID',
  'access-control-max-age': '3600',
}

export function answerBrowsers(app: FastifyInstance, { CORS_ORIGINS: origins }: Config) {
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(securityHeaders)
    if (origins.length === 0) return done()
    // The answers differ by origin: a cache must not give that for one to another.
    reply.header('vary', 'Origin')
    const { origin } = request.headers
    if (origin === undefined || !origins.includes(origin)) return done()
    reply.header('access-control-allow-origin', origin).headers(shared)
    const asks = request.method === 'OPTIONS' && request.headers['access-control-request-method']
    if (!asks || request.is404) return done()
    // The question before a call has no key, and is answered before anybody asks for one.
    reply.code(204).headers(preflight).send()
  })
}
