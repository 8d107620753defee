/** The batch operations over HTTP. */

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sessionFor } from '../access/session.js'
import { toJson } from '../db/json.js'
import { loadOfList, needsScan } from '../http/admission.js'
import { pageOf, positionOf } from '../http/paging.js'
import { ApiError, commonProblems, createProblems, problems, validationError } from '../http/problem.js'
import { oneOf, ref, refOrNull, success } from '../http/schemas.js'
import { toTimestamp } from '../http/timestamp.js'
import { CreateHeaders, createOnceFrom, replayedHeader } from '../idempotency/header.js'
import { MAX_TASKS } from '../tasks/schemas.js'
import type { Metrics } from '../telemetry/metrics.js'
import {
  Batch,
  BatchCreate,
  BatchExtend,
  BatchFieldsPage,
  BatchListQuery,
  BatchPage,
  BatchParams,
  LatestBatchQuery,
} from './schemas.js'
import { BatchFull, type BatchStore, BatchTooLarge, MAX_BYTES, UnknownBatch } from './store.js'

const tags = ['batches']

interface BatchRoutesOptions {
  store: BatchStore
  metrics: Metrics
}

export const batchRoutes: FastifyPluginAsyncTypebox<BatchRoutesOptions> = async (app, { store, metrics }) => {
  const createOnce = createOnceFrom(app, BatchCreate)
  const extendOnce = createOnceFrom(app, BatchExtend)
  app.post(
    '',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'createBatch',
        tags,
        summary: 'Create a batch of tasks',
        description:
          'Saves a learning path: creates up to 500 tasks in one transaction, in the order in which to work on them.',
        headers: CreateHeaders,
        body: ref(BatchCreate),
        response: {
          201: success('The new batch with its tasks.', ref(Batch), replayedHeader),
          ...problems('task_blocked', 'dependency_cycle', ...createProblems, ...commonProblems),
        },
      },
    },
    async (request, reply) => {
      // Before a key is looked up: what it stands for may be in a session that is not the caller's any more.
      request.body.session_id = sessionFor(request.caller, request.body.session_id)
      const batch = await createOnce(request, reply, (once) =>
        store.create(request.caller, request.body, once),
      )
      metrics.created(batch.outcome, request.body.tasks)
      return batch.json
    },
  )

  app.get(
    '',
    {
      config: { load: loadOfList },
      schema: {
        operationId: 'listBatches',
        tags,
        summary: 'List batches',
        description:
          'Returns batches with their tasks, newest first, one page at a time. With `fields=reason,progress`, only how far they are. A page of more than 8 MiB is not returned; the error names a `limit` that fits.',
        querystring: BatchListQuery,
        response: {
          200: success('One page of batches.', oneOf(BatchPage, BatchFieldsPage)),
          ...problems('answer_too_large', ...commonProblems),
        },
      },
    },
    async (request) => {
      const { caller, query, load } = request
      const after = positionOf(caller, query, isTime)
      if (load !== 'scan') {
        const found = await store.listFew(caller, query, after)
        return found === undefined ? needsScan(request) : pageOf(found, caller, query)
      }
      const { items, largest, ...found } = await store.list(caller, query, after)
      if (items === null) {
        const fitting = Math.floor(MAX_BYTES / largest)
        const advice = fitting > 0 ? `Send \`limit=${fitting}\` or less, or ask` : 'Ask'
        throw new ApiError(
          'answer_too_large',
          `These batches have more than 8 MiB of JSON. ${advice} for other \`fields\` than \`tasks\`, such as \`fields=reason,progress\`.`,
        )
      }
      return pageOf({ items, ...found }, caller, query)
    },
  )

  app.get(
    '/latest',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'latestBatch',
        tags,
        summary: 'Get the latest batch',
        description:
          'Returns the most recently created batch with its current tasks, which shows the progress of the learner. With `session_id`, returns the latest batch of that session. If there is no batch, returns the JSON value `null`, not an error.',
        querystring: LatestBatchQuery,
        response: {
          200: success('The latest batch, or null.', refOrNull(Batch)),
          ...problems('answer_too_large', ...commonProblems),
        },
      },
    },
    async (request) =>
      (await store.latest(request.caller, request.query.session_id).catch(explain)) ?? toJson(null),
  )

  app.get(
    '/:batch_id',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'getBatch',
        tags,
        summary: 'Get a batch',
        description: 'Returns one batch with its current tasks, in the order in which they were created.',
        params: BatchParams,
        response: {
          200: success('The batch.', ref(Batch)),
          ...problems('batch_not_found', 'answer_too_large', ...commonProblems),
        },
      },
    },
    async (request) => {
      const batch = await store.get(request.caller, request.params.batch_id).catch(explain)
      if (batch === undefined) throw new ApiError('batch_not_found')
      return batch
    },
  )

  app.post(
    '/:batch_id/tasks',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'extendBatch',
        tags,
        summary: 'Append tasks to a batch',
        description: `Appends up to 500 tasks to a plan, in one transaction; a batch has at most ${MAX_TASKS}. Their \`blocked_by\` can name the keys of all tasks of the batch. Returns the whole batch.`,
        params: BatchParams,
        headers: CreateHeaders,
        body: ref(BatchExtend),
        response: {
          201: success('The batch with all its tasks.', ref(Batch), replayedHeader),
          ...problems(
            'batch_not_found',
            'task_blocked',
            'dependency_cycle',
            'answer_too_large',
            ...createProblems,
            ...commonProblems,
          ),
        },
      },
    },
    async (request, reply) => {
      const { caller, params, body } = request
      const batch = await extendOnce(request, reply, (once) =>
        store.extend(caller, params.batch_id, body.tasks, once),
      ).catch(explain)
      metrics.created(batch.outcome, body.tasks)
      return batch.json
    },
  )
}

const isTime = (key: string | null) => key !== null && toTimestamp(key) !== undefined

/** Throws the error for the caller. */
function explain(error: unknown): never {
  if (error instanceof UnknownBatch) throw new ApiError('batch_not_found')
  if (error instanceof BatchTooLarge) {
    throw new ApiError(
      'answer_too_large',
      'The batch has more than 8 MiB of JSON. List its tasks with GET /api/v1/tasks?batch_id=<id>.',
    )
  }
  if (error instanceof BatchFull) {
    const message = `must have at most ${error.room} items: a batch has at most ${MAX_TASKS} tasks. Create another batch`
    throw validationError([{ in: 'body', path: 'tasks', message }])
  }
  throw error
}
