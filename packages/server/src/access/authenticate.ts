/** Authentication, scopes and the rate limit. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { anonymous, type Caller, type Scope } from '../http/caller.js'
import { ApiError } from '../http/problem.js'
import { type ApiKey, createKeyring } from './keys.js'
import { type Allowance, createLimit } from './rate-limit.js'
import { createTokens, InvalidToken, type Issuer } from './tokens.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** With `any`, the route needs a key or token, but no scope: the calls that it makes with it need theirs. */
    scope?: 'any'
  }
}

export interface AuthenticateOptions {
  /** The keys that are accepted. Without any, and without an issuer, every caller is let in. */
  keys: readonly ApiKey[]
  /** The issuer whose tokens are accepted. */
  issuer?: Issuer
  /** The most requests of a caller in a minute, in this process. Unlimited if absent. */
  perMinute?: number
}

/** Failed authentications a minute from one address until it gets 429. Keys cannot be guessed: this slows down loops. */
const FAILURES_PER_MINUTE = 60

/** The scope that a request needs. */
const scopeFor = (method: string): Scope =>
  method === 'GET' || method === 'HEAD' ? 'tasks:read' : 'tasks:write'

/** Requires authentication on every route that is registered after it in the same context. */
export const authenticate = fp<AuthenticateOptions>(
  async (api, { keys, issuer, perMinute }) => {
    api.addHook('onRoute', (route) => {
      route.schema = { security: [{ bearer: [scopeFor([route.method].flat()[0]!)] }], ...route.schema }
    })
    const limit = perMinute === undefined ? undefined : createLimit(perMinute)
    /** Counts a request, and returns the error if there were too many. */
    const count = (key: string, reply: FastifyReply): ApiError | undefined => {
      if (!limit) return undefined
      const allowance = limit(key)
      reply.headers(rateLimitHeaders('requests', perMinute!, allowance))
      return allowance.left < 0 ? tooMany(allowance) : undefined
    }

    if (keys.length === 0 && issuer === undefined) {
      api.decorateRequest('caller', { getter: () => anonymous })
      if (limit) api.addHook('onRequest', (request, reply, done) => done(count(request.ip, reply)))
      return
    }

    const ownerOf = createKeyring(keys)
    const tokens = issuer && createTokens(issuer, { warn: (...line) => api.log.warn(...line) })
    const failures = createLimit(FAILURES_PER_MINUTE)

    api.decorateRequest('caller')
    api.addHook('onRequest', (request, reply, done) => {
      const scope = scopeFor(request.method)
      const admit = (caller: Caller) => {
        request.caller = caller
        const error = count(caller.name, reply)
        const isAllowed = request.routeOptions.config.scope === 'any' || caller.scopes.includes(scope)
        done(error ?? (isAllowed ? undefined : forbidden(scope)))
      }
      const reject = (detail?: string) => {
        const allowance = failures(request.ip)
        if (allowance.left >= 0) return done(unauthorized(scope, detail))
        reply.headers(rateLimitHeaders('failures', FAILURES_PER_MINUTE, allowance))
        done(tooMany(allowance))
      }

      const credential = credentialOf(request)
      if (credential === undefined) return reject()
      const known = ownerOf(credential) ?? tokens?.recall(credential)
      if (known !== undefined) return admit(known)
      if (tokens === undefined || !credential.includes('.')) return reject(UNKNOWN)
      tokens.verify(credential).then(admit, (error) => {
        if (error instanceof InvalidToken) reject(error.message)
        else done(error)
      })
    })
  },
  { name: 'authenticate' },
)

const UNKNOWN = 'The key is unknown. Check that it is complete and belongs to this service.'

/** The key or token of a request (RFC 6750, section 2.1); in the URL it would be logged. */
const credentialOf = ({ headers }: FastifyRequest) =>
  /^Bearer +([\w.~+/-]+=*) *$/i.exec(headers.authorization ?? '')?.[1]

// A request without a key gets a challenge without an error code (RFC 6750, section 3.1).
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
