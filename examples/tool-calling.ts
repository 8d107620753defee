/**
 * A language model that uses the operations as tools. Errors in its calls are returned to it, and it corrects them.
 * Needs the service at AKLP_URL, by default http://localhost:8001.
 *
 * To run without a model API, this example uses a script that makes typical errors. Replace `askModel` with a call of
 * your model.
 */
import { createClient } from '@aklp/task-client'
import { callTool, type Tool, tools } from '@aklp/task-client/tools'

interface ToolCall {
  name: string
  /** JSON from the model. It may be invalid. */
  input: string
}
type Reply = { role: 'assistant'; text: string } | { role: 'assistant'; call: ToolCall }
type Message = Reply | { role: 'user'; text: string } | { role: 'tool'; content: string; is_error: boolean }

const aklp = createClient({ baseUrl: process.env.AKLP_URL ?? 'http://localhost:8001' })
// With a session, the model cannot create or list tasks of other sessions.
const session = aklp.session(crypto.randomUUID())

const conversation: Message[] = [
  { role: 'user', text: 'I want to learn about Pods. I know what they are already.' },
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
  const result = await callTool(session, name, input)
  console.log(`${result.is_error ? 'error' : 'result'}: ${result.content}\n`)
  conversation.push({ role: 'tool', ...result })
}

/** Takes the place of a language model: returns a text or a tool call for the conversation. */
function askModel(conversation: Message[], tools: readonly Tool[]): Reply {
  const results = conversation.filter((message) => message.role === 'tool')
  const last = results.at(-1)?.content ?? ''
  const call = (name: string, input: unknown): Reply => {
    if (!tools.some((tool) => tool.name === name)) throw new Error(`Unknown tool ${name}`)
    return { role: 'assistant', call: { name, input: JSON.stringify(input) } }
  }
  const titles = ['Understand what a Pod is', 'Create an nginx Pod']
  const firstId = () => JSON.parse(results[1]!.content).tasks[0].id
  switch (results.length) {
    case 0:
      return call('createBatch', {
        reason: 'Pods',
        tasks: titles.map((name) => ({ name, priority: 'urgent' })),
      })
    case 1:
      // The errors said "body.tasks[0].title: is required" and "body.tasks[0].priority: must be high, medium, low".
      return call('createBatch', {
        reason: 'Pods',
        tasks: titles.map((title) => ({ title, priority: 'high' })),
      })
    case 2:
      return call('updateTask', { task_id: firstId(), status: 'complete' })
    case 3: {
      const [, status] = /Did you mean (\w+)\?/.exec(last)!
      return call('updateTask', { task_id: firstId(), status })
    }
    case 4:
      return call('listTasks', { status: 'pending' })
    default: {
      const [next] = JSON.parse(last).items
      return { role: 'assistant', text: `Your next step: ${next.title}` }
    }
  }
}
