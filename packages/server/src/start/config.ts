/** The settings: from the environment, and from a file .env in the working directory where the environment has none. */
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { ApiKey } from '../access/keys.js'
import { Defaulted, OneOf } from '../http/schemas.js'
import { suggest } from '../http/suggest.js'
import { createCompiler, explain, phrase, readIntegers } from '../http/validation.js'

const milliseconds = (value: number, description: string, minimum = 1) =>
  Defaulted(Type.Integer({ minimum, maximum: 3_600_000, default: value, description }))

/** Every setting, under the name of its environment variable. */
const Config = Type.Object({
  HOST: Defaulted(
    Type.String({
      minLength: 1,
      default: '127.0.0.1',
      description: 'The address to listen on; 0.0.0.0 for every one.',
    }),
  ),
  PORT: Defaulted(
    Type.Integer({
      minimum: 0,
      maximum: 65_535,
      default: 8001,
      description: 'The port to listen on; 0 for a free one.',
    }),
  ),
  DATABASE_URL: Defaulted(
    Type.String({
      minLength: 1,
      default: 'file:aklp-data',
      description:
        'Where the data is: `postgres://user:password@host/database`, `file:folder` for the embedded database in a folder, `memory://` for one that is gone when the service stops.',
    }),
  ),
  DATABASE_POOL_SIZE: Defaulted(
    Type.Integer({ minimum: 1, maximum: 1000, default: 10, description: 'Most connections to PostgreSQL.' }),
  ),
  DATABASE_START_TIMEOUT_MS: milliseconds(30_000, 'How long to wait at start for a database that is away.'),
  STATEMENT_TIMEOUT_MS: milliseconds(10_000, 'After which time PostgreSQL cancels a statement.'),
  LOCK_TIMEOUT_MS: milliseconds(
    5_000,
    'How long a statement of PostgreSQL waits for one that holds its rows.',
  ),
  REQUEST_TIMEOUT_MS: milliseconds(15_000, 'After which time a request is answered with 503.'),
  SHUTDOWN_DELAY_MS: milliseconds(
    0,
    'How long to go on answering after SIGTERM, with /readyz at 503, until every balancer has seen that.',
    0,
  ),
  SHUTDOWN_TIMEOUT_MS: milliseconds(10_000, 'How long requests in flight may take at shutdown.'),
  AUTH: Type.Optional(
    OneOf(['off'], {
      description:
        '`off` where everybody on the network is trusted. Unset, callers need a key or token; without any set, the service listens on this machine only.',
    }),
  ),
  API_KEYS: Defaulted(
    Type.Array(ApiKey, {
      default: [],
      description: 'The keys, as a JSON array; the command `key` makes one.',
    }),
  ),
  JWT_ISSUER: Type.Optional(Type.String({ description: 'Who issues tokens, as their claim `iss` says.' })),
  JWT_AUDIENCE: Type.Optional(
    Type.String({ description: 'For whom tokens must be, as their claim `aud` says.' }),
  ),
  JWT_JWKS_URL: Type.Optional(
    Type.String({ format: 'private-url', description: 'Where the issuer’s public keys are.' }),
  ),
  RATE_LIMIT_PER_MINUTE: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description: 'Most requests of a caller in a minute; any number unless set.',
    }),
  ),
  CORS_ORIGINS: Defaulted(
    Type.Array(Type.String({ format: 'origin' }), {
      default: [],
      description: 'Origins whose pages may call the service, with commas between.',
    }),
  ),
  TRUSTED_PROXIES: Defaulted(
    Type.Array(Type.String({ format: 'network' }), {
      default: [],
      description: 'Addresses whose X-Forwarded-For is believed, with commas between.',
    }),
  ),
  DOCS: Defaulted(
    OneOf(['on', 'off'], { default: 'on', description: 'Whether /docs and /openapi.json are there.' }),
  ),
  METRICS: Defaulted(
    OneOf(['on', 'off'], { default: 'on', description: 'Whether /metrics is there, for Prometheus.' }),
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(
    Type.String({
      format: 'http-url',
      description: 'Where traces go: a collector of OpenTelemetry, by OTLP over HTTP. Unset, there are none.',
    }),
  ),
  IDEMPOTENCY_KEY_DAYS: Defaulted(
    Type.Integer({
      minimum: 1,
      maximum: 365,
      default: 7,
      description: 'For how many days an Idempotency-Key is remembered.',
    }),
  ),
  LOG_LEVEL: Defaulted(
    OneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      default: 'info',
      description: 'The least level that is logged.',
    }),
  ),
  LOG_FORMAT: Type.Optional(
    OneOf(['json', 'pretty'], {
      description: 'The form of the logs; pretty on a terminal and json elsewhere unless set.',
    }),
  ),
})
export type Config = Static<typeof Config>

/** A setting is wrong; the message names it. */
export class ConfigError extends Error {}

/** The environment of the process over what a file .env in the working directory says. */
export function readEnvironment(): Record<string, string | undefined> {
  let file = ''
  try {
    file = readFileSync('.env', 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new ConfigError('.env cannot be read')
  }
  return { ...parseEnv(file), ...process.env }
}

/** Reads and checks the settings; an empty value counts as not set. Throws {@link ConfigError}. */
export function loadConfig(environment: Record<string, string | undefined>): Config {
  const names = Object.keys(Config.properties)
  const config: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || value === '') continue
    if (names.includes(name)) config[name] = value
    else if (name.length >= SHORTEST_MISSPELT && suggest(name, names)) {
      throw new ConfigError(`${name} is no setting; did you mean ${suggest(name, names)}?`)
    }
  }
  readIntegers(Config, config)
  readLists(config)
  const check = createCompiler([])(Config)
  if (!check(config)) {
    const error = explain(check, 1).errors[0]!
    const meant = error.did_you_mean
    throw new ConfigError(`${phrase(error)}${meant ? `; did you mean ${meant}?` : ''}`)
  }
  const contradiction = findContradiction(config as Config)
  if (contradiction !== undefined) throw new ConfigError(contradiction)
  return config as Config
}

/** Reads lists in place: JSON, or texts with commas between. */
function readLists(config: Record<string, unknown>) {
  for (const [name, property] of Object.entries<TSchema>(Config.properties)) {
    const text = config[name]
    if (property.type !== 'array' || typeof text !== 'string') continue
    try {
      config[name] = text.trimStart().startsWith('[')
        ? JSON.parse(text)
        : text.split(',').map((item) => item.trim())
    } catch {
      throw new ConfigError(`${name} is not valid JSON`)
    }
  }
}

/** What is wrong between settings of which each is right. */
function findContradiction(config: Config): string | undefined {
  const { AUTH, API_KEYS, JWT_ISSUER, JWT_AUDIENCE, JWT_JWKS_URL } = config
  const ofTokens = { JWT_ISSUER, JWT_AUDIENCE, JWT_JWKS_URL }
  const missing = Object.entries(ofTokens).find(([, value]) => value === undefined)?.[0]
  const given = Object.entries(ofTokens).find(([, value]) => value !== undefined)?.[0]
  if (missing && given) return `${missing} must be set, since ${given} is`
  if (AUTH === 'off' && (API_KEYS.length > 0 || given)) {
    return `AUTH=off lets everybody in, whatever ${given ?? 'API_KEYS'} says: set one or the other`
  }
  for (const field of ['name', 'hash'] as const) {
    const values = API_KEYS.map((key) => key[field])
    const twice = values.findIndex((value, i) => values.indexOf(value) !== i)
    if (twice !== -1) return `API_KEYS[${twice}].${field} is that of another key`
  }
  return undefined
}

/**
 * A variable whose name is nearly that of a setting stops the start: a misspelt DATABASE_URL would quietly write
 * into a folder. Short names are left alone; too many others are near to them.
 */
const SHORTEST_MISSPELT = 8
