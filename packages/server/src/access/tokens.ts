/** Tokens: JWTs signed by an issuer that the service trusts (RFC 7519; best practices in RFC 8725). */

import { hash } from 'node:crypto'
import type { JWTPayload } from 'jose'
import { type Caller, SCOPES } from '../http/caller.js'
import { UUID } from '../http/formats.js'
import { ApiError } from '../http/problem.js'
import { fetchKeys, KeysUnavailable } from './issuer-keys.js'

export interface Issuer {
  issuer: string
  audience: string
  /** The URL of its public keys. */
  jwksUrl: string
}

/** A token that is not accepted. The message is the reason, and is sent to the caller. */
export class InvalidToken extends Error {}

/** Only public-key algorithms: a token that is unsigned or signed with a shared secret is never accepted. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']

/** How many seconds the clocks of issuer and service may differ. */
const CLOCK_TOLERANCE = 5

/** How long the issuer may take to send its keys. */
const LOAD_TIMEOUT_MS = 5000

/** How long a verified token is trusted without another check. A key that the issuer revokes is rejected after that. */
const REMEMBERED_MS = 5 * 60_000
/** Most tokens that are remembered; when there are more, all are verified again. */
const MOST_REMEMBERED = 10_000

/** How often each kind of failure is logged at most: callers can cause as many as they like. */
const LOG_INTERVAL_MS = 60_000

/** jose's codes for an invalid token. */
const reasons: Record<string, string> = {
  ERR_JWT_EXPIRED: 'The token has expired. Request a new one',
  ERR_JWT_CLAIM_VALIDATION_FAILED: 'A claim of the token is missing or invalid',
  ERR_JWT_INVALID: 'The token is not a JWT',
  ERR_JWS_INVALID: 'The token is not a signed JWT',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'The signature of the token is invalid',
  ERR_JWKS_NO_MATCHING_KEY: 'The token is signed with a key that is not among the keys of its issuer',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'The token does not state which key it is signed with',
  ERR_JOSE_ALG_NOT_ALLOWED: 'The token is not signed with a public-key algorithm',
  ERR_JOSE_NOT_SUPPORTED: 'The token is signed with an unsupported method',
}

/** Its text is for a caller; the log has the reason. */
const UNUSABLE_KEY =
  'The token is signed with a key of its issuer that cannot be used, such as an RSA key with fewer than 2048 bits.'

export interface TokensOptions {
  /** Logs that the keys of the issuer cannot be loaded or used. */
  warn?: (details: { reason: string }, message: string) => void
  now?: () => number
}

export function createTokens(
  { issuer, audience, jwksUrl }: Issuer,
  { warn = () => {}, now = Date.now }: TokensOptions = {},
) {
  const remembered = new Map<string, { caller: Caller; until: number }>()
  const lastLogged = new Map<string, number>()
  let loading: Promise<(token: string) => Promise<JWTPayload>> | undefined

  /** Loaded with the first token, to start faster. */
  async function loadVerifier() {
    const { createRemoteJWKSet, customFetch, jwtVerify } = await import('jose')
    const keys = createRemoteJWKSet(new URL(jwksUrl), {
      [customFetch]: fetchKeys,
      timeoutDuration: LOAD_TIMEOUT_MS,
    })
    return async (token: string) => {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        requiredClaims: ['sub', 'exp'],
        clockTolerance: CLOCK_TOLERANCE,
        currentDate: new Date(now()),
      })
      return payload
    }
  }

  function log(message: string, { message: reason }: Error) {
    if (now() < (lastLogged.get(message) ?? -Infinity) + LOG_INTERVAL_MS) return
    lastLogged.set(message, now())
    warn({ reason }, message)
  }

  /** The error for a token that jose did not verify. */
  function toError(error: Error & { code?: string; claim?: string }): Error {
    if (error instanceof KeysUnavailable) {
      log('cannot load the keys of the token issuer', error)
      return new ApiError('issuer_unavailable')
    }
    if (error.code !== undefined && Object.hasOwn(reasons, error.code)) {
      const claim = error.code === 'ERR_JWT_CLAIM_VALIDATION_FAILED' ? `: ${error.claim}` : ''
      return new InvalidToken(`${reasons[error.code]}${claim}.`)
    }
    log('cannot use a key of the token issuer', error)
    return new InvalidToken(UNUSABLE_KEY)
  }

  return {
    /** The caller of a token that was verified before. */
    recall(token: string): Caller | undefined {
      const known = remembered.get(hash('sha256', token))
      return known !== undefined && known.until > now() ? known.caller : undefined
    },

    /** Verifies a token. Throws {@link InvalidToken}, or `issuer_unavailable` when the keys of the issuer cannot be loaded. */
    async verify(token: string): Promise<Caller> {
      loading ??= loadVerifier()
      const verify = await loading
      const claims = await verify(token).catch((error) => {
        throw toError(error)
      })
      const end = (claims.exp! + CLOCK_TOLERANCE) * 1000
      const caller = { ...toCaller(claims), until: end }
      if (remembered.size >= MOST_REMEMBERED) remembered.clear()
      const until = Math.min(now() + REMEMBERED_MS, end)
      remembered.set(hash('sha256', token), { caller, until })
      return caller
    },
  }
}

/** The caller of a verified token. An unknown scope allows nothing. */
function toCaller({ sub, scope, sessions }: JWTPayload): Caller {
  // The limits of OpenID Connect. It is stored in logs and in the database. An array or number would turn into the text of
  // another caller.
  if (typeof sub !== 'string' || !/^[\x20-\x7e]{1,255}$/.test(sub)) {
    throw new InvalidToken('The claim `sub` of the token must be a string of 1 to 255 ASCII characters.')
  }
  const given = scope === undefined ? [] : toList(scope)
  if (given === undefined) {
    throw new InvalidToken(
      'The claim `scope` of the token must be a string of scopes separated by spaces, or an array of strings.',
    )
  }
  const name = `token:${sub}`
  const scopes = SCOPES.filter((known) => given.includes(known))
  if (sessions === undefined) return { name, scopes }
  const bound = toList(sessions)
  if (bound === undefined || !bound.every((session) => UUID.test(session))) {
    throw new InvalidToken('The claim `sessions` of the token must be an array of UUIDs.')
  }
  return { name, scopes, sessions: bound.map((session) => session.toLowerCase()) }
}

/** A claim that is a list: an array of strings, or one string separated by spaces (RFC 8693, section 4.2). */
function toList(claim: unknown): string[] | undefined {
  if (typeof claim === 'string') return claim.split(' ').filter((word) => word !== '')
  return Array.isArray(claim) && claim.every((word) => typeof word === 'string') ? claim : undefined
}
