/** The tools in the current releases of the frameworks, as docs/agents.md uses them. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createClient } from '../src/index.js'
import { instructions, taskToolList, taskTools } from '../src/tools/index.js'
import { startService } from './support.js'

const { baseUrl } = await startService(t)
const aklp = createClient({ baseUrl })

const options = () => ({ session: randomUUID(), worker: 'agent-1', holdLeases: true })
const plan = { tasks: [{ key: 'a', title: 'a' }] }

/** Why a framework cannot run on this Node, if it cannot. */
const needs = (major: number) =>
  Number(process.versions.node.split('.')[0]) < major && `this framework needs Node ${major} or later`

t.test('the Vercel AI SDK takes taskTools as they are', { skip: needs(22) }, async (t) => {
  const { generateText, isStepCount } = await import('ai')
  const { MockLanguageModelV4 } = await import('ai/test')
  const calls: [string, object][] = [
    ['create_plan', plan],
    ['next_task', {}],
    ['get_task', { id: 'a' }],
  ]
  const results: any[] = []
  const tokens = { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0, text: 1, reasoning: 0 }
  const usage = { inputTokens: tokens, outputTokens: tokens }
  const model = new MockLanguageModelV4({
    doGenerate: async ({ prompt, tools }) => {
      const answers = prompt.flatMap(({ role, content }) => (role === 'tool' ? content : []))
      results.splice(0, results.length, ...answers)
      t.equal(tools!.length, 9)
      t.match(tools![1], {
        name: 'create_plan',
        inputSchema: { properties: { tasks: { items: { required: ['key', 'title'] } } } },
      })
      const next = calls[answers.length]
      if (!next)
        return {
          finishReason: { unified: 'stop', raw: undefined },
          usage,
          warnings: [],
          content: [{ type: 'text', text: 'done' }],
        }
      const [toolName, input] = next
      return {
        finishReason: { unified: 'tool-calls', raw: undefined },
        usage,
        warnings: [],
        content: [{ type: 'tool-call', toolCallId: toolName, toolName, input: JSON.stringify(input) }],
      }
    },
  })
  const { text } = await generateText({
    model,
    instructions,
    tools: taskTools(aklp, options()),
    prompt: 'Go',
    stopWhen: isStepCount(9),
  })
  t.equal(text, 'done')
  const [created, claimed, mistaken] = results.map(({ output }) => output)
  t.match(created, { type: 'json', value: { tasks: [{ key: 'a' }] } })
  t.match(claimed, { type: 'json', value: { task: { key: 'a' } } })
  t.match(mistaken, { type: 'error-text', value: /id is unknown \(did you mean task_id\?\)/ })
})

t.test('OpenAI Agents takes taskToolList in a map', { skip: needs(22) }, async (t) => {
  const { RunContext, tool } = await import('@openai/agents-core')
  const tools = taskToolList(aklp, options()).map((it) => tool(it))
  const call = (nth: number, input: object) =>
    tools[nth]!.invoke(new RunContext(), JSON.stringify(input)) as Promise<any>
  t.match(tools[1], { type: 'function', name: 'create_plan', strict: false, parameters: { type: 'object' } })
  t.match(await call(1, plan), { tasks: [{ key: 'a' }] })
  t.match(await call(3, {}), { task: { key: 'a' } })
  t.match(await call(7, { id: 'a' }), { error: /did you mean task_id/ })
})

t.test('LangChain takes taskToolList in a map', async (t) => {
  const { tool } = await import('@langchain/core/tools')
  const { convertToOpenAITool } = await import('@langchain/core/utils/function_calling')
  const tools = taskToolList(aklp, options()).map(({ execute, ...it }) =>
    tool(execute, { ...it, verboseParsingErrors: true }),
  )
  const call = (nth: number, args: object) =>
    tools[nth]!.invoke({ type: 'tool_call', id: '1', name: tools[nth]!.name, args: args as any }) as any
  t.match(convertToOpenAITool(tools[1]!), {
    function: { name: 'create_plan', parameters: { properties: { tasks: { type: 'array' } } } },
  })
  t.match(JSON.parse((await call(1, plan)).content), { tasks: [{ key: 'a' }] })
  t.match(JSON.parse((await call(3, {})).content), { task: { key: 'a' } })
  await t.rejects(call(7, { id: 'a' }), /does not have required property "task_id"/)
})

t.test(
  'the list has what createTool of Mastra takes: id, description, a Standard Schema and execute',
  async (t) => {
    // Its package is 130 MB with 130 others, too much to install for every change.
    for (const { id, description, inputSchema, execute } of taskToolList(aklp, options())) {
      t.match({ id, description }, { id: /^[a-z_]+$/, description: String })
      const { version, vendor, validate, jsonSchema } = inputSchema['~standard']
      t.match({ version, vendor }, { version: 1, vendor: String })
      t.match(jsonSchema.input(), { type: 'object', properties: Object })
      t.type(validate, 'function')
      t.type(execute, 'function')
    }
  },
)
