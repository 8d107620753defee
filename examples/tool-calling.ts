/**
 * The operations as tools of a language model: it calls them by itself, and what it gets wrong comes back to it as the
 * service's own correction. It needs the service on http://localhost:8001, or where AKLP_URL says.
 *
 * The model here is a script that makes the usual mistakes, so that the example runs anywhere; put a call of yours in
 * the place of `askModel`.
 */
import { createClient } from '@aklp/task-client'
import { callTool, type Tool, tools } from '@aklp/task-client/tools'

interface ToolCall {
  name: string
  /** The model's own JSON: it may be wrong in every way. */
  input: string
}
type Reply = { role: 'assistant'; text: string } | { role: 'assistant'; call: ToolCall }
type Message = Reply | { role: 'user'; text: string } | { role: 'tool'; content: string; is_error: boolean }

const aklp = createClient({ baseUrl: process.env.AKLP_URL ?? 'http://localhost:8001' })
// With a session, the model has no say in whose tasks it works on.
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
  console.log(`${result.is_error ? 'refused' : 'answered'}: ${result.content}\n`)
  conversation.push({ role: 'tool', ...result })
}

/** Stands for a language model that is given the conversation and the tools, and answers a text or a call. */
function askModel(conversation: Message[], tools: readonly Tool[]): Reply {
  const results = conversation.filter((message) => message.role === 'tool')
  const last = results.at(-1)?.content ?? ''
  const call = (name: string, input: unknown): Reply => {
    if (!tools.some((tool) => tool.name === name)) throw new Error(`no tool ${name}`)
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
      // "body tasks[0].title is required", "priority must be high, medium, low …": said and corrected.
      return call('createBatch', {
        reason: 'Pods',
        tasks: titles.map((title) => ({ title, priority: 'high' })),
      })
    case 2:
      return call('updateTask', { task_id: firstId(), status: 'complete' })
    case 3: {
      const [, status] = /did you mean (\w+)\?/.exec(last)!
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
