/** Tokens: JWTs, signed by an issuer that the service trusts (RFC 7519, and RFC 8725 on how to check them). */

import { hash } from 'node:crypto'
import type { JWTPayload } from 'jose'
import { type Caller, SCOPES } from '../http/caller.js'
import { UUID } from '../http/formats.js'
import { ApiError } from '../http/problem.js'

export interface Issuer {
  issuer: string
  audience: string
  /** Where its public keys are. */
  jwksUrl: string
}

/** The token is not accepted; the message says why. */
export class RefusedToken extends Error {}

/** Signatures that need a private key: one made with a public key, or none at all, is never accepted. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']

/** For how many seconds the clocks of issuer and service may differ. */
const CLOCK_TOLERANCE = 5

/** A checked token is not checked again for this time, so that keys which the issuer withdraws go out of use. */
const REMEMBERED_MS = 5 * 60_000
/** Most of them; when there are more, all are checked again. */
const MOST_REMEMBERED = 10_000

/** jose's codes for what is wrong with a token; with any other, the keys of the issuer cannot be had. */
const refusals: Record<string, string> = {
  ERR_JWT_EXPIRED: 'The token has expired; get a new one',
  ERR_JWT_CLAIM_VALIDATION_FAILED: 'A claim of the token is missing or wrong',
  ERR_JWT_INVALID: 'The token is no JWT',
  ERR_JWS_INVALID: 'The token is no signed JWT',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'The signature of the token is not that of its issuer',
  ERR_JWKS_NO_MATCHING_KEY: 'The token is signed with a key that its issuer does not have',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'The token does not say with which key it is signed',
  ERR_JOSE_ALG_NOT_ALLOWED: 'The token is not signed with a public-key algorithm',
  ERR_JOSE_NOT_SUPPORTED: 'The token is signed in a way that is not supported',
}

export function createTokens({ issuer, audience, jwksUrl }: Issuer, now = Date.now) {
  const remembered = new Map<string, { caller: Caller; until: number }>()
  let loading: Promise<(token: string) => Promise<JWTPayload>> | undefined

  /** Loaded with the first token: a start does without. */
  async function loadVerifier() {
    const { createRemoteJWKSet, jwtVerify } = await import('jose')
    const keys = createRemoteJWKSet(new URL(jwksUrl))
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

  return {
    /** Who has a token that was checked before. */
    recall(token: string): Caller | undefined {
      const known = remembered.get(hash('sha256', token))
      return known !== undefined && known.until > now() ? known.caller : undefined
    },

    /** Checks a token. Throws {@link RefusedToken}, or an error for the caller when the issuer's keys cannot be had. */
    async verify(token: string): Promise<Caller> {
      loading ??= loadVerifier()
      const verify = await loading
      const claims = await verify(token).catch((error) => {
        if (Object.hasOwn(refusals, error.code)) {
          const claim = error.code === 'ERR_JWT_CLAIM_VALIDATION_FAILED' ? `: ${error.claim}` : ''
          throw new RefusedToken(`${refusals[error.code]}${claim}.`)
        }
        throw Object.assign(new ApiError('issuer_unavailable'), { cause: error.cause ?? error })
      })
      const caller = toCaller(claims)
      if (remembered.size >= MOST_REMEMBERED) remembered.clear()
      const until = Math.min(now() + REMEMBERED_MS, (claims.exp! + CLOCK_TOLERANCE) * 1000)
      remembered.set(hash('sha256', token), { caller, until })
      return caller
    },
  }
}

/** What the claims of a checked token allow. What is not understood allows nothing. */
function toCaller({ sub, scope, sessions }: JWTPayload): Caller {
  // As OpenID Connect bounds it; it goes into logs and into the database.
  if (!/^[\x20-\x7e]{1,255}$/.test(sub!)) {
    throw new RefusedToken('The claim sub of the token must have 1 to 255 ASCII characters.')
  }
  const given = toList(scope) ?? []
  const name = `token:${sub}`
  const scopes = SCOPES.filter((known) => given.includes(known))
  if (sessions === undefined) return { name, scopes }
  const bound = toList(sessions)
  if (bound === undefined || !bound.every((session) => UUID.test(session))) {
    throw new RefusedToken('The claim sessions of the token must be an array of UUIDs.')
  }
  return { name, scopes, sessions: bound.map((session) => session.toLowerCase()) }
}

/** A claim that is a list: an array of texts, or one text with spaces between (RFC 8693, section 4.2). */
function toList(claim: unknown): string[] | undefined {
  if (typeof claim === 'string') return claim.split(' ').filter((word) => word !== '')
  return Array.isArray(claim) && claim.every((word) => typeof word === 'string') ? claim : undefined
}
