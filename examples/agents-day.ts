/**
 * A day of an agent that teaches Kubernetes: it plans a topic, starts to work, resumes in a new process, finishes and
 * cleans up. Needs the service at AKLP_URL, by default http://localhost:8001.
 */
import { spawnSync } from 'node:child_process'
import { createClient, NotFoundError } from '@aklp/task-client'

const aklp = createClient({
  baseUrl: process.env.AKLP_URL ?? 'http://localhost:8001',
  onRetry: ({ attempt, delay, error }) =>
    console.log(`attempt ${attempt} failed: ${error.message}; retry in ${delay} ms`),
})

// The session id is all that an agent has to remember.
const [, script, session_id] = process.argv
if (session_id === undefined) morning()
else afternoon(session_id)

async function morning() {
  const session_id = crypto.randomUUID()
  const session = aklp.session(session_id)

  // Plan: create all tasks of the learning path in one call.
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

  // Work: start and complete one task.
  const [first] = batch.tasks
  await aklp.tasks.update(first!.id, { status: 'in_progress' })
  const done = await aklp.tasks.update(first!.id, { status: 'completed' })
  console.log(`completed "${done.title}" at ${done.completed_at}`)

  // Lunch: another process continues. It knows nothing but the session id.
  spawnSync(process.execPath, [...process.execArgv, script!, session_id], { stdio: 'inherit' })
}

async function afternoon(session_id: string) {
  const session = aklp.session(session_id)

  // Resume: read how far the learner is.
  const batch = await session.batches.latest()
  if (batch === null) throw new Error('Nothing was planned in this session')
  const completed = batch.tasks.filter(({ status }) => status === 'completed')
  console.log(`resumed "${batch.reason}": ${completed.length} of ${batch.tasks.length} completed`)

  // Finish: highest priority first. The loop may change the tasks that it iterates over.
  for await (const task of session.tasks.each({ status: 'pending', sort_by: 'priority' })) {
    await aklp.tasks.update(task.id, { status: 'completed' })
    console.log(`completed "${task.title}"`)
  }
  const left = await session.tasks.list({ status: 'pending' })
  console.log(`${left.total} tasks left`)

  // Clean up: delete all tasks of the plan in one call.
  const { deleted_count } = await aklp.tasks.bulkDelete(batch.tasks.map(({ id }) => id))
  console.log(`deleted ${deleted_count} tasks`)
  try {
    await aklp.tasks.get(batch.tasks[0]!.id)
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error
    console.log(error.message)
  }
}
