/**
 * The settings, under the names of their environment variables. The table in docs/configuration.md and .env.example are
 * generated from here: run `pnpm generate` after a change.
 */
import { type Static, Type } from '@sinclair/typebox'
import { ApiKey } from '../access/keys.js'
import { Defaulted, OneOf } from '../http/schemas.js'

const milliseconds = (value: number, description: string, minimum = 1) =>
  Defaulted(Type.Integer({ minimum, maximum: 3_600_000, default: value, description }))

export const Config = Type.Object({
  HOST: Defaulted(
    Type.String({
      minLength: 1,
      default: '127.0.0.1',
      description:
        'The address to listen on; `0.0.0.0` for all. Any address that is not loopback requires keys, a token issuer or `AUTH=off`.',
    }),
  ),
  PORT: Defaulted(
    Type.Integer({
      minimum: 0,
      maximum: 65_535,
      default: 8001,
      description: 'The port to listen on; `0` for any free port.',
    }),
  ),
  DATABASE_URL: Defaulted(
    Type.String({
      minLength: 1,
      default: 'file:aklp-data',
      description:
        'The database: `postgres://user:password@host/database` (PostgreSQL), `file:folder` (embedded, stored in a folder) or `memory://` (embedded, lost when the service stops).',
    }),
  ),
  DATABASE_POOL_SIZE: Defaulted(
    Type.Integer({
      minimum: 1,
      maximum: 1000,
      default: 10,
      description: 'The maximum number of connections to PostgreSQL.',
    }),
  ),
  DATABASE_START_TIMEOUT_MS: milliseconds(
    30_000,
    'How long to wait for an unreachable database at start, in milliseconds.',
  ),
  STATEMENT_TIMEOUT_MS: milliseconds(
    10_000,
    'The timeout of a PostgreSQL statement, in milliseconds. The request returns 503.',
  ),
  LOCK_TIMEOUT_MS: milliseconds(
    5_000,
    'How long a PostgreSQL statement waits for a row lock, in milliseconds. The request returns 503.',
  ),
  REQUEST_TIMEOUT_MS: milliseconds(
    15_000,
    'The timeout of a request, in milliseconds. The request returns 503.',
  ),
  SHUTDOWN_DELAY_MS: milliseconds(
    0,
    'How long to keep accepting requests after SIGTERM, in milliseconds. Meanwhile `/readyz` returns 503, so that load balancers stop sending requests.',
    0,
  ),
  SHUTDOWN_TIMEOUT_MS: milliseconds(
    10_000,
    'How long requests in flight may take at shutdown, in milliseconds.',
  ),
  AUTH: Type.Optional(
    OneOf(['off'], {
      description:
        'Set to `off` if everyone on the network is trusted. If unset, callers need a key or token; if neither is configured, the service listens on loopback only, requires none, and can be called only as `localhost` or by its IP address.',
    }),
  ),
  API_KEYS: Defaulted(
    Type.Array(ApiKey, {
      default: [],
      description:
        'The accepted keys, as a JSON array. The command `key --name NAME` creates a key and prints its entry.',
    }),
  ),
  JWT_ISSUER: Type.Optional(
    Type.String({
      description:
        'The issuer of accepted tokens (claim `iss`). Set all three `JWT_` settings or none of them.',
    }),
  ),
  JWT_AUDIENCE: Type.Optional(
    Type.String({ description: 'The audience that tokens must have (claim `aud`).' }),
  ),
  JWT_JWKS_URL: Type.Optional(
    Type.String({ format: 'private-url', description: 'The URL of the issuer’s public keys (JWKS).' }),
  ),
  RATE_LIMIT_PER_MINUTE: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description:
        'The maximum number of requests a minute from one caller to one process. Without authentication, each address is a caller. Unlimited if unset.',
    }),
  ),
  CORS_ORIGINS: Defaulted(
    Type.Array(Type.String({ format: 'origin' }), {
      default: [],
      description:
        'Origins whose web pages may call the service, separated by commas, such as `https://app.example.com`.',
    }),
  ),
  TRUSTED_PROXIES: Defaulted(
    Type.Array(Type.String({ format: 'network' }), {
      default: [],
      description:
        'Proxies whose `X-Forwarded-For` is trusted: addresses or networks, separated by commas, such as `10.0.0.0/8`.',
    }),
  ),
  DOCS: Defaulted(
    OneOf(['on', 'off'], {
      default: 'on',
      description:
        'Whether to serve the page for people at `/`, `/docs` and `/openapi.json`. They require no key, but the tasks that the page shows do.',
    }),
  ),
  METRICS: Defaulted(
    OneOf(['on', 'off'], {
      default: 'on',
      description: 'Whether to serve `/metrics` for Prometheus. It requires no key.',
    }),
  ),
  MCP: Defaulted(
    OneOf(['on', 'off'], {
      default: 'on',
      description: 'Whether to serve the tools for models at `/mcp`, over the Model Context Protocol.',
    }),
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(
    Type.String({
      format: 'http-url',
      description:
        'The URL of an OpenTelemetry collector that receives traces by OTLP over HTTP, such as `http://collector:4318`. If unset, there are no traces.',
    }),
  ),
  IDEMPOTENCY_KEY_DAYS: Defaulted(
    Type.Integer({
      minimum: 1,
      maximum: 365,
      default: 7,
      description: 'How many days an `Idempotency-Key` is remembered.',
    }),
  ),
  EVENT_DAYS: Defaulted(
    Type.Integer({
      minimum: 0,
      maximum: 3650,
      default: 30,
      description:
        'How many days events are kept. With `0`, none are written: no history, no notes, and deleted tasks cannot be restored.',
    }),
  ),
  LOG_LEVEL: Defaulted(
    OneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      default: 'info',
      description: 'The lowest level to log: `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`.',
    }),
  ),
  LOG_FORMAT: Type.Optional(
    OneOf(['json', 'pretty'], {
      description: '`json` or `pretty`. If unset, `pretty` on a terminal and `json` elsewhere.',
    }),
  ),
})
export type Config = Static<typeof Config>
