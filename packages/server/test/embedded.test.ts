import fs, { mkdirSync, renameSync, rmSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openDatabase } from '../src/db/open.js'
import { newFolder, type ServerProcess, send, startServer, until } from './process.js'
import { createApi, options } from './support.js'

const create = async (base: string) =>
  (await send(base, 'POST', '/api/v1/tasks', { title: 'kept' })).body.id as string
const status = async (base: string, id: string) => (await send(base, 'GET', `/api/v1/tasks/${id}`)).status

t.test('a second process cannot use a folder, even if its lock file was removed', async (t) => {
  const folder = join(newFolder(t), 'data')
  const settings = { DATABASE_URL: `file:${folder}` }
  const first = startServer(t, settings)
  const base = await first.listening()
  const before = await create(base)

  for (let time = 0; time < 2; time++) {
    rmSync(join(folder, 'lock'))
    const second = startServer(t, settings)
    await until('it exits or listens', () => second.child.exitCode !== null || second.output.stdout !== '')
    t.equal(second.output.stdout, '', 'it does not listen')
    second.child.kill()
    t.same(await second.ended, { code: 1, signal: null })
    t.equal(
      second.output.stderr,
      `aklp-task-server: the database folder ${folder} is in use by another process. Stop that process, or set DATABASE_URL=file:another-folder\n`,
    )
  }

  const after = await create(base)
  first.child.kill('SIGKILL')
  await first.ended
  const restarted = await startServer(t, settings).listening()
  for (const id of [before, after]) t.equal(await status(restarted, id), 200, 'an acknowledged create exists')
})

/** Every call returns 503 for the database, and the log says why. */
async function isUnavailable(t: Test, server: ServerProcess, base: string, id: string, reason: RegExp) {
  for (const [method, path, body] of [
    ['GET', `/api/v1/tasks/${id}`],
    ['GET', '/api/v1/batches/latest'],
    ['POST', '/api/v1/tasks', { title: 'lost' }],
    ['PUT', `/api/v1/tasks/${id}`, { title: 'lost' }],
    ['GET', '/readyz'],
  ] as const) {
    const answer = await send(base, method, path, body)
    t.match(answer.body, { status: 503, error_code: 'database_unavailable' }, `${method} ${path}`)
  }
  const failed = () => server.logs().filter(({ msg }) => msg === 'request failed')
  await until('the failures are logged', () => failed().length >= 4)
  for (const { error } of failed()) t.match(error.message, reason)
}

t.test('when the folder is deleted, calls return 503 and the log names it', async (t) => {
  const folder = join(newFolder(t), 'data')
  const server = startServer(t, { DATABASE_URL: `file:${folder}` })
  const base = await server.listening()
  const id = await create(base)
  rmSync(folder, { recursive: true })
  await isUnavailable(t, server, base, id, new RegExp(`${folder} was deleted or replaced`))
  t.equal((await fetch(`${base}/livez`)).status, 200)
  server.child.kill('SIGTERM')
  t.same(await server.ended, { code: 0, signal: null })
  t.equal(server.output.stderr, '')
})

t.test(
  'when the folder is moved, calls return 503 until it is back, and its new place is untouched',
  async (t) => {
    const parent = newFolder(t)
    const [folder, moved] = [join(parent, 'data'), join(parent, 'moved')]
    const settings = { DATABASE_URL: `file:${folder}` }
    const first = startServer(t, settings)
    const base = await first.listening()
    const id = await create(base)
    renameSync(folder, moved)

    const second = startServer(t, settings)
    const other = await second.listening()
    const kept = await create(other)
    await isUnavailable(t, first, base, id, new RegExp(`${folder} was deleted or replaced`))
    second.child.kill('SIGKILL')
    await second.ended

    renameSync(folder, join(parent, 'second'))
    renameSync(moved, folder)
    t.equal(await status(base, id), 200, 'its own folder is back')
    const later = await create(base)

    renameSync(folder, moved)
    renameSync(join(parent, 'second'), folder)
    first.child.kill('SIGTERM')
    t.same(await first.ended, { code: 0, signal: null })
    const third = await startServer(t, settings).listening()
    t.equal(await status(third, kept), 200, 'the first server wrote nothing here when it stopped')
    const fourth = await startServer(t, { DATABASE_URL: `file:${moved}` }).listening()
    t.equal(await status(fourth, later), 200)
  },
)

t.test('on a nearly full disk, calls that read succeed and calls that write return 503', async (t) => {
  const { statfsSync } = fs
  const setFree = (megabytes?: number) => {
    const statfs = (...given: Parameters<typeof statfsSync>) => ({
      ...statfsSync(...given),
      bavail: megabytes,
      bsize: 2 ** 20,
    })
    fs.statfsSync = megabytes === undefined ? statfsSync : (statfs as typeof statfsSync)
    syncBuiltinESMExports()
  }
  t.teardown(() => setFree())
  const folder = join(newFolder(t), 'data')
  mkdirSync(folder)
  const database = await openDatabase(`file:${folder}`, options)
  const { call, plan, app } = await createApi(database)
  t.teardown(async () => {
    await app.close()
    await database.close()
  })
  const batch = await plan([{ title: 'a' }])
  const [task] = batch.tasks

  setFree(63)
  for (const path of [
    '/tasks',
    `/tasks?session_id=${batch.session_id}&status=pending&sort_by=due_date&order=asc`,
    `/tasks/${task.id}`,
    '/batches',
    '/batches/latest',
    `/batches/${batch.id}`,
  ])
    t.equal((await call('GET', path)).status, 200, path)
  const writes: [string, string, object?][] = [
    ['POST', '/tasks', { title: 'b' }],
    ['POST', '/batches', { tasks: [{ title: 'b' }] }],
    ['PUT', `/tasks/${task.id}`, { title: 'b' }],
    ['PUT', '/tasks/bulk', { tasks: [{ id: task.id, title: 'b' }] }],
    ['DELETE', `/tasks/${task.id}`],
    ['DELETE', '/tasks/bulk', { ids: [task.id] }],
  ]
  for (const [method, path, body] of writes) {
    const answer = await call(method, path, body)
    t.match(answer.body, { status: 503, error_code: 'database_unavailable' }, `${method} ${path}`)
  }
  t.equal((await app.inject('/readyz')).statusCode, 503)
  const listed = await call('GET', '/tasks')
  t.strictSame(listed.body.items, [task], 'nothing changed')

  setFree(64)
  for (const [method, path, body] of writes.slice(0, 5))
    t.ok((await call(method, path, body)).status < 300, `${method} ${path}`)
  t.equal((await app.inject('/readyz')).statusCode, 200)
})
