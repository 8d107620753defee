/** The formats of strings in schemas, and their messages. */
import { isIP, isIPv4 } from 'node:net'
import { toTimestamp } from './timestamp.js'

export const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export const formats = {
  uuid: UUID,
  'date-time': { type: 'string', validate: (text: string) => toTimestamp(text) !== undefined },
  'idempotency-key': /^(?:[\x21\x23-\x7e][\x21-\x7e]{0,254}|"(?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255}")$/,
  'entity-tags': /^ *(?:\*|(?:W\/)?"[^"]*"(?: *, *(?:W\/)?"[^"]*")*) *$/,
  text: { type: 'string', validate: (text: string) => text.isWellFormed() && !text.includes('\0') },
  key: /^[A-Za-z0-9_.-]{1,64}$/,
  event: /^[0-9a-f]{24}$/,
  // Formats of settings.
  sha256: /^[0-9a-f]{64}$/,
  origin: { type: 'string', validate: (text: string) => URL.canParse(text) && new URL(text).origin === text },
  'private-url': { type: 'string', validate: isPrivate },
  'http-url': { type: 'string', validate: isHttp },
  network: { type: 'string', validate: isNetwork },
} as const

/** A URL whose traffic nobody on the network can read or change. fetch takes no URL with a password, and names it in its error. */
function isPrivate(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, username, password } = new URL(text)
  if (username !== '' || password !== '') return false
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))
}

function isHttp(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}

/** An IP address, or a range such as `10.0.0.0/8`. */
function isNetwork(text: string): boolean {
  const [address, bits, ...more] = text.split('/')
  const version = isIP(address!)
  const most = version === 4 ? 32 : 128
  return (
    version !== 0 && more.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && +bits <= most))
  )
}

/** Whether a host is this machine. */
export const isLoopback = (host: string) =>
  host === 'localhost' || host === '::1' || host === '[::1]' || (isIPv4(host) && host.startsWith('127.'))

export const formatMessages = {
  uuid: 'must be a UUID such as 550e8400-e29b-41d4-a716-446655440001',
  'date-time':
    'must be an existing time such as 2025-12-31T09:00:00Z or 2025-12-31T18:00:00+09:00, or an existing date such as 2025-12-31',
  'idempotency-key': 'must be 1 to 255 visible ASCII characters without spaces',
  'entity-tags':
    'must be the updated_at of the task in double quotes, such as "2025-12-06T10:00:00.000Z", or *',
  key: 'must be 1 to 64 characters of A-Z, a-z, 0-9, _, . and -',
  event: 'must be the next of a page of events, or the id of an event',
  text: 'must not contain NUL characters or unpaired surrogates',
  sha256: 'must be a SHA-256 as 64 hexadecimal digits in lower case',
  origin: 'must be an origin such as https://app.example.com, without a path',
  'private-url': 'must be a URL that begins with https:// and contains no user or password',
  'http-url': 'must be a URL such as http://collector:4318',
  network: 'must be an address such as 10.1.2.3 or a range such as 10.0.0.0/8',
}
