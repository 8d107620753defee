/** The upgrade of a database from 0.1.0, the first release, and the ways back to it that docs/operations.md describes. */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { newFolder, send, startServer } from './process.js'
import { skipPostgres, startPostgres } from './support.js'

const COMMIT = '7b193291b97f0231c35eb5f142dc77e3d3459e93'
const root = fileURLToPath(new URL('../../../', import.meta.url))

/** Builds the command of 0.1.0 from the history of this repository, with the dependencies of today. */
function buildFirstRelease(): string {
  const folder = join(root, 'packages/server/node_modules/.cache/0.1.0')
  const archive = join(folder, 'server.tar')
  mkdirSync(join(folder, 'vendor'), { recursive: true })
  const sources = [`${COMMIT}:packages/server`, 'src', 'migrations', 'package.json']
  execFileSync('git', ['archive', `--output=${archive}`, ...sources], { cwd: root, stdio: 'pipe' })
  execFileSync('tar', ['-xf', archive, '-C', folder])
  // The package had a copy of the patched driver here.
  writeFileSync(join(folder, 'vendor/postgres.js'), `export { default } from 'postgres'`)
  buildSync({
    absWorkingDir: folder,
    entryPoints: ['src/start/cli.ts'],
    outdir: 'dist/start',
    bundle: true,
    splitting: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    // Newer commands do so themselves: see start/cli.ts.
    banner: { js: `import v8 from 'node:v8'; v8.setFlagsFromString('--wasm-tiering-budget=300000000')` },
  })
  return join(folder, 'dist/start/cli.js')
}

function hasFirstRelease(): boolean {
  try {
    execFileSync('git', ['cat-file', '-e', COMMIT], { cwd: root, stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A block of docs/operations.md. */
function documented(block: RegExp): string {
  const [, code] = block.exec(readFileSync(join(root, 'docs/operations.md'), 'utf8')) ?? []
  if (code === undefined) throw new Error(`docs/operations.md lacks ${block}`)
  return code
}
const hideMigrations = () => documented(/^```sql\n(.+?)^```/ms)
const removeNewFields = () => documented(/^```sh\n(node -e .+?)^```/ms)

/** A running server. */
async function start(t: Test, url: string, entry?: string) {
  const { child, ended, listening } = startServer(t, { DATABASE_URL: url }, entry ? { entry } : {})
  const base = `${await listening()}/api/v1`
  return {
    call: (method: string, path: string, body?: unknown, headers?: object) =>
      send(base, method, path, body, headers),
    async stop() {
      child.kill('SIGTERM')
      t.equal((await ended).code, 0)
    },
  }
}
type Server = Awaited<ReturnType<typeof start>>

/** Runs a command to its end. */
async function run(t: Test, url: string, args: string[], entry?: string) {
  const { output, ended } = startServer(t, { DATABASE_URL: url }, { args, ...(entry && { entry }) })
  return { ...(await ended), ...output }
}

/** All tasks and batches as a server returns them, by id. */
async function contents({ call }: Server) {
  const all = async (path: string): Promise<any[]> =>
    (await call('GET', `${path}?limit=100`)).body.items.sort((a: any, b: any) => (a.id < b.id ? -1 : 1))
  return { tasks: await all('/tasks'), batches: await all('/batches') }
}
type Contents = Awaited<ReturnType<typeof contents>>

/** The fields that 0.1.0 does not have, and what they are for its data. */
const newTaskFields = {
  key: null,
  blocked_by: [],
  not_before: null,
  attempts: 0,
  claimed_by: null,
  lease_expires_at: null,
  result: null,
  metadata: {},
}
const upgraded = (task: any) => ({ ...task, ...newTaskFields, is_ready: task.status === 'pending' })
const without = (names: string[]) => (row: any) =>
  Object.fromEntries(Object.entries(row).filter(([name]) => !names.includes(name)))
const taskInFirstRelease = without(['is_ready', ...Object.keys(newTaskFields)])
const inFirstRelease = ({ tasks, batches }: Contents) => ({
  tasks: tasks.map(taskInFirstRelease),
  batches: batches
    .map(without(['metadata', 'progress']))
    .map((batch: any) => ({ ...batch, tasks: batch.tasks.map(taskInFirstRelease) })),
})

const due_date = '2026-12-31T09:00:00+09:00'
const session_id = randomUUID()
/** Requests that 0.1.0 gets with an idempotency key. */
const keyed = [
  ['/tasks', { title: 'once', due_date }],
  ['/batches', { session_id: session_id.toUpperCase(), tasks: [{ title: 'once in a batch' }] }],
] as const
const createKeyed = ({ call }: Server) =>
  Promise.all(keyed.map(([path, body]) => call('POST', path, body, { 'Idempotency-Key': `first:${path}` })))

/** Fills an empty database with 0.1.0. */
async function fill(server: Server) {
  const { call } = server
  const tasks = [
    { title: 'one', description: 'a\n"b" 한 😀', priority: 'high', due_date },
    { title: 'two', status: 'in_progress', priority: 'medium' },
    { title: 'three', status: 'completed', priority: 'low', due_date: '0001-01-01' },
    { title: 'four' },
  ]
  await call('POST', '/batches', { session_id, reason: '학습 계획', tasks })
  await call('POST', '/tasks', { title: 'without a session' })
  await createKeyed(server)
  return contents(server)
}

/** Checks that the server of today has the data of 0.1.0. */
async function checkUpgraded(t: Test, server: Server, before: Contents) {
  const after = await contents(server)
  t.strictSame(inFirstRelease(after), before)
  t.strictSame(after.tasks, before.tasks.map(upgraded))
  for (const { metadata, progress, tasks } of after.batches)
    t.match({ metadata, progress }, { metadata: {}, progress: { total: tasks.length } })
}

const isReplayed = ({ headers }: { headers: Headers }) => headers.get('idempotency-replayed') === 'true'

async function checkReplayed(t: Test, server: Server) {
  const count = async () => (await server.call('GET', '/tasks?limit=1')).body.total
  const before = await count()
  for (const response of await createKeyed(server)) t.ok(isReplayed(response), `${response.status}`)
  t.equal(await count(), before)
}

/** A request that the server of today gets first. */
const createOnce = ({ call }: Pick<Server, 'call'>) =>
  call('POST', '/tasks', { session_id, title: 'once, by a newer server' }, { 'Idempotency-Key': 'second' })

/** Uses what 0.1.0 does not have: `one` is claimed and blocks `four`, and there is a plan with every new field. */
async function useNewFeatures(t: Test, { call }: Server, { tasks }: Contents) {
  const idOf = (title: string) => tasks.find((task) => task.title === title).id
  const claimed = await call('POST', '/tasks/claim', { worker: 'agent-1', session_id })
  t.match(claimed.body.task, { id: idOf('one'), attempts: 1, claimed_by: 'agent-1' })
  const blocked = { blocked_by: [idOf('one'), idOf('two')] }
  t.match((await call('PUT', `/tasks/${idOf('four')}`, blocked)).body, { ...blocked, is_ready: false })
  const plan = {
    session_id,
    metadata: { of: 'the batch' },
    tasks: [
      { key: 'a', title: 'five', status: 'completed', result: 'r', metadata: { a: [1] } },
      { title: 'six', blocked_by: ['a'], not_before: '2099-01-01' },
    ],
  }
  t.equal((await call('POST', '/batches', plan)).status, 201)
  t.equal((await createOnce({ call })).status, 201)
  const { items } = (await call('GET', `/events?session_id=${session_id}`)).body
  t.strictSame(
    items.slice(-4).map(({ type }: any) => type),
    ['task.claimed', 'task.updated', 'batch.created', 'task.created'],
  )
  return { one: idOf('one'), two: idOf('two'), four: idOf('four') }
}

async function checkRefused(t: Test, url: string, first: string) {
  const { code, stderr } = await run(t, url, [], first)
  t.equal(code, 1)
  t.match(
    stderr,
    /its schema, of \d{4}-\d\d-\d\d, is newer than this server; start a server that is as new\n$/,
  )
}

const noHistory = !hasFirstRelease() && `the history of this checkout does not have 0.1.0 (${COMMIT})`
t.test('upgrade from 0.1.0', { skip: noHistory }, async (t) => {
  const first = buildFirstRelease()

  await t.test('PostgreSQL', { skip: skipPostgres }, async (t) => {
    const url = await (await startPostgres(t)).newDatabase()
    const sql = postgres(url, { max: 1 })
    t.teardown(() => sql.end())
    const migrations = () => sql`select * from drizzle.__drizzle_migrations order by id`
    let ids: Record<string, string> = {}
    let before: Contents

    await t.test('an upgrade keeps all data, while 0.1.0 continues to serve', async (t) => {
      const earlier = await start(t, url, first)
      const filled = await fill(earlier)
      const [changed] = filled.tasks
      const change = async (title: string) => {
        const { status, body } = await earlier.call('PUT', `/tasks/${changed.id}`, { title })
        t.match({ status, body }, { status: 200, body: { title } })
      }
      await change('before')
      const server = await start(t, url)
      await change(changed.title)
      before = await contents(earlier)
      await checkUpgraded(t, server, before)
      await checkReplayed(t, earlier)
      await earlier.stop()
      await checkReplayed(t, server)
      ids = await useNewFeatures(t, server, before)
      before = await contents(server)
      await server.stop()
    })

    await t.test('0.1.0 refuses the newer schema and changes nothing', async (t) => {
      const applied = await migrations()
      await checkRefused(t, url, first)
      t.strictSame(await migrations(), applied)
    })

    await t.test(
      'with the newer migrations hidden, 0.1.0 works on all data, and no rule is broken',
      async (t) => {
        await sql.unsafe(hideMigrations())
        const applied = await migrations()
        const server = await start(t, url, first)
        t.strictSame(await migrations(), applied)
        t.strictSame(await contents(server), inFirstRelease(before))
        await checkReplayed(t, server)

        const { call } = server
        const set = async (id: string | undefined, status: string) =>
          (await call('PUT', `/tasks/${id}`, { status })).status
        t.equal(await set(ids.four, 'in_progress'), 500, 'its blockers are open')
        t.equal((await call('GET', `/tasks/${ids.four}`)).body.status, 'pending')
        t.equal(await set(ids.one, 'completed'), 200)
        t.equal((await call('DELETE', `/tasks/${ids.two}`)).status, 204)
        t.equal(await set(ids.four, 'in_progress'), 200)
        t.match((await createOnce(server)).body, { error_code: 'idempotency_key_reused' })
        t.equal((await call('POST', '/batches', { session_id, tasks: [{ title: 'seven' }] })).status, 201)
        before = await contents(server)
        await server.stop()
      },
    )

    await t.test('the next upgrade keeps what both versions wrote', async (t) => {
      const server = await start(t, url)
      const after = await contents(server)
      t.strictSame(inFirstRelease(after), before)
      const byTitle = Object.fromEntries(after.tasks.map((task) => [task.title, task]))
      t.match(byTitle.one, { status: 'completed', claimed_by: null, lease_expires_at: null, attempts: 1 })
      t.strictSame(byTitle.four.blocked_by, [ids.one])
      t.match(byTitle.five, { key: 'a', result: 'r', metadata: { a: [1] } })
      t.match(byTitle.six, { blocked_by: [byTitle.five.id], not_before: '2099-01-01T00:00:00.000Z' })
      t.strictSame(byTitle.seven, upgraded(taskInFirstRelease(byTitle.seven)))
      const { items } = (await server.call('GET', `/events?session_id=${session_id}`)).body
      t.match(
        items.slice(-5).map(({ type, task_id }: any) => ({ type, task_id })),
        [
          { type: 'task.updated', task_id: ids.one },
          { type: 'task.deleted', task_id: ids.two },
          { type: 'task.updated', task_id: ids.four },
          { type: 'task.updated', task_id: ids.four },
          { type: 'batch.created' },
        ],
        'including what 0.1.0 did',
      )
      await server.stop()
    })
  })

  await t.test('embedded database', async (t) => {
    const folder = newFolder(t)
    // 0.1.0 takes ten seconds to create a folder: all runs use copies of one.
    const empty = join(root, 'packages/server/node_modules/.cache/0.1.0/data')
    if (!existsSync(empty)) t.match(await run(t, `file:${empty}`, ['migrate'], first), { code: 0 })
    const url = `file:${folder}/data`
    cpSync(empty, `${folder}/data`, { recursive: true })
    cpSync(empty, `${folder}/restored`, { recursive: true })
    let before: Contents

    await t.test('an upgrade keeps all data', async (t) => {
      const earlier = await start(t, url, first)
      before = await fill(earlier)
      await earlier.stop()
      const server = await start(t, url)
      await checkUpgraded(t, server, before)
      await checkReplayed(t, server)
      await useNewFeatures(t, server, before)
      before = await contents(server)
      await server.stop()
    })

    await t.test('0.1.0 refuses the newer schema', async (t) => {
      await checkRefused(t, url, first)
    })

    await t.test('0.1.0 imports an export without the new fields', async (t) => {
      t.match(await run(t, url, ['export', '--to', `${folder}/backup.jsonl`]), { code: 0 })
      execFileSync('bash', ['-c', removeNewFields()], { cwd: folder })
      const restored = `file:${folder}/restored`
      t.match(await run(t, restored, ['import', '--from', `${folder}/backup-0.1.0.jsonl`], first), {
        code: 0,
      })
      const server = await start(t, restored, first)
      t.strictSame(await contents(server), inFirstRelease(before))
      await server.stop()
    })
  })
})
