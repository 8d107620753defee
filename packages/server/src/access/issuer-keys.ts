/** Loads the public keys of a token issuer (JWKS, RFC 7517), within bounds: whatever the issuer sends, the service goes on. */

/** Most bytes of a response; the keys of large issuers have some 20 kB. */
const MAX_BYTES = 256 * 1024
/** Most keys: all of them are compared with each new token. */
const MAX_KEYS = 1000

/** The keys cannot be loaded; the message is the reason, for the log. */
export class KeysUnavailable extends Error {}

/** `fetch` for jose. Returns only a response that is a set of keys. Throws {@link KeysUnavailable}. */
export async function fetchKeys(url: string, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(url, init)
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new Error(`the response has the status ${response.status}`)
    }
    const set = JSON.parse(await readBounded(response))
    if (!isKeySet(set)) throw new Error('the response is not a JSON Web Key Set')
    if (set.keys.length > MAX_KEYS) throw new Error(`the response has more than ${MAX_KEYS} keys`)
    return Response.json(set)
  } catch (error) {
    // fetch wraps the error of the connection, which has no message if there were several addresses.
    const { message, code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException
    throw new KeysUnavailable(message || code)
  }
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > MAX_BYTES) throw new Error(`the response has more than ${MAX_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value)

const isKeySet = (set: unknown): set is { keys: object[] } =>
  isObject(set) &&
  Array.isArray((set as { keys?: unknown }).keys) &&
  (set as { keys: unknown[] }).keys.every(isObject)
