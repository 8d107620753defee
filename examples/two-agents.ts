/**
 * Two agents work on one plan, each in a process of its own. One hangs in a task and is killed; the other takes the task
 * over. Needs the service at AKLP_URL, by default http://localhost:8001. Takes about 15 seconds: a lease has to expire.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createClient } from '@aklp/task-client'

const aklp = createClient({ baseUrl: process.env.AKLP_URL ?? 'http://localhost:8001' })

const [, script, session_id, worker] = process.argv
if (session_id === undefined) await supervise()
else await agent(session_id, worker!)

async function supervise() {
  const session_id = crypto.randomUUID()
  const session = aklp.session(session_id)

  // Plan: a task can be claimed when those that it is blocked by are completed.
  const { tasks } = await session.batches.create({
    reason: 'The learner wants to expose a Pod',
    tasks: [
      { key: 'pod', title: 'Create an nginx Pod' },
      { key: 'logs', title: 'Read its logs', blocked_by: ['pod'] },
      { key: 'service', title: 'Expose it with a Service', blocked_by: ['pod'] },
      { key: 'request', title: 'Send it a request', blocked_by: ['service'] },
      { key: 'clean-up', title: 'Delete the Pod and the Service', blocked_by: ['logs', 'request'] },
    ],
  })
  console.log(`planned ${tasks.length} tasks`)

  const first = fork(script!, [session_id, 'agent-1'])
  await once(first, 'message')

  // agent-2 leaves the task of agent-1 alone, and does what does not wait for it.
  const second = fork(script!, [session_id, 'agent-2'])
  await once(second, 'message')
  first.kill('SIGKILL')
  await once(first, 'exit')
  console.log('agent-1 was killed')

  // Nobody renews the lease of agent-1 now. When it has expired, agent-2 gets the task, and ends when the plan is done.
  await once(second, 'exit')
  const { progress } = await session.state()
  console.log(`${progress.completed} of ${progress.total} completed`)
}

async function agent(session_id: string, worker: string) {
  const options = { worker, lease_seconds: 10 }
  const { outcome } = await aklp.session(session_id).work(options, async ({ key, title, attempts }) => {
    if (worker === 'agent-1' && key === 'logs') {
      console.log(`${worker} hangs in "${title}"`)
      process.send!('hanging')
      await new Promise(() => {})
    }
    console.log(`${worker} did "${title}", attempt ${attempts}`)
    if (key === 'service') process.send!('halfway')
    return `done by ${worker}`
  })
  console.log(`${worker}: ${outcome}`)
}
