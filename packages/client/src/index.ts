export { type Client, createClient, type Session } from './client.js'
export {
  AbortError,
  AklpError,
  ConflictError,
  ConnectionError,
  DependencyCycleError,
  type ErrorCode,
  InputError,
  LeaseLostError,
  type Mistake,
  NotFoundError,
  type OpenBlocker,
  RateLimitError,
  ServerError,
  TaskBlockedError,
  TaskClaimedError,
  TimeoutError,
  UnauthorizedError,
  ValidationError,
} from './errors.js'
export type { Operations } from './generated/operations.js'
export type * from './generated/schema.js'
export type { ChangeOptions, ClientOptions, CreateOptions, RequestOptions, Retry } from './transport.js'
export type { WatchOptions } from './watch.js'
export type { WorkFunction, WorkOptions, WorkResult } from './work.js'
