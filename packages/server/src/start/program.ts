/** The command line. What a command needs is loaded when it runs. */
import { Command } from 'commander'
import { hashKey, makeKey } from '../access/keys.js'
import { SCOPES } from '../http/caller.js'
import { formatMessages, formats } from '../http/formats.js'
import { version } from '../http/version.js'
import { loadConfig, readEnvironment } from './config.js'
import { withoutPasswords } from './passwords.js'

const NAME = 'aklp-task-server'
const DATABASE_URL = ['--database-url <url>', 'the database, as DATABASE_URL'] as const

const program = new Command(NAME)
  .description('HTTP service that stores the tasks of AI agents. Without a command, it starts the service.')
  .version(version, '-v, --version', 'print the version')
  .helpOption('-h, --help', 'print the help of the command')
  .helpCommand(false)
  .showHelpAfterError(false)
  .configureOutput({
    // One line: "error: unknown option '--prot'\n(Did you mean --port?)" has two. It repeats what was given.
    outputError: (text, write) =>
      write(
        `${NAME}: ${withoutPasswords(text)
          .replace(/^error: /, '')
          .trim()
          .replace(/\n\((.*)\)$/, '. $1')}\n`,
      ),
  })
  .addHelpText(
    'after',
    `\nFor the options of a command, run ${NAME} COMMAND --help.\nAll settings can be given as environment variables or in a file .env.`,
  )

// Required options are checked in the actions: commander reports a misspelt one as missing, without a suggestion.
program
  .command('start')
  .description('start the service; this is the default')
  .option('--host <address>', 'the address to listen on, as HOST')
  .option('--port <port>', 'the port to listen on, as PORT')
  .option(...DATABASE_URL)
  .action(async (options: { host?: string; port?: string; databaseUrl?: string }) => {
    const config = configOf(options)
    const { run } = await import('./server.js')
    await run(config)
  })

const append = (value: string, values: string[] = []) => [...values, value]

program
  .command('key')
  .description('create a key, and print it once with its entry for API_KEYS')
  .option('--name <name>', 'who has the key; required, and unique among the keys')
  .option('--scope <scope>', `${SCOPES.join(' or ')}; repeat it for both (default: both)`, append)
  .option('--session <uuid>', 'a session to restrict the key to; repeat it for more', append)
  .action(printKey)

program
  .command('migrate')
  .description('upgrade the database schema and exit')
  .option(...DATABASE_URL)
  .action(async (options: { databaseUrl?: string }) => {
    const { migrate } = await import('./commands.js')
    print(`The schema is up to date: ${await migrate(configOf(options))}`)
  })

program
  .command('import')
  .description('copy batches and tasks into the database; existing ids are skipped')
  .option(
    '--from <source>',
    'the postgresql:// URL of the Python service’s database, an export file, or - for stdin; required, here or in IMPORT_FROM, which the process list does not show',
  )
  .option('--dry-run', 'print what would be imported, and change nothing')
  .option(...DATABASE_URL)
  .action(async (options: { from?: string; dryRun?: boolean; databaseUrl?: string }) => {
    const from = options.from || readEnvironment().IMPORT_FROM
    if (!from) throw new Error('--from or IMPORT_FROM is required: a URL, a file, or - for stdin')
    const { runImport } = await import('./commands.js')
    await runImport(configOf(options), { ...options, from })
  })

program
  .command('export')
  .description('write all batches and tasks as JSON Lines, for a backup or another database')
  .option('--to <file>', 'a file, or - for stdout; required')
  .option('--session <uuid>', 'only this session, to move it to another database')
  .option(...DATABASE_URL)
  .action(async ({ to, session, ...options }: { to?: string; session?: string; databaseUrl?: string }) => {
    if (!to) throw new Error('--to is required: a file, or - for stdout')
    assertUuid(session)
    const { runExport } = await import('./commands.js')
    await runExport(configOf(options), { to, ...(session && { session }) })
  })

program
  .command('prune')
  .description('delete the sessions whose tasks are all completed and have not changed for some days')
  .option('--days <days>', 'for how many days nothing has changed, 1 to 36500; required without --session')
  .option('--session <uuid>', 'delete this session, whatever its state: it was moved to another database')
  .option('--to <file>', 'write what is deleted to a new file first, which import reads')
  .option('--dry-run', 'print what would be deleted, and change nothing')
  .option(...DATABASE_URL)
  .action(async ({ days: given, session, ...options }: PruneOptions) => {
    assertUuid(session)
    if (session && given) throw new Error('--days and --session exclude each other')
    const days = Number(given)
    if (!session && (!/^\d+$/.test(given ?? '') || days < 1 || days > 36_500))
      throw new Error('--days is required: a whole number from 1 to 36500')
    const { runPrune } = await import('./commands.js')
    await runPrune(configOf(options), { ...options, ...(session ? { session } : { days }) })
  })

interface PruneOptions {
  days?: string
  session?: string
  to?: string
  dryRun?: boolean
  databaseUrl?: string
}

const [first = '', ...rest] = process.argv.slice(2)
const isForProgram = ['-h', '--help', '-v', '--version'].includes(first)
const isStart = first === '' || (first.startsWith('-') && !isForProgram)
try {
  await program.parseAsync(isStart ? ['start', ...process.argv.slice(2)] : [first, ...rest], { from: 'user' })
} catch (error) {
  // One line and no stack: the message says what to change.
  process.stderr.write(`${NAME}: ${withoutPasswords(explainError(error as NodeJS.ErrnoException))}\n`)
  process.exit(1)
}

/** The settings, with those given as options in place of the environment's. */
function configOf({ host, port, databaseUrl }: { host?: string; port?: string; databaseUrl?: string }) {
  return loadConfig({
    ...readEnvironment(),
    ...(host && { HOST: host }),
    ...(port && { PORT: port }),
    ...(databaseUrl && { DATABASE_URL: databaseUrl }),
  })
}

function printKey({ name, scope, session }: { name?: string; scope?: string[]; session?: string[] }) {
  const key = makeKey()
  const entry = { name, hash: hashKey(key), scopes: scope ?? SCOPES, sessions: session }
  try {
    loadConfig({ API_KEYS: JSON.stringify([entry]) })
  } catch (error) {
    const { message } = error as Error
    throw new Error(message.replace(/^API_KEYS\[0\]\.(name|scope|session)s?(\[\d+\])?/, '--$1'))
  }
  print(`The key of ${name}. It is not shown again:\n\n  ${key}\n`)
  print(`Its entry for the JSON array API_KEYS:\n\n  ${JSON.stringify(entry)}`)
}

/** Throws if a session is given that is no UUID. */
function assertUuid(session: string | undefined) {
  if (session !== undefined && !formats.uuid.test(session))
    throw new Error(`--session ${formatMessages.uuid}`)
}

function print(text: string) {
  process.stdout.write(`${text}\n`)
}

function explainError({
  code,
  message,
  address,
  port,
}: NodeJS.ErrnoException & { address?: string; port?: number }) {
  const place = `${address}:${port}`
  if (code === 'EADDRINUSE')
    return `${place} is in use. Stop the process that listens there, or set PORT to another port`
  if (code === 'EACCES' && port) return `No permission to listen on ${place}. Set PORT to 1024 or higher`
  if (code === 'EADDRNOTAVAIL') return `${address} is not an address of this machine. Set HOST to one that is`
  return message
}
