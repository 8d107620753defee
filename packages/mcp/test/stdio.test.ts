/** The process over stdio: its settings, what it keeps in a project, and a service of its own. */
import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startService } from '../../client/test/support.js'
import { asUser } from '../../server/test/process.js'
import { cli, overStdio } from './connect.js'

const server = fileURLToPath(new URL('../../server', import.meta.url))

/** A project with the service installed. */
function projectWithServer(test: Test): string {
  const folder = test.testdir()
  mkdirSync(join(folder, 'node_modules/@aklp'), { recursive: true })
  symlinkSync(server, join(folder, 'node_modules/@aklp/task-server'))
  return folder
}

/** Runs the process without input until it ends. */
function run(cwd: string, env: Record<string, string> = {}, ...args: string[]) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(
      ...asUser([process.execPath, cli, ...args]),
      { cwd, env: { PATH: process.env.PATH, ...env } },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    )
    child.stdin!.end()
  })
}

t.test('a project comes back to the same plan, under the same name', async (t) => {
  const { baseUrl: url } = await startService(t)
  const folder = t.testdir()
  const morning = await overStdio(t, 'auto', { url }, folder)
  await morning.call('create_plan', { tasks: [{ key: 'a', title: 'a' }] })
  const { session_id, worker } = await morning.call('resume')
  const { task } = await morning.call('next_task')
  await morning.client.close()

  t.equal(readFileSync(join(folder, '.aklp/session'), 'utf8').trim(), session_id)
  t.equal(readFileSync(join(folder, '.aklp/.gitignore'), 'utf8'), '*\n')
  const evening = await overStdio(t, 'auto', { url }, folder)
  t.match(await evening.call('resume'), { session_id, worker, in_progress: [{ key: 'a' }] })
  t.match(await evening.call('next_task'), { task: { id: task.id } })

  await t.test('a second agent in it has another name, and so another task', async (t) => {
    const second = await overStdio(t, 'auto', { url }, folder)
    t.match(await second.call('resume'), { session_id, worker: `${worker}/2` })
    t.match(await second.call('next_task'), { task: undefined })
  })
  await t.test('the name of an agent that was killed is taken again', async (t) => {
    for (const name of readdirSync(join(folder, '.aklp')).filter((name) => name.endsWith('-2')))
      writeFileSync(join(folder, '.aklp', name), '999999999')
    const third = await overStdio(t, 'auto', { url }, folder)
    t.match(await third.call('resume'), { worker: `${worker}/2` })
  })
})

t.test('settings are those of the environment, and nothing is written then', async (t) => {
  const { baseUrl: url } = await startService(t)
  const folder = t.testdir()
  const session = randomUUID()
  const { call } = await overStdio(t, 'auto', { url, session, worker: 'mine' }, folder)
  t.match(await call('resume'), { session_id: session, worker: 'mine' })
  t.notOk(existsSync(join(folder, '.aklp')))
})

t.test(
  'a wrong setting, and a missing service, end the process with one line that says what to do',
  async (t) => {
    const folder = t.testdir()
    for (const [env, args, expected] of [
      [
        {},
        [],
        /^aklp-task-mcp: AKLP_URL is not set, and @aklp\/task-server is not installed here\. Start .*npx @aklp\/task-server.*\n$/,
      ],
      [
        { AKLP_URL: 'http://127.0.0.1:1', AKLP_SESSION: 'mine' },
        [],
        /^aklp-task-mcp: AKLP_SESSION must be a UUID, such as .*, not mine\n$/,
      ],
      [{ AKLP_URL: 'localhost:8001' }, [], /^aklp-task-mcp: .*must start with http.*\n$/],
      [{}, ['start'], /^aklp-task-mcp: unknown argument start\. It takes none: see --help\n$/],
    ] as [Record<string, string>, string[], RegExp][]) {
      const { code, stdout, stderr } = await run(folder, env, ...args)
      t.match({ code, stdout }, { code: 1, stdout: '' })
      t.match(stderr, expected)
    }
    const help = await run(folder, {}, '--help')
    t.match(help, { code: 0, stdout: '' })
    for (const name of ['AKLP_URL', 'AKLP_TOKEN', 'AKLP_SESSION', 'AKLP_WORKER']) t.match(help.stderr, name)
    mkdirSync(join(folder, '.aklp'), { recursive: true })
    writeFileSync(join(folder, '.aklp/session'), 'not an id')
    t.match(
      (await run(folder, { AKLP_URL: 'http://127.0.0.1:1' })).stderr,
      /session does not contain a UUID\. Delete it/,
    )
  },
)

t.test('a service that cannot be reached is an answer for the model', async (t) => {
  const { call } = await overStdio(t, 'auto', { url: 'http://127.0.0.1:1' })
  const { error } = await call('resume')
  t.match(error, /^The task service cannot be reached/)
  t.notMatch(error, '127.0.0.1')
})

t.test(
  'without a URL, the first agent of a project runs a service for all, and another takes over',
  async (t) => {
    const folder = projectWithServer(t)
    const [one, two] = await Promise.all([
      overStdio(t, 'auto', {}, folder),
      overStdio(t, 'legacy', {}, folder),
    ])
    await one.call('create_plan', {
      tasks: [
        { key: 'a', title: 'a' },
        { key: 'b', title: 'b' },
      ],
    })
    const tasks = await Promise.all([one, two].map(async ({ call }) => (await call('next_task')).task.key))
    t.same(tasks.sort(), ['a', 'b'])

    await one.client.close()
    t.match(await two.call('resume'), { progress: { total: 2, in_progress: 2 } })
    await two.client.close()
    const later = await overStdio(t, 'auto', {}, folder)
    t.match(await later.call('list_tasks'), { total: 2 })
  },
)

t.test('stdout has nothing but messages of the protocol, whatever happens', async (t) => {
  const child = spawn(...asUser([process.execPath, cli]), {
    cwd: projectWithServer(t),
    env: { PATH: process.env.PATH, LOG_LEVEL: 'trace', DEBUG: '*' },
  })
  const lines: string[] = []
  child.stdout
    .setEncoding('utf8')
    .on('data', (text: string) => lines.push(...text.split('\n').filter(Boolean)))
  const send = (message: object) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  const answered = (id: number) =>
    new Promise<void>((resolve) => {
      const look = () => lines.some((line) => JSON.parse(line).id === id) && resolve()
      child.stdout.on('data', look)
    })
  const initialized = answered(1)
  const params = {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'test', version: '1' },
  }
  send({ id: 1, method: 'initialize', params })
  await initialized
  send({ method: 'notifications/initialized' })
  child.stdin.write('this is not JSON\n')
  const called = answered(2)
  send({ id: 2, method: 'tools/call', params: { name: 'resume', arguments: {} } })
  await called
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.stdin.end()
  t.equal(await ended, 0, 'it ends when the client closes stdin')
  for (const line of lines) t.match(JSON.parse(line), { jsonrpc: '2.0' })
})
