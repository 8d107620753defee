import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import t, { type Test } from 'tap'
import { makeKey } from '../src/access/keys.js'
import { version } from '../src/http/version.js'
import { newFolder, startServer, until } from './process.js'

const folder = newFolder(t)
const data = join(folder, 'data')

/** Runs a command until it ends. */
async function run(test: Test, ...args: string[]) {
  const { output, ended } = startServer(test, {}, { folder, args })
  const { code } = await ended
  return { code, ...output }
}

t.test('the command line says how it is used, and which version it is', async (t) => {
  const help = await run(t, '--help')
  t.equal(help.code, 0)
  for (const word of [
    '--host',
    '--port',
    '--database-url',
    'key --name',
    '--scope',
    '--session',
    'migrate',
    'import --from',
    '--dry-run',
    'export --to',
  ]) {
    t.match(help.stdout, word)
  }
  t.equal((await run(t, 'migrate', '-h')).stdout, help.stdout)
  t.same(await run(t, '--version'), { code: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('what is not understood is told in one line, with what was probably meant', async (t) => {
  const wrong: [string[], string][] = [
    [['keys'], 'keys is no command; did you mean key?. See --help'],
    [['constructor'], 'constructor is no command. See --help'],
    [['--databse-url', 'memory://'], '--databse-url is no option; did you mean --database-url?. See --help'],
    [['key', '--nam', 'a'], '--nam is no option of key; did you mean --name?. See --help'],
    [['key', '--port', '1'], '--port is no option of key. See --help'],
    [['--port'], "Option '--port <value>' argument missing. See --help"],
    [['--port', 'http'], 'PORT must be a whole number from 0 to 65535'],
    [['key', '--name', 'a', 'b'], "Unexpected argument 'b'. See --help"],
    [['key'], '--name is required'],
    [['import', '--dry-run'], '--from is required: a URL, a file, or - for stdin. See --help'],
    [['export'], '--to is required: a file, or - for stdout. See --help'],
    [['export', '--from', 'a'], '--from is no option of export. See --help'],
    [
      ['key', '--name', 'a', '--scope', 'tasks:wirte'],
      '--scope must be tasks:read or tasks:write; did you mean tasks:write?',
    ],
    [
      ['key', '--name', 'a', '--session', 'b'],
      '--session must be a UUID such as 550e8400-e29b-41d4-a716-446655440001',
    ],
    [
      ['--host', '0.0.0.0'],
      'HOST=0.0.0.0 lets others in, and no key is set: make one with "aklp-task-server key --name NAME" and put it into API_KEYS, or set AUTH=off where everybody on the network is trusted',
    ],
  ]
  const answers = await Promise.all(wrong.map(([args]) => run(t, ...args)))
  for (const [i, [, line]] of wrong.entries()) {
    t.same(answers[i], { code: 1, stdout: '', stderr: `aklp-task-server: ${line}\n` })
  }
})

t.test('migrate brings the schema up to date and ends', async (t) => {
  const { code, stdout } = await run(t, 'migrate', '--database-url', `file:${data}`)
  t.equal(code, 0)
  t.match(stdout, `the schema is up to date: ${data}`)
  const database = await PGlite.create(join(data, 'postgres'))
  t.same((await database.query('select count(*)::int as tasks from tasks')).rows, [{ tasks: 0 }])
  await database.close()
})

t.test('a key that was made opens the service that knows it, and is in no log', async (t) => {
  const session = '550E8400-e29b-41d4-a716-446655440001'
  const { stdout } = await run(t, 'key', '--name', 'teacher', '--scope', 'tasks:read', '--session', session)
  const [key] = /aklp_\S+/.exec(stdout)!
  const entry = JSON.parse(/\{.*\}/.exec(stdout)![0])
  t.match(entry, { name: 'teacher', scopes: ['tasks:read'], sessions: [session] })
  t.notMatch(JSON.stringify(entry), key)

  const settings = { API_KEYS: JSON.stringify([entry]), LOG_LEVEL: 'trace' }
  const args = ['--host', '0.0.0.0', '--port', '0', `--database-url=file:${data}`]
  const server = startServer(t, settings, { folder, args })
  const url = (await server.listening()).replace('0.0.0.0', '127.0.0.1')
  const wrong = makeKey()
  const ask = async (credential: string, method = 'GET') =>
    (await fetch(`${url}/api/v1/tasks`, { method, headers: { authorization: `Bearer ${credential}` } }))
      .status
  t.equal(await ask(key), 200)
  t.equal(await ask(key, 'POST'), 403)
  t.equal(await ask(wrong), 401)
  t.equal((await fetch(`${url}/health`)).status, 200)
  const requests = () => server.logs().filter(({ msg }) => msg === 'request')
  await until('every request is logged', () => requests().length === 4)
  t.match(requests()[0], { caller: 'key:teacher', status: 200 })
  for (const secret of [key, wrong, entry.hash]) {
    t.notMatch(server.output.stdout + server.output.stderr, secret)
  }
})
