/** The batch operations over HTTP. */

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sessionFor } from '../access/session.js'
import { loadOfList } from '../http/admission.js'
import { pageOf } from '../http/paging.js'
import { ApiError, commonProblems, createProblems, problems } from '../http/problem.js'
import { answer, ref, refOrNull } from '../http/schemas.js'
import { CreateHeaders, createOnce, replayedHeader } from '../idempotency/header.js'
import type { Metrics } from '../telemetry/metrics.js'
import { Batch, BatchCreate, BatchListQuery, BatchPage, BatchParams, LatestBatchQuery } from './schemas.js'
import type { BatchStore } from './store.js'

const tags = ['batches']

interface BatchRoutesOptions {
  store: BatchStore
  metrics: Metrics
}

export const batchRoutes: FastifyPluginAsyncTypebox<BatchRoutesOptions> = async (app, { store, metrics }) => {
  app.post(
    '',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'createBatch',
        tags,
        summary: 'Create a batch of tasks',
        description:
          'Writes down a learning path: up to 500 tasks in the order to work through, in one call, whole or not at all.',
        headers: CreateHeaders,
        body: ref(BatchCreate),
        response: {
          201: answer('The new batch with its tasks.', ref(Batch), replayedHeader),
          ...problems(...createProblems, ...commonProblems),
        },
      },
    },
    async (request, reply) => {
      // Before a key is looked up: what it stands for may be in a session that is not the caller's any more.
      request.body.session_id = sessionFor(request.caller, request.body.session_id)
      const batch = await createOnce(request, reply, (once) => store.create(request.body, once))
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
        description: 'Answers batches with their tasks, newest first, a page at a time.',
        querystring: BatchListQuery,
        response: {
          200: answer('A page of batches.', ref(BatchPage)),
          ...problems(...commonProblems),
        },
      },
    },
    async (request) => pageOf(await store.list(request.caller, request.query), request.query),
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
          'Answers the batch created last, with its tasks as they are now: where the learner stands. With `session_id`, the latest of that session. Where there is none yet the answer is the JSON value `null`, not an error.',
        querystring: LatestBatchQuery,
        response: {
          200: answer('The latest batch, or null.', refOrNull(Batch)),
          ...problems(...commonProblems),
        },
      },
    },
    async (request) => (await store.latest(request.caller, request.query.session_id)) ?? 'null',
  )

  app.get(
    '/:batch_id',
    {
      config: { load: 'ordinary' },
      schema: {
        operationId: 'getBatch',
        tags,
        summary: 'Get a batch',
        description: 'Answers one batch with its tasks as they are now, in the order they were given.',
        params: BatchParams,
        response: {
          200: answer('The batch.', ref(Batch)),
          ...problems('batch_not_found', ...commonProblems),
        },
      },
    },
    async (request) => {
      const batch = await store.get(request.caller, request.params.batch_id)
      if (batch === undefined) throw new ApiError('batch_not_found')
      return batch
    },
  )
}
