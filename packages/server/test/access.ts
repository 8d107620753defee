/** API keys for the tests of authentication. */
import { hashKey, makeKey } from '../src/access/keys.js'

export const key = makeKey()
export const entry = { name: 'teacher', hash: hashKey(key), scopes: ['tasks:read', 'tasks:write'] }
export const reader = makeKey()
export const readerEntry = { name: 'reader', hash: hashKey(reader), scopes: ['tasks:read'] }
/** Settings with both keys. */
export const withKeys = { API_KEYS: JSON.stringify([entry, readerEntry]) }

/** The options of a call with an API key or a token. */
export const bearer = (credential: string, headers = {}) => ({
  headers: { authorization: `Bearer ${credential}`, ...headers },
})
