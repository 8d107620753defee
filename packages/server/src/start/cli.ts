#!/usr/bin/env node
/** The command line: starts the service, makes a key, brings the schema up to date, or moves data in and out. */
import { parseArgs } from 'node:util'
import { hashKey, makeKey } from '../access/keys.js'
import { SCOPES } from '../http/caller.js'
import { suggest } from '../http/suggest.js'
import { version } from '../http/version.js'
import { type Config, loadConfig, readEnvironment } from './config.js'

const HELP = `The task memory of AI agents that teach Kubernetes, over HTTP.

aklp-task-server [--host ADDRESS] [--port PORT] [--database-url URL]
    Starts the service. Environment variables say the same as HOST, PORT, DATABASE_URL, and all other settings.

aklp-task-server key --name NAME [--scope tasks:read] [--scope tasks:write] [--session UUID]...
    Makes a key, and prints it once, with its entry for API_KEYS. It has both scopes unless some are given; with
    sessions, it sees and changes only what is in them.

aklp-task-server migrate [--database-url URL]
    Brings the schema of the database up to date, and ends.

aklp-task-server import --from URL|FILE|- [--dry-run] [--database-url URL]
    Copies batches and tasks into the database: from that of the Python service at a postgresql:// URL, or from an export
    in a file or on stdin. What is there already is left as it is. With --dry-run, it only tells what it would do.

aklp-task-server export --to FILE|- [--database-url URL]
    Writes all batches and tasks as JSON Lines, for a backup or another database.

aklp-task-server --help | --version`

const text = { type: 'string' } as const
const texts = { type: 'string', multiple: true } as const
const flag = { type: 'boolean' } as const

const options = {
  help: { ...flag, short: 'h' },
  version: { ...flag, short: 'v' },
  host: text,
  port: text,
  'database-url': text,
  name: text,
  scope: texts,
  session: texts,
  from: text,
  to: text,
  'dry-run': flag,
} as const

/** The options of each command; without a name, it starts the service. */
const commands: Record<string, (keyof typeof options)[]> = {
  '': ['help', 'version', 'host', 'port', 'database-url'],
  key: ['help', 'version', 'name', 'scope', 'session'],
  migrate: ['help', 'version', 'database-url'],
  import: ['help', 'version', 'database-url', 'from', 'dry-run'],
  export: ['help', 'version', 'database-url', 'to'],
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  // One line and no stack: whoever calls is told what to change.
  process.stderr.write(`aklp-task-server: ${reason(error as NodeJS.ErrnoException)}\n`)
  process.exit(1)
}

async function main(args: string[]) {
  const { command, values } = readArguments(args)
  if (values.help) return print(HELP)
  if (values.version) return print(version)
  if (command === 'key') return makeEntry(values)
  const config = loadConfig({
    ...readEnvironment(),
    ...(values.host && { HOST: values.host }),
    ...(values.port && { PORT: values.port }),
    ...(values['database-url'] && { DATABASE_URL: values['database-url'] }),
  })
  if (command === 'import') return importInto(config, values)
  if (command === 'export') return exportFrom(config, values)
  // The other commands do without what this loads.
  const { migrate, run } = await import('./server.js')
  if (command === 'migrate') return print(`the schema is up to date: ${await migrate(config)}`)
  await run(config)
}

function readArguments(all: string[]) {
  const [command, ...args] = all[0]?.startsWith('-') === false ? all : ['', ...all]
  const known = Object.hasOwn(commands, command!) ? commands[command!] : undefined
  if (known === undefined) {
    throw new Error(`${command} is no command${near(command!, Object.keys(commands))}. See --help`)
  }
  const { tokens } = parseArgs({ args, options, strict: false, tokens: true })
  for (const token of tokens) {
    if (token.kind !== 'option' || known.some((name) => name === token.name)) continue
    const place = command === '' ? '' : ` of ${command}`
    throw new Error(`${token.rawName} is no option${place}${near(token.name, known, '--')}. See --help`)
  }
  try {
    return { command, values: parseArgs({ args, options }).values }
  } catch (error) {
    throw new Error(`${(error as Error).message.split(/[.\n]/, 1)}. See --help`)
  }
}

function near(word: string, names: string[], prefix = '') {
  const meant = suggest(word, names)
  return meant ? `; did you mean ${prefix}${meant}?` : ''
}

function makeEntry({ name, scope, session }: { name?: string; scope?: string[]; session?: string[] }) {
  const key = makeKey()
  const entry = { name, hash: hashKey(key), scopes: scope ?? SCOPES, sessions: session }
  try {
    loadConfig({ API_KEYS: JSON.stringify([entry]) })
  } catch (error) {
    const { message } = error as Error
    throw new Error(message.replace(/^API_KEYS\[0\]\.(name|scope|session)s?(\[\d+\])?/, '--$1'))
  }
  print(`The key of ${name}, which is not shown again:\n\n  ${key}\n`)
  print(`Its entry in the JSON array API_KEYS:\n\n  ${JSON.stringify(entry)}`)
}

async function importInto(
  config: Config,
  { from, 'dry-run': dryRun }: { from?: string; 'dry-run'?: boolean },
) {
  if (!from) throw new Error('--from is required: a URL, a file, or - for stdin. See --help')
  const { importFrom, withDatabase } = await import('../transfer/commands.js')
  const { complete } = await withDatabase(config, (database) => importFrom(database, { from, dryRun }))
  if (!complete) process.exitCode = 1
}

async function exportFrom(config: Config, { to }: { to?: string }) {
  if (!to) throw new Error('--to is required: a file, or - for stdout. See --help')
  const { exportTo, withDatabase } = await import('../transfer/commands.js')
  await withDatabase(config, (database) => exportTo(database, { to }))
}

function print(text: string) {
  process.stdout.write(`${text}\n`)
}

/** What went wrong, for the person who starts the service. */
function reason({
  code,
  message,
  address,
  port,
}: NodeJS.ErrnoException & { address?: string; port?: number }) {
  const place = `${address}:${port}`
  if (code === 'EADDRINUSE') return `${place} is in use; stop what listens there, or set PORT to another port`
  if (code === 'EACCES' && port) return `not allowed to listen on ${place}; set PORT to 1024 or higher`
  if (code === 'EADDRNOTAVAIL') return `${address} is no address of this machine; set HOST to one that is`
  return message
}
