/** Other people make clients of the OpenAPI document with generators of their own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { run } from '../../server/test/process.js'
import { startService } from './support.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const bin = (name: string) => join(root, 'packages/client/node_modules/.bin', name)
const contract = join(root, 'packages/server/openapi.json')

const generators: { name: string; program: string; args: string[]; plan: string }[] = [
  {
    name: '@hey-api/openapi-ts',
    program: bin('openapi-ts'),
    args: ['--input', contract, '--output', 'made', '--client', '@hey-api/client-fetch'],
    plan: `
      import { claimNextTask, createBatch, listTasks } from './made'
      import { client } from './made/client.gen'
      client.setConfig({ baseUrl, throwOnError: true })
      const { data: batch } = await createBatch({ body: plan, throwOnError: true })
      const first = await claimNextTask({ body: { worker, batch_id: batch.id }, throwOnError: true })
      const done = { task_id: first.data.task!.id, token: first.data.lease!.token }
      const next = await claimNextTask({ body: { worker, done }, throwOnError: true })
      const left = await listTasks({ query: { session_id, status: ['pending', 'in_progress'] }, throwOnError: true })
      report(first.data.task!.title, next.data.task!.title, left.data.total)`,
  },
  {
    name: 'orval',
    program: bin('orval'),
    args: ['--input', contract, '--output', 'made.ts', '--client', 'fetch'],
    plan: `
      import { claimNextTask, createBatch, listTasks } from './made'
      const { fetch } = globalThis
      globalThis.fetch = (path, init) => fetch(baseUrl + path, init)
      const batch = await createBatch(plan)
      if (batch.status !== 201) throw new Error(batch.data.detail)
      const first = await claimNextTask({ worker, batch_id: batch.data.id })
      if (first.status !== 200) throw new Error(first.data.detail)
      const done = { task_id: first.data.task!.id, token: first.data.lease!.token }
      const next = await claimNextTask({ worker, done })
      if (next.status !== 200) throw new Error(next.data.detail)
      const left = await listTasks({ session_id, status: ['pending', 'in_progress'] })
      if (left.status !== 200) throw new Error(left.data.detail)
      report(first.data.task!.title, next.data.task!.title, left.data.total)`,
  },
]

for (const { name, program, args, plan } of generators) {
  t.test(`a client made by ${name} compiles, and works on a plan`, async (t) => {
    const { baseUrl } = await startService(t)
    const folder = mkdtempSync(join(tmpdir(), 'aklp-generator-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'package.json'), '{"type": "module"}')
    await run(program, args, folder)
    writeFileSync(
      join(folder, 'plan.ts'),
      `${plan.match(/^ *import .*$/gm)!.join('\n')}
      const baseUrl = ${JSON.stringify(baseUrl)}
      const session_id = '550e8400-e29b-41d4-a716-446655440001'
      const worker = 'agent-1'
      const plan = {
        session_id,
        tasks: [{ key: 'pod', title: 'Create a Pod' }, { title: 'Expose it', blocked_by: ['pod'] }],
      }
      const report = (...values: unknown[]) => console.log(JSON.stringify(values))
      ${plan.replace(/^ *import .*$/gm, '')}`,
    )
    const strict = ['--strict', '--noEmit', '--skipLibCheck', '--module', 'esnext', '--target', 'es2022']
    const tsc = join(root, 'node_modules/.bin/tsc')
    await run(tsc, [...strict, '--moduleResolution', 'bundler', 'plan.ts'], folder)
    const output = await run(join(root, 'node_modules/.bin/tsx'), ['plan.ts'], folder)
    t.same(JSON.parse(output), ['Create a Pod', 'Expose it', 1])
  })
}
