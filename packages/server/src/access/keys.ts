/** API keys: long random strings that a caller keeps secret. The service stores only their SHA-256. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { type Caller, SCOPES } from '../http/caller.js'
import { OneOf, Strict, Text } from '../http/schemas.js'

/** An API key as the service stores it. */
export const ApiKey = Strict({
  name: Text(64, 'The name of its owner, unique among the keys.', 'teacher', {
    minLength: 1,
    pattern: '\\S',
  }),
  hash: Type.String({ format: 'sha256', description: 'The SHA-256 of the key.' }),
  scopes: Type.Array(OneOf(SCOPES), { description: 'The scopes that it grants.' }),
  sessions: Type.Optional(
    Type.Array(Type.String({ format: 'uuid' }), {
      description:
        'The sessions that it has access to; all sessions, and tasks without a session, if not set.',
    }),
  ),
})
export type ApiKey = Static<typeof ApiKey>

/** A new key. 256 random bits cannot be guessed, so a fast hash is enough. Secret scanners detect the prefix. */
export const makeKey = () => `aklp_${randomBytes(32).toString('base64url')}`

export const hashKey = (key: string) => hash('sha256', key)

/** Finds the caller of a key. */
export function createKeyring(keys: readonly ApiKey[]): (key: string) => Caller | undefined {
  const known = keys.map(({ name, hash, scopes, sessions }) => ({
    digest: Buffer.from(hash, 'hex'),
    caller: {
      // The prefix prevents a token from having the name of a key, and the reverse.
      name: `key:${name}`,
      scopes,
      ...(sessions && { sessions: sessions.map((session) => session.toLowerCase()) }),
    },
  }))
  return (key) => {
    const digest = hash('sha256', key, 'buffer')
    let found: Caller | undefined
    // All keys are compared, each in constant time, so that the duration reveals nothing.
    for (const { digest: other, caller } of known) if (timingSafeEqual(digest, other)) found = caller
    return found
  }
}
