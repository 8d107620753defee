/** Keys: long random texts that a caller keeps to itself. The service knows only their SHA-256. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { type Caller, SCOPES } from '../http/caller.js'
import { OneOf, Strict, Text } from '../http/schemas.js'

/** What the service knows of a key. */
export const ApiKey = Strict({
  name: Text(64, 'Who has it; unique among the keys.', 'teacher', { minLength: 1, pattern: '\\S' }),
  hash: Type.String({ format: 'sha256', description: 'Its SHA-256.' }),
  scopes: Type.Array(OneOf(SCOPES), { description: 'What it allows.' }),
  sessions: Type.Optional(
    Type.Array(Type.String({ format: 'uuid' }), {
      description: 'The sessions that it is bound to; every one, and what is in none, unless given.',
    }),
  ),
})
export type ApiKey = Static<typeof ApiKey>

/** A new key. 256 random bits cannot be guessed, and so need no slow hash; scanners for secrets know it by its prefix. */
export const makeKey = () => `aklp_${randomBytes(32).toString('base64url')}`

export const hashKey = (key: string) => hash('sha256', key)

/** Finds who has a key. */
export function createKeyring(keys: readonly ApiKey[]): (key: string) => Caller | undefined {
  const known = keys.map(({ name, hash, scopes, sessions }) => ({
    digest: Buffer.from(hash, 'hex'),
    caller: {
      // Nobody gets the name of a key by a token, nor the other way.
      name: `key:${name}`,
      scopes,
      ...(sessions && { sessions: sessions.map((session) => session.toLowerCase()) }),
    },
  }))
  return (key) => {
    const digest = hash('sha256', key, 'buffer')
    let found: Caller | undefined
    // All are compared, each in the same time: how long it takes tells nothing.
    for (const { digest: other, caller } of known) if (timingSafeEqual(digest, other)) found = caller
    return found
  }
}
