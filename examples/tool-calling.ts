/**
 * A language model that plans and works with the tools. Mistakes in its calls are returned to it, and it corrects them.
 * Needs the service at AKLP_URL, by default http://localhost:8001.
 *
 * To run without a model API, this example uses a script that makes typical mistakes. Replace `askModel` with a call of
 * your model.
 */
import { createClient } from '@aklp/task-client'
import { instructions, type ListedTool, taskToolList } from '@aklp/task-client/tools'

interface ToolCall {
  name: string
  /** JSON from the model. It may be invalid. */
  input: string
}
type Reply = { role: 'assistant'; text: string } | { role: 'assistant'; call: ToolCall }
type Message = Reply | { role: 'system' | 'user'; text: string } | { role: 'tool'; content: string }

const aklp = createClient({ baseUrl: process.env.AKLP_URL ?? 'http://localhost:8001' })
// The program decides about session and leases: the model has no ids to lose or to make up.
const session = crypto.randomUUID()
const tools = taskToolList(aklp, { session, worker: 'agent-1', holdLeases: true })

const conversation: Message[] = [
  { role: 'system', text: instructions },
  { role: 'user', text: 'I want to learn about Pods.' },
]
while (true) {
  const reply = askModel(conversation, tools)
  conversation.push(reply)
  if (!('call' in reply)) {
    console.log(`model: ${reply.text}`)
    break
  }
  const { name, input } = reply.call
  console.log(`model calls ${name} ${input}`)
  const tool = tools.find((tool) => tool.name === name)
  const result = tool ? await tool.execute(input) : { error: `There is no tool ${name}.` }
  const content = JSON.stringify(result)
  console.log(`${content}\n`)
  conversation.push({ role: 'tool', content })
}

/** Takes the place of a language model: returns a text or a tool call for the conversation. */
function askModel(conversation: Message[], tools: readonly ListedTool[]): Reply {
  const results = conversation.filter((message) => message.role === 'tool')
  const last = JSON.parse(results.at(-1)?.content ?? '{}')
  const call = (name: string, input: unknown): Reply => {
    if (!tools.some((tool) => tool.name === name)) throw new Error(`Unknown tool ${name}`)
    return { role: 'assistant', call: { name, input: JSON.stringify(input) } }
  }
  const [learn, create] = ['Understand what a Pod is', 'Create an nginx Pod']
  switch (results.length) {
    case 0:
      return call('create_plan', { tasks: [{ key: 'learn', name: learn, priority: 'urgent' }] })
    case 1:
      // The error named both mistakes, and what was meant: "title" and "high".
      return call('create_plan', {
        tasks: [
          { key: 'learn', title: learn, priority: 'high' },
          { key: 'create', title: create, blocked_by: ['learn'] },
        ],
      })
    case 2:
      return call('next_task', {})
    case 3:
      return call('finish_task', {
        task_id: last.task.id,
        result: 'The learner knows what a Pod is.',
      })
    default:
      return { role: 'assistant', text: `Your next step: ${last.next.task.title}` }
  }
}
