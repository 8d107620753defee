/** Asks who sends a request, and lets through what this caller may do and as often as it may. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { anonymous, type Caller, type Scope } from '../http/caller.js'
import { ApiError } from '../http/problem.js'
import type { Config } from '../start/config.js'
import { isProtected } from '../start/exposure.js'
import { createKeyring } from './keys.js'
import { type Allowance, createLimit } from './rate-limit.js'
import { createTokens, RefusedToken } from './tokens.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sends it; known in every route that {@link protect} guards. */
    caller: Caller
  }
}

/** Failed authentications of one address a minute that are told why. Keys cannot be guessed: this slows down loops. */
const FAILURES_PER_MINUTE = 60

/** What a caller needs for a request. */
const scopeFor = (method: string): Scope =>
  method === 'GET' || method === 'HEAD' ? 'tasks:read' : 'tasks:write'

/** Guards every route that is registered in `api` after this; those outside stay open. */
export function protect(api: FastifyInstance, config: Config) {
  api.addHook('onRoute', (route) => {
    route.schema = { security: [{ bearer: [scopeFor([route.method].flat()[0]!)] }], ...route.schema }
  })
  const limit = config.RATE_LIMIT_PER_MINUTE && createLimit(config.RATE_LIMIT_PER_MINUTE)
  /** Counts a request; answers the error when there were too many. */
  const count = (key: string, reply: FastifyReply): ApiError | undefined => {
    if (!limit) return undefined
    const allowance = limit(key)
    reply.headers(rateLimitHeaders('requests', config.RATE_LIMIT_PER_MINUTE!, allowance))
    return allowance.left < 0 ? tooMany(allowance) : undefined
  }

  if (!isProtected(config)) {
    api.decorateRequest('caller', { getter: () => anonymous })
    if (limit) api.addHook('onRequest', (request, reply, done) => done(count(request.ip, reply)))
    return
  }

  const ownerOf = createKeyring(config.API_KEYS)
  const tokens =
    config.JWT_ISSUER === undefined
      ? undefined
      : createTokens({
          issuer: config.JWT_ISSUER,
          audience: config.JWT_AUDIENCE!,
          jwksUrl: config.JWT_JWKS_URL!,
        })
  const failures = createLimit(FAILURES_PER_MINUTE)

  api.decorateRequest('caller')
  api.addHook('onRequest', (request, reply, done) => {
    const scope = scopeFor(request.method)
    const admit = (caller: Caller) => {
      request.caller = caller
      const error = count(caller.name, reply)
      done(error ?? (caller.scopes.includes(scope) ? undefined : forbidden(scope)))
    }
    const refuse = (detail?: string) => {
      const allowance = failures(request.ip)
      if (allowance.left >= 0) return done(unauthorized(scope, detail))
      reply.headers(rateLimitHeaders('failures', FAILURES_PER_MINUTE, allowance))
      done(tooMany(allowance))
    }

    const credential = credentialOf(request)
    if (credential === undefined) return refuse()
    const known = ownerOf(credential) ?? tokens?.recall(credential)
    if (known !== undefined) return admit(known)
    if (tokens === undefined || !credential.includes('.')) return refuse(UNKNOWN)
    tokens.verify(credential).then(admit, (error) => {
      if (error instanceof RefusedToken) refuse(error.message)
      else done(error)
    })
  })
}

const UNKNOWN = 'The key is unknown. Check that it is complete and belongs to this service.'

/** The key or token of a request (RFC 6750, section 2.1); in the URL it would get into logs. */
const credentialOf = ({ headers }: FastifyRequest) =>
  /^Bearer +([\w.~+/-]+=*) *$/i.exec(headers.authorization ?? '')?.[1]

// A request without a key is not told an error but only what is needed (RFC 6750, section 3.1).
const unauthorized = (scope: Scope, detail?: string) =>
  new ApiError('unauthorized', detail, challenge(scope, detail && 'invalid_token'))

const forbidden = (scope: Scope) =>
  new ApiError(
    'forbidden',
    `This operation requires the scope \`${scope}\`, which the key or token does not have. Use one that has it.`,
    challenge(scope, 'insufficient_scope'),
  )

const challenge = (scope: Scope, error?: string) => ({
  'www-authenticate': `Bearer realm="aklp-task"${error ? `, error="${error}"` : ''}, scope="${scope}"`,
})

const tooMany = ({ resetsIn }: Allowance) =>
  new ApiError('rate_limited', undefined, { 'retry-after': String(resetsIn) })

/** As in the IETF's draft-ietf-httpapi-ratelimit-headers. */
const rateLimitHeaders = (policy: string, perMinute: number, { left, resetsIn }: Allowance) => ({
  'ratelimit-policy': `"${policy}";q=${perMinute};w=60`,
  ratelimit: `"${policy}";r=${Math.max(left, 0)};t=${resetsIn}`,
})
