import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { run } from '../../server/test/process.js'
import { createClient } from '../src/index.js'
import { startService } from './support.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))

t.test('the examples work with the service', async (t) => {
  const { baseUrl } = await startService(t)
  const tsx = join(root, 'node_modules/.bin/tsx')
  const runExample = (name: string) =>
    run(tsx, ['--conditions=@aklp/source', `${name}.ts`], join(root, 'examples'), { AKLP_URL: baseUrl })

  await t.test('agents-day continues in a second process and cleans up', async (t) => {
    const lines = (await runExample('agents-day')).trim().split('\n')
    t.match(lines, [
      'planned 4 tasks',
      /^completed "Understand what a Pod is" at \d{4}-/,
      'resumed "The learner wants to understand Pods": 1 of 4 completed',
      'completed "Create an nginx Pod"',
      'completed "Read the logs of the Pod"',
      'completed "Delete the Pod"',
      '0 tasks left',
      'deleted 4 tasks',
      /^404 task_not_found: /,
    ])
    t.equal((await createClient({ baseUrl }).tasks.list()).total, 0)
  })

  await t.test('tool-calling returns mistakes that the model corrects', async (t) => {
    const printed = await runExample('tool-calling')
    t.match(printed, 'did you mean title?')
    t.match(printed, 'did you mean high?')
    t.match(printed, 'model: Your next step: Create an nginx Pod')
  })

  await t.test('two-agents completes its plan after one was killed, and does nothing twice', async (t) => {
    const lines = (await runExample('two-agents')).trim().split('\n')
    t.equal(lines[0], 'planned 5 tasks')
    t.equal(lines.at(-1), '5 of 5 completed')
    t.ok(lines.indexOf('agent-1 was killed') < lines.indexOf('agent-2 did "Read its logs", attempt 2'))
    t.same(
      lines.slice(1, -1).sort(),
      [
        'agent-1 did "Create an nginx Pod", attempt 1',
        'agent-1 hangs in "Read its logs"',
        'agent-1 was killed',
        'agent-2 did "Expose it with a Service", attempt 1',
        'agent-2 did "Send it a request", attempt 1',
        'agent-2 did "Read its logs", attempt 2',
        'agent-2 did "Delete the Pod and the Service", attempt 1',
        'agent-2: done',
      ].sort(),
    )
  })
})

t.test('the README contains agents-day.ts unchanged', async (t) => {
  const readme = readFileSync(join(root, 'packages/client/README.md'), 'utf8')
  t.ok(readme.includes(`\`\`\`ts\n${readFileSync(join(root, 'examples/agents-day.ts'), 'utf8')}\`\`\``))
})
