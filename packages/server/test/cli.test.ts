import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import t, { type Test } from 'tap'
import { makeKey } from '../src/access/keys.js'
import { version } from '../src/http/version.js'
import { newFolder, startServer, until } from './process.js'

const folder = newFolder(t)
const data = join(folder, 'data')

/** Runs a command until it exits. */
async function run(test: Test, ...args: string[]) {
  const { output, ended } = startServer(test, {}, { folder, args })
  const { code } = await ended
  return { code, ...output }
}

t.test('--help lists the commands, and each command has its own help', async (t) => {
  const help = await run(t, '--help')
  t.match(help, { code: 0, stderr: '' })
  const options: Record<string, string[]> = {
    start: ['--host', '--port', '--database-url'],
    key: ['--name', '--scope', '--session'],
    migrate: ['--database-url'],
    import: ['--from', 'IMPORT_FROM', '--dry-run', '--database-url'],
    export: ['--to', '--database-url'],
    prune: ['--days', '--to', '--dry-run', '--database-url'],
  }
  const ofCommands = await Promise.all(Object.keys(options).map((command) => run(t, command, '--help')))
  for (const [i, [command, names]] of Object.entries(options).entries()) {
    t.match(help.stdout, new RegExp(`^  ${command} `, 'm'))
    const { code, stdout } = ofCommands[i]!
    t.equal(code, 0)
    t.match(stdout, `Usage: aklp-task-server ${command} `)
    for (const name of names) t.match(stdout, name)
  }
  t.equal((await run(t, '--port', '0', '-h')).stdout, ofCommands[0]!.stdout, 'start is the default')
})

t.test('--version prints the version', async (t) => {
  t.same(await run(t, '--version'), { code: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('a wrong call is reported in one line, with a suggestion', async (t) => {
  const wrong: [string[], string][] = [
    [['keys'], "unknown command 'keys'. Did you mean key?"],
    [['constructor'], "unknown command 'constructor'"],
    [['--databse-url', 'memory://'], "unknown option '--databse-url'. Did you mean --database-url?"],
    [['start', '--prot', '1'], "unknown option '--prot'. Did you mean --port?"],
    [['key', '--nam', 'a'], "unknown option '--nam'. Did you mean --name?"],
    [['key', '--port', '1', '--name', 'a'], "unknown option '--port'"],
    [['--port'], "option '--port <port>' argument missing"],
    [['--port', 'http'], 'PORT must be a whole number from 0 to 65535'],
    [['key', '--name', 'a', 'b'], "too many arguments for 'key'. Expected 0 arguments but got 1."],
    [['key'], '--name is required'],
    [['import', '--dry-run'], '--from or IMPORT_FROM is required: a URL, a file, or - for stdin'],
    [['import', '--form=postgres://u:secret@h/d'], "unknown option '--form=postgres://…@h/d'"],
    [['postgres://u:secret@h/d?password=secret'], "unknown command 'postgres://…@h/d?password=…'"],
    [
      ['--database-url', 'pg://u:secret@h/d'],
      'DATABASE_URL must begin with postgres:// (a PostgreSQL server), file: (a folder) or be memory://',
    ],
    [['export'], '--to is required: a file, or - for stdout'],
    [['prune'], '--days is required: a whole number from 1 to 36500'],
    [
      ['export', '--to', 'b', '--session', 'a'],
      '--session must be a UUID such as 550e8400-e29b-41d4-a716-446655440001',
    ],
    [['prune', '--days', '1', '--session', randomUUID()], '--days and --session exclude each other'],
    [['prune', '--days', '0'], '--days is required: a whole number from 1 to 36500'],
    [['prune', '--days', '1.5'], '--days is required: a whole number from 1 to 36500'],
    [['export', '--to', 'b', '--from', 'a'], "unknown option '--from'"],
    [
      ['key', '--name', 'a', '--scope', 'tasks:wirte'],
      '--scope must be tasks:read or tasks:write. Did you mean tasks:write?',
    ],
    [
      ['key', '--name', 'a', '--session', 'b'],
      '--session must be a UUID such as 550e8400-e29b-41d4-a716-446655440001',
    ],
    [
      ['--host', '0.0.0.0'],
      'HOST=0.0.0.0 is reachable from other machines, but no authentication is configured. Create a key with "aklp-task-server key --name NAME" and add it to API_KEYS, or set AUTH=off if everyone on the network is trusted',
    ],
  ]
  const results = await Promise.all(wrong.map(([args]) => run(t, ...args)))
  for (const [i, [, line]] of wrong.entries()) {
    t.same(results[i], { code: 1, stdout: '', stderr: `aklp-task-server: ${line}\n` })
  }
})

t.test('import takes its source from IMPORT_FROM, unless --from is given', async (t) => {
  const importFrom = async (...args: string[]) => {
    const source = 'postgresql+asyncpg://u:secret@127.0.0.1:1/old'
    const settings = { IMPORT_FROM: source, DATABASE_URL: 'memory://' }
    const { output, ended } = startServer(t, settings, { folder, args: ['import', ...args] })
    return { ...(await ended), ...output }
  }
  t.match(await importFrom(), {
    code: 1,
    stderr: /^aklp-task-server: cannot read PostgreSQL at 127.0.0.1:1\/old: /,
  })
  t.match(await importFrom('--from', 'missing.jsonl'), { code: 1, stderr: /cannot read missing\.jsonl/ })
})

t.test('export and prune of a folder without a database fail, and create none', async (t) => {
  const missing = join(folder, 'missing')
  for (const args of [
    ['export', '--to', 'backup.jsonl'],
    ['prune', '--days', '9'],
  ]) {
    const { code, stderr } = await run(t, ...args, '--database-url', `file:${missing}`)
    t.equal(code, 1)
    t.match(stderr, `there is no database in the folder ${missing}`)
    t.notOk(existsSync(missing))
  }
})

t.test('migrate upgrades the schema and exits', async (t) => {
  const { code, stdout } = await run(t, 'migrate', '--database-url', `file:${data}`)
  t.equal(code, 0)
  t.match(stdout, `The schema is up to date: ${data}`)
  const database = await PGlite.create(join(data, 'postgres'))
  t.same((await database.query('select count(*)::int as tasks from tasks')).rows, [{ tasks: 0 }])
  await database.close()
})

t.test('prune deletes from the database of DATABASE_URL, and says what', async (t) => {
  const { code, stderr } = await run(t, 'prune', '--days', '90', '--database-url', `file:${data}`)
  t.equal(code, 0)
  t.match(stderr, `sessions: 0 deleted from ${data}`)
})

t.test('a key from the command line is accepted, and never logged', async (t) => {
  const session = '550E8400-e29b-41d4-a716-446655440001'
  const { stdout } = await run(t, 'key', '--name', 'teacher', '--scope', 'tasks:read', '--session', session)
  const [key] = /aklp_\S+/.exec(stdout)!
  const entry = JSON.parse(/\{.*\}/.exec(stdout)![0])
  t.match(entry, { name: 'teacher', scopes: ['tasks:read'], sessions: [session] })
  t.notMatch(JSON.stringify(entry), key)

  const settings = { API_KEYS: JSON.stringify([entry]), LOG_LEVEL: 'trace' }
  const args = ['start', '--host', '0.0.0.0', '--port', '0', `--database-url=file:${data}`]
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
