/** Reads the settings from the environment and a file .env, and maps them to the options of each part. */
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import type { TSchema } from '@sinclair/typebox'
import type { ServiceOptions } from '../app.js'
import type { DatabaseOptions } from '../db/database.js'
import { isLoopback } from '../http/formats.js'
import { suggest } from '../http/suggest.js'
import { createCompiler, explain, phrase, readQuery } from '../http/validation.js'
import type { LoggerOptions } from '../telemetry/logging.js'
import { Config } from './settings.js'

/** A setting is invalid; the message names it. */
export class ConfigError extends Error {}

/** The environment variables, and those of a file .env in the working directory. The environment takes precedence. */
export function readEnvironment(): Record<string, string | undefined> {
  let file = ''
  try {
    file = readFileSync('.env', 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new ConfigError('Cannot read .env')
  }
  return { ...parseEnv(file), ...process.env }
}

/** Parses and validates the settings. An empty value counts as unset. Throws {@link ConfigError}. */
export function loadConfig(environment: Record<string, string | undefined>): Config {
  const names = Object.keys(Config.properties)
  const config: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || value === '') continue
    if (names.includes(name)) config[name] = value
    else if (name.length >= SHORTEST_MISSPELT && suggest(name, names)) {
      throw new ConfigError(`Unknown setting ${name}.${didYouMean(suggest(name, names))}`)
    }
  }
  readLists(config)
  readQuery(Config, config)
  const invalid = createCompiler([])(Config)(config)
  if (invalid !== undefined) {
    const error = explain(invalid, 1).errors[0]!
    const meant = error.did_you_mean
    throw new ConfigError(`${phrase(error)}${meant ? `.${didYouMean(meant)}` : ''}`)
  }
  const contradiction = findContradiction(config as Config)
  if (contradiction !== undefined) throw new ConfigError(contradiction)
  return config as Config
}

export const didYouMean = (name: string | undefined) => (name === undefined ? '' : ` Did you mean ${name}?`)

/** Parses lists in place: JSON, or values separated by commas. */
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

/** A contradiction between settings that are valid each by itself. */
function findContradiction(config: Config): string | undefined {
  const { AUTH, API_KEYS, JWT_ISSUER, JWT_AUDIENCE, JWT_JWKS_URL } = config
  const ofTokens = { JWT_ISSUER, JWT_AUDIENCE, JWT_JWKS_URL }
  const missing = Object.entries(ofTokens).find(([, value]) => value === undefined)?.[0]
  const given = Object.entries(ofTokens).find(([, value]) => value !== undefined)?.[0]
  if (missing && given) return `${missing} is required if ${given} is set`
  if (AUTH === 'off' && (API_KEYS.length > 0 || given)) {
    return `AUTH=off turns authentication off, but ${given ?? 'API_KEYS'} is set. Remove one of them`
  }
  for (const field of ['name', 'hash'] as const) {
    const values = API_KEYS.map((key) => key[field])
    const twice = values.findIndex((value, i) => values.indexOf(value) !== i)
    if (twice !== -1) return `API_KEYS[${twice}].${field} is already used by another key`
  }
  return undefined
}

/**
 * A misspelt name is an error: with DATABSE_URL, the service would write into a folder and nobody would notice. Shorter
 * names are ignored, since too many variables of other programs resemble them.
 */
const SHORTEST_MISSPELT = 8

export const databaseOptions = (config: Config): Omit<DatabaseOptions, 'onWait' | 'onNotice'> => ({
  poolSize: config.DATABASE_POOL_SIZE,
  statementTimeout: config.STATEMENT_TIMEOUT_MS,
  lockTimeout: config.LOCK_TIMEOUT_MS,
  startTimeout: config.DATABASE_START_TIMEOUT_MS,
})

export function serviceOptions(config: Config): ServiceOptions {
  const { JWT_ISSUER, JWT_AUDIENCE, JWT_JWKS_URL, RATE_LIMIT_PER_MINUTE, OTEL_EXPORTER_OTLP_ENDPOINT } =
    config
  return {
    authentication: {
      keys: config.API_KEYS,
      ...(JWT_ISSUER !== undefined && {
        issuer: { issuer: JWT_ISSUER, audience: JWT_AUDIENCE!, jwksUrl: JWT_JWKS_URL! },
      }),
      ...(RATE_LIMIT_PER_MINUTE !== undefined && { perMinute: RATE_LIMIT_PER_MINUTE }),
    },
    localNamesOnly: !isAuthConfigured(config),
    corsOrigins: config.CORS_ORIGINS,
    trustedProxies: config.TRUSTED_PROXIES,
    requestTimeout: config.REQUEST_TIMEOUT_MS,
    poolSize: config.DATABASE_POOL_SIZE,
    idempotencyKeyDays: config.IDEMPOTENCY_KEY_DAYS,
    eventDays: config.EVENT_DAYS,
    docs: config.DOCS === 'on',
    metrics: config.METRICS === 'on',
    mcp: config.MCP === 'on',
    ...(OTEL_EXPORTER_OTLP_ENDPOINT !== undefined && { traceEndpoint: OTEL_EXPORTER_OTLP_ENDPOINT }),
  }
}

export const loggerOptions = ({ LOG_LEVEL, LOG_FORMAT }: Config): LoggerOptions => ({
  level: LOG_LEVEL,
  ...(LOG_FORMAT !== undefined && { format: LOG_FORMAT }),
})

/** Throws {@link ConfigError} unless authentication is configured or explicitly off. */
export function assertAuthConfigured(config: Config) {
  if (isAuthConfigured(config)) return
  throw new ConfigError(`No authentication is configured. ${HOW_TO_CONFIGURE}`)
}

/** The same for a server of its own, where authentication is optional on a loopback address. */
export function assertNotExposed(config: Config) {
  if (isAuthConfigured(config) || isLoopback(config.HOST)) return
  throw new ConfigError(
    `HOST=${config.HOST} is reachable from other machines, but no authentication is configured. ${HOW_TO_CONFIGURE}`,
  )
}

const isAuthConfigured = ({ AUTH, API_KEYS, JWT_ISSUER }: Config) =>
  AUTH === 'off' || API_KEYS.length > 0 || JWT_ISSUER !== undefined

const HOW_TO_CONFIGURE =
  'Create a key with "aklp-task-server key --name NAME" and add it to API_KEYS, or set AUTH=off if everyone on the network is trusted'
