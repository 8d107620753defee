import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { run } from '../../server/test/process.js'
import { startService } from './support.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const client = join(root, 'packages/client')
const bin = (name: string) => join(client, 'node_modules/.bin', name)
const tsc = join(root, 'node_modules/.bin/tsc')

const folder = mkdtempSync(join(tmpdir(), 'aklp-client-'))
t.teardown(() => rmSync(folder, { recursive: true }))

t.test('the packed client', async (t) => {
  await run(tsc, ['-b', client], root)
  const packed = await run(
    'npm',
    ['pack', '--ignore-scripts', '--json', '--pack-destination', folder],
    client,
  )
  const [{ filename, files }] = JSON.parse(packed)
  const tarball = join(folder, filename)

  await t.test('contains the code and its documentation, and nothing else', async (t) => {
    const names: string[] = files.map(({ path }: { path: string }) => path)
    for (const name of names)
      t.match(name, /^(dist|src)\/.*\.(js|ts|map)$|^(package\.json|README\.md|LICENSE)$/)
    for (const name of ['dist/index.js', 'dist/index.d.ts', 'dist/tools/index.js', 'README.md']) {
      t.ok(names.includes(name), name)
    }
    const { dependencies = {} } = JSON.parse(readFileSync(join(client, 'package.json'), 'utf8'))
    t.same(dependencies, {})
  })

  await t.test('passes publint', async (t) => {
    t.match(await run(bin('publint'), ['run', tarball, '--strict'], folder), 'All good!')
  })

  await t.test('resolves its types in every way to import an ES module', async (t) => {
    const printed = await run(bin('attw'), [tarball, '--profile', 'esm-only', '--no-color'], folder)
    const resolutions = printed.split('\n').filter((line) => /^(node16 \(from ESM\)|bundler): /.test(line))
    t.equal(resolutions.length, 6, 'two ways for each of three entry points')
    for (const resolution of resolutions) t.match(resolution, '🟢')
  })

  await t.test('compiles in strict mode in an empty project and works with the service', async (t) => {
    const { baseUrl } = await startService(t)
    const project = join(folder, 'project')
    mkdirSync(project)
    const write = (name: string, value: unknown) =>
      writeFileSync(join(project, name), typeof value === 'string' ? value : JSON.stringify(value))
    write('package.json', { private: true, type: 'module' })
    await run('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball], project)

    const strict = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      verbatimModuleSyntax: true,
      target: 'ES2022',
      types: [],
    }
    write('tsconfig.json', {
      compilerOptions: { ...strict, module: 'NodeNext', lib: ['ES2022', 'DOM'], outDir: 'out' },
      files: ['main.ts'],
    })
    // With the types of fetch from Node instead of the browser, and resolved as a bundler does.
    write('tsconfig.node.json', {
      compilerOptions: {
        ...strict,
        module: 'ESNext',
        moduleResolution: 'bundler',
        lib: ['ES2022'],
        types: ['node'],
        typeRoots: [join(root, 'node_modules/@types')],
        noEmit: true,
      },
      files: ['main.ts'],
    })
    write(
      'main.ts',
      `import { createClient, NotFoundError, type Task } from '@aklp/task-client'
import { taskTools } from '@aklp/task-client/tools'

const aklp = createClient({ baseUrl: ${JSON.stringify(baseUrl)} })
const session = aklp.session(crypto.randomUUID())
const batch = await session.batches.create({ tasks: [{ title: 'Pod 개념 이해하기', due_date: new Date() }] })
const { outcome } = await session.work({ worker: 'agent-1' }, async (task, { signal }) => {
  if (!signal.aborted) await aklp.tasks.update(task.id, { priority: null })
})
await session.tasks.create({ title: outcome })
const titles: string[] = []
for await (const task of session.tasks.each({ status: 'pending' })) titles.push(task.title)
const missing = await aklp.tasks.get(batch.id).then(
  (task: Task) => task.title,
  (error: unknown) => (error instanceof NotFoundError ? error.error_code : String(error)),
)
const tools = taskTools(aklp, { session: batch.session_id! })
const listed = await tools.list_tasks.execute({ status: 'pending' })
console.log(JSON.stringify([titles, missing, Object.keys(tools).length, listed]))
`,
    )
    await Promise.all([
      run(tsc, ['-p', 'tsconfig.json'], project),
      run(tsc, ['-p', 'tsconfig.node.json'], project),
    ])
    const printed = await run(process.execPath, ['out/main.js'], project)
    t.match(JSON.parse(printed), [['done'], 'task_not_found', 9, { total: 1 }])
  })
})

t.test('a new operation of the contract is a typed and documented method after generating', async (t) => {
  const copy = join(folder, 'src')
  cpSync(join(client, 'src'), copy, { recursive: true })
  const contract = JSON.parse(readFileSync(join(root, 'packages/server/openapi.json'), 'utf8'))
  const { responses } = contract.paths['/api/v1/tasks/{task_id}'].put
  contract.paths['/api/v1/tasks/{task_id}/notes'] = {
    post: {
      operationId: 'annotateTask',
      tags: ['tasks'],
      summary: 'Annotate a task',
      description: 'Adds a note.',
      parameters: [
        {
          name: 'task_id',
          in: 'path',
          required: true,
          description: 'The task.',
          schema: { type: 'string' },
        },
      ],
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: {
              type: 'object',
              required: ['note'],
              properties: {
                note: { type: 'string', description: 'The text.', maxLength: 9 },
                at: { type: 'string', format: 'date-time' },
                session_id: { type: 'string' },
              },
            },
          },
        },
      },
      responses,
    },
  }
  const file = join(folder, 'openapi.json')
  writeFileSync(file, JSON.stringify(contract))
  const generate = (...input: string[]) =>
    run(join(root, 'node_modules/.bin/tsx'), [join(client, 'scripts/generate.ts'), file, ...input], root)
  await t.rejects(generate(join(copy, 'generated'), '--check'), /operations\.ts is stale/)
  await generate(join(copy, 'generated'))

  const operations = readFileSync(join(copy, 'generated/operations.ts'), 'utf8')
  t.match(operations, 'Adds a note.')
  t.match(operations, 'body: { ...body, ...scope }', 'sent by a session')
  t.match(readFileSync(join(copy, 'generated/schema.ts'), 'utf8'), '@maxLength 9')
  writeFileSync(
    join(copy, 'use.ts'),
    `import { createClient, type Task } from './index.js'
const aklp = createClient({ baseUrl: 'http://tasks.test' })
export const task: Task = await aklp.tasks.annotate('id', { note: 'a', at: new Date() })
// @ts-expect-error the note is missing
await aklp.tasks.annotate('id', {})
// @ts-expect-error a misspelt field
await aklp.tasks.annotate('id', { note: 'a', att: new Date() })
`,
  )
  const options = {
    strict: true,
    module: 'NodeNext',
    target: 'ES2022',
    lib: ['ES2022', 'DOM'],
    types: [],
    noEmit: true,
  }
  writeFileSync(join(copy, 'tsconfig.json'), JSON.stringify({ compilerOptions: options }))
  writeFileSync(join(copy, 'package.json'), JSON.stringify({ type: 'module' }))
  await run(tsc, ['-p', copy], folder)
})
