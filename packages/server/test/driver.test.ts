import { execFile, execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { build, newFolder, startServer, until } from './process.js'
import { skipPostgres, startPostgres } from './support.js'

const server = fileURLToPath(new URL('..', import.meta.url))
/** postgres.js as it is published: the patched one with the patch taken back. */
function unpatched(folder: string): string {
  cpSync(realpathSync(join(server, 'node_modules/postgres')), folder, { recursive: true })
  const patch = readFileSync(join(server, '../../patches/postgres@3.4.9.patch'), 'utf8')
  for (const part of patch.split(/^diff --git a\//m).slice(1)) {
    const file = join(folder, part.slice(0, part.indexOf(' ')))
    let source = readFileSync(file, 'utf8')
    for (const hunk of part.split(/^@@.*\n/m).slice(1)) {
      const side = (other: string) =>
        hunk
          .split('\n')
          .filter((line) => line !== '' && !line.startsWith(other))
          .map((line) => `${line.slice(1)}\n`)
          .join('')
      if (!source.includes(side('-'))) throw new Error('the installed driver lacks its patch')
      source = source.replace(side('-'), () => side('+'))
    }
    writeFileSync(file, source)
  }
  return folder
}

/** A process whose connections are ended while it writes to them; how it went on. */
async function writeToEndedConnections(t: Test, driver: string, url: string): Promise<string> {
  const file = join(newFolder(t), 'write.mjs')
  writeFileSync(
    file,
    `import postgres from ${JSON.stringify(pathToFileURL(driver).href)}
    const [sql, other] = [postgres(process.argv[2], { max: 5 }), postgres(process.argv[2], { max: 5 })]
    let ended = 0
    const transactions = async () => {
      while (ended < 50) {
        await sql.begin(async (sql) => {
          const [{ pid }] = await sql\`select pg_backend_pid() as pid\`
          other\`select pg_terminate_backend(\${pid})\`.catch(() => {})
          for (;;) await sql\`select 1\`
        }).catch(() => ended++)
      }
    }
    await Promise.all(Array.from({ length: 5 }, transactions))
    const [{ it }] = await sql\`select 'goes on' as it\`
    console.log(it)
    process.exit()`,
  )
  return promisify(execFile)(process.execPath, [file, url], { timeout: 30_000 }).then(
    ({ stdout }) => stdout,
    ({ stderr }) => stderr,
  )
}

t.test(
  'the packed server contains a driver that survives closed connections',
  { skip: skipPostgres },
  async (t) => {
    const { newDatabase } = await startPostgres(t)
    const folder = newFolder(t)
    build()
    const [{ filename }] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
        cwd: server,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    )
    execFileSync('tar', ['-xzf', join(folder, filename), '-C', folder])
    const installed = join(folder, 'package')
    const modules = join(installed, 'node_modules')
    const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
    for (const name of Object.keys(dependencies)) {
      mkdirSync(dirname(join(modules, name)), { recursive: true })
      symlinkSync(realpathSync(join(server, 'node_modules', name)), join(modules, name))
    }
    const published = unpatched(join(modules, 'postgres'))

    await t.test(
      'a closed connection ends a process with the published driver, but not with the patched one',
      async (t) => {
        const url = await newDatabase()
        t.match(
          await writeToEndedConnections(t, join(published, 'src/index.js'), url),
          /TypeError.*reading 'write'/,
        )
        const patched = join(server, 'node_modules/postgres/src/index.js')
        t.equal(await writeToEndedConnections(t, patched, url), 'goes on\n')
      },
    )

    await t.test('the packed server keeps working while its connections are closed under load', async (t) => {
      const url = await newDatabase()
      const process = startServer(
        t,
        { DATABASE_URL: url, REQUEST_TIMEOUT_MS: '3000' },
        { entry: join(installed, 'dist/start/cli.js') },
      )
      const base = await process.listening()
      const seen: (number | string)[] = []
      let loaded = true
      const load = async () => {
        while (loaded) {
          const body = JSON.stringify({ title: 'a' })
          const headers = { 'content-type': 'application/json' }
          const answer = await fetch(`${base}/api/v1/tasks`, { method: 'POST', headers, body })
          const { error_code } = (await answer.json()) as { error_code?: string }
          seen.push(error_code ?? answer.status)
        }
      }
      const callers = Promise.all(Array.from({ length: 60 }, load))
      const other = postgres(url, { max: 1, onnotice: () => {} })
      for (let round = 0; round < 30; round++) {
        await sleep(25)
        await other`select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'aklp-task-server' and datname = current_database()`
      }
      const before = seen.length
      await until('requests succeed again', () => seen.lastIndexOf(201) > before)
      loaded = false
      await callers
      await other.end()
      // A statement without a response would be reported as a timeout. Some calls wait too long while the pool reconnects.
      t.same(new Set(seen.filter((it) => it !== 'overloaded')), new Set([201, 'database_unavailable']))
      t.equal(process.child.exitCode, null)
      t.equal(process.output.stderr, '')
    })
  },
)
