/**
 * A day of an agent that teaches Kubernetes: it plans a topic, works through it, is resumed in a new process, finishes
 * and cleans up. It needs the service on http://localhost:8001, or where AKLP_URL says.
 */
import { spawnSync } from 'node:child_process'
import { createClient, NotFoundError } from '@aklp/task-client'

const aklp = createClient({
  baseUrl: process.env.AKLP_URL ?? 'http://localhost:8001',
  onRetry: ({ attempt, delay, error }) =>
    console.log(`try ${attempt}: ${error.message}; next in ${delay} ms`),
})

// The session is all that an agent has to remember.
const [, script, session_id] = process.argv
if (session_id === undefined) morning()
else afternoon(session_id)

async function morning() {
  const session_id = crypto.randomUUID()
  const session = aklp.session(session_id)

  // Plan: the whole learning path in one call.
  const batch = await session.batches.create({
    reason: 'The learner wants to understand Pods',
    tasks: [
      { title: 'Understand what a Pod is', priority: 'high', due_date: new Date(Date.now() + 86_400_000) },
      { title: 'Create an nginx Pod', description: 'kubectl run nginx --image=nginx', priority: 'high' },
      { title: 'Read the logs of the Pod', description: 'kubectl logs nginx', priority: 'medium' },
      { title: 'Delete the Pod', description: 'kubectl delete pod nginx', priority: 'low' },
    ],
  })
  console.log(`planned ${batch.tasks.length} tasks`)

  // Work: one task, from begun to completed.
  const [first] = batch.tasks
  await aklp.tasks.update(first!.id, { status: 'in_progress' })
  const done = await aklp.tasks.update(first!.id, { status: 'completed' })
  console.log(`completed "${done.title}" at ${done.completed_at}`)

  // Lunch: this process ends, and another one goes on with nothing but the session.
  spawnSync(process.execPath, [...process.execArgv, script!, session_id], { stdio: 'inherit' })
}

async function afternoon(session_id: string) {
  const session = aklp.session(session_id)

  // Resume: where does the learner stand, and what is left?
  const batch = await session.batches.latest()
  if (batch === null) throw new Error('Nothing was planned in this session')
  const completed = batch.tasks.filter(({ status }) => status === 'completed')
  console.log(`resumed "${batch.reason}": ${completed.length} of ${batch.tasks.length} completed`)

  // Finish: the most important ones first. The loop may change what it goes through.
  for await (const task of session.tasks.each({ status: 'pending', sort_by: 'priority' })) {
    await aklp.tasks.update(task.id, { status: 'completed' })
    console.log(`completed "${task.title}"`)
  }
  const left = await session.tasks.list({ status: 'pending' })
  console.log(`${left.total} tasks are left`)

  // Clean up: all tasks of the plan in one call.
  const { deleted_count } = await aklp.tasks.bulkDelete(batch.tasks.map(({ id }) => id))
  console.log(`deleted ${deleted_count} tasks`)
  try {
    await aklp.tasks.get(batch.tasks[0]!.id)
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error
    console.log(error.message)
  }
}
