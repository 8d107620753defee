import { sql } from 'drizzle-orm'
import { pino } from 'pino'
import t from 'tap'
import { buildApp } from '../src/app.js'
import { joined, type StoreDb } from '../src/db/database.js'
import { toLoggedError } from '../src/db/failures.js'
import { ApiError } from '../src/http/problem.js'
import { loadConfig, serviceOptions } from '../src/start/config.js'
import { onEachDatabase } from './support.js'

/** Creates a task with a secret title, and returns the response and the log lines of the error. */
async function createSecret(db: StoreDb) {
  const lines: string[] = []
  const app = await buildApp({
    database: { db, ping: () => Promise.resolve() },
    ...serviceOptions(loadConfig({})),
    logger: pino({ level: 'error' }, { write: (line) => lines.push(line) }),
  })
  const response = await app.inject({ method: 'POST', url: '/api/v1/tasks', payload: { title: 'secret' } })
  await app.close()
  return { response, log: lines.join('') }
}

t.test('an unexpected error is logged with its type, message and stack, and not returned', async (t) => {
  const run = async () => (undefined as unknown as { rows: object[] }).rows
  const { response, log } = await createSecret(joined(run))
  t.equal(response.statusCode, 500)
  t.match(response.json(), { error_code: 'internal_error' })
  t.notMatch(response.body, /rows|TypeError|errors\.suite/)
  const { error_code, error } = JSON.parse(log)
  t.equal(error_code, 'internal_error')
  t.match(error, {
    type: 'TypeError',
    message: "Cannot read properties of undefined (reading 'rows')",
    stack: /errors\.suite/,
  })
})

t.test('an error needs a detail unless the catalogue has a fixed one', (t) => {
  t.match(new ApiError('task_not_found').message, /^No task has this id/)
  t.equal(new ApiError('method_not_allowed', 'PATCH is not allowed.').message, 'PATCH is not allowed.')
  const refused = () => [
    // @ts-expect-error
    new ApiError('method_not_allowed'),
    // @ts-expect-error
    new ApiError('validation_error'),
    // @ts-expect-error
    new ApiError('forbidden', undefined, {}),
  ]
  t.type(refused, 'function')
  t.end()
})

onEachDatabase(async (t, { database: { db } }) => {
  await t.test('an error of the database is logged without SQL and values, and not returned', async (t) => {
    await db.execute(sql`alter table tasks add constraint no_secrets check (title <> 'secret')`)
    const { response, log } = await createSecret(db)
    t.equal(response.statusCode, 500)
    t.notMatch(response.body, /secret|no_secrets|insert/)
    t.strictSame(JSON.parse(log).error, {
      type: 'PostgresError',
      code: '23514',
      message: 'new row for relation "tasks" violates check constraint "no_secrets"',
    })
    t.notMatch(log.replace('no_secrets', ''), /secret|insert|select/)
  })

  await t.test(
    'an error that Drizzle wraps, or that quotes a value, is logged without the value',
    async (t) => {
      const failed = await db.execute(sql`select ${'secret'}::uuid`).catch((error: Error) => error)
      t.match((failed as Error).message, /secret/)
      t.strictSame(toLoggedError(failed), {
        type: 'PostgresError',
        code: '22P02',
        message: 'invalid input syntax for type uuid: "…"',
      })
    },
  )
})
