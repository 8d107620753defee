/** The operations on claims over HTTP. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sessionFor } from '../access/session.js'
import type { Caller } from '../http/caller.js'
import { etagHeader, etagOf } from '../http/conditions.js'
import {
  ApiError,
  bodyProblems,
  commonProblems,
  createProblems,
  problems,
  validationError,
} from '../http/problem.js'
import { ref, success } from '../http/schemas.js'
import { CreateHeaders, createOnceFrom, replayedHeader } from '../idempotency/header.js'
import { Task, TaskParams } from '../tasks/schemas.js'
import type { TaskStore } from '../tasks/store.js'
import type { Metrics } from '../telemetry/metrics.js'
import { Claim, ClaimRequest, ReleaseRequest, RenewRequest, TaskClaimRequest, TaskLease } from './schemas.js'
import { type ClaimStore, LeaseLost, UnknownBatch } from './store.js'

const tags = ['tasks']

interface ClaimRoutesOptions {
  store: ClaimStore
  tasks: TaskStore
  metrics: Metrics
}

export const claimRoutes: FastifyPluginAsyncTypebox<ClaimRoutesOptions> = async (
  app,
  { store, tasks, metrics },
) => {
  const claimOnce = createOnceFrom(app, ClaimRequest, 200)

  /** The task as it is, for an error that shows it. */
  const currentTask = async (caller: Caller, id: string): Promise<Task> => {
    const task = await tasks.get(caller, id)
    if (task === undefined) throw new ApiError('task_not_found')
    return JSON.parse(task.json)
  }
  const leaseLost = async (caller: Caller, id: string) =>
    new ApiError('lease_lost', undefined, {}, { current: await currentTask(caller, id) })

  app.post(
    '/claim',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'claimNextTask',
        tags,
        summary: 'Claim the next task',
        description:
          'Returns the task to work on next, and leases it to the worker: the ready task with the highest priority, then the earliest in the plan. No other worker gets it until the lease expires. With `done`, completes the previous task in the same transaction. If no task is ready, `task` is null and `progress` shows why.',
        headers: CreateHeaders,
        body: ref(ClaimRequest),
        response: {
          200: success('The claimed task with its lease, or the progress.', ref(Claim), replayedHeader),
          ...problems(
            'task_not_found',
            'batch_not_found',
            'task_blocked',
            'lease_lost',
            ...createProblems,
            ...commonProblems,
          ),
        },
      },
    },
    async (request, reply) => {
      const { caller, body } = request
      if (body.session_id !== undefined || (body.batch_id === undefined && body.done === undefined)) {
        const session_id = sessionFor(caller, body.session_id)
        if (session_id == null) throw validationError([NO_SCOPE])
        body.session_id = session_id
      }
      const claim = await claimOnce(request, reply, (once) => store.next(caller, body, once)).catch(
        async (error: unknown) => {
          if (error instanceof LeaseLost) throw await leaseLost(caller, error.task_id)
          throw error instanceof UnknownBatch ? new ApiError('batch_not_found') : error
        },
      )
      metrics.claimed(claim)
      return claim.json
    },
  )

  app.post(
    '/:task_id/claim',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'claimTask',
        tags,
        summary: 'Claim a task',
        description:
          'Leases this task to the worker, also before its `not_before`. To work through a plan, claim the next task instead.',
        params: TaskParams,
        body: ref(TaskClaimRequest),
        response: {
          200: success('The claimed task with its lease.', ref(TaskLease)),
          ...problems(
            'task_not_found',
            'task_claimed',
            'task_blocked',
            'task_completed',
            ...bodyProblems,
            ...commonProblems,
          ),
        },
      },
    },
    async ({ caller, params, body }) => {
      const claimed = await store.one(caller, params.task_id, body)
      if (claimed === undefined) throw notFree(await currentTask(caller, params.task_id), body.worker)
      metrics.claimed({ outcome: 'created', claimed: 1, tookOver: Number(claimed.tookOver) })
      return claimed.json
    },
  )

  app.post(
    '/:task_id/renew',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'renewLease',
        tags,
        summary: 'Renew a lease',
        description:
          'Makes the lease last `lease_seconds` from now, also if it has expired and nobody has claimed the task since. The `updated_at` of the task stays.',
        params: TaskParams,
        body: ref(RenewRequest),
        response: {
          200: success('The task with the renewed lease.', ref(TaskLease)),
          ...problems('task_not_found', 'lease_lost', ...bodyProblems, ...commonProblems),
        },
      },
    },
    async ({ caller, params, body }) => {
      const renewed = await store.renew(caller, params.task_id, body)
      if (renewed === undefined) throw await leaseLost(caller, params.task_id)
      return renewed
    },
  )

  app.post(
    '/:task_id/release',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'releaseTask',
        tags,
        summary: 'Release a task',
        description:
          'Gives a claimed task back: it is `pending` again. With `not_before`, it becomes ready only then.',
        params: TaskParams,
        body: ref(ReleaseRequest),
        response: {
          200: success('The task, pending again.', ref(Task), etagHeader),
          ...problems('task_not_found', 'lease_lost', ...bodyProblems, ...commonProblems),
        },
      },
    },
    async ({ caller, params, body }, reply) => {
      const released = await store.release(caller, params.task_id, body)
      if (released === undefined) throw await leaseLost(caller, params.task_id)
      reply.header('etag', etagOf(released.version))
      return released.json
    },
  )
}

const NO_SCOPE = {
  in: 'body' as const,
  path: 'session_id',
  message: 'is required, unless batch_id or done is given',
}

/** Why a task cannot be claimed, and what to do. */
function notFree(current: Task, worker: string): ApiError {
  if (current.status === 'completed') return new ApiError('task_completed')
  const { claimed_by, lease_expires_at } = current
  const detail =
    claimed_by === null
      ? 'Someone works on this task without a lease. Work on another task: claim one without naming it, at POST /api/v1/tasks/claim. To take it over, set its `status` to `pending` first.'
      : claimed_by === worker
        ? `This worker holds the task already, until ${lease_expires_at}. If you lost the token, get a new one with \`"resume": true\` at POST /api/v1/tasks/claim.`
        : `Worker \`${claimed_by}\` holds this task until ${lease_expires_at}. Work on another task: claim one without naming it, at POST /api/v1/tasks/claim.`
  return new ApiError('task_claimed', detail, {}, { current })
}
