/** The batch operations over HTTP. */

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sessionFor } from '../access/session.js'
import { toJson } from '../db/json.js'
import { loadOfList, needsScan } from '../http/admission.js'
import { pageOf } from '../http/paging.js'
import { ApiError, commonProblems, createProblems, problems } from '../http/problem.js'
import { ref, refOrNull, success } from '../http/schemas.js'
import { CreateHeaders, createOnceFrom, replayedHeader } from '../idempotency/header.js'
import type { Metrics } from '../telemetry/metrics.js'
import { Batch, BatchCreate, BatchListQuery, BatchPage, BatchParams, LatestBatchQuery } from './schemas.js'
import { type BatchStore, MAX_PAGE_BYTES } from './store.js'

const tags = ['batches']

interface BatchRoutesOptions {
  store: BatchStore
  metrics: Metrics
}

export const batchRoutes: FastifyPluginAsyncTypebox<BatchRoutesOptions> = async (app, { store, metrics }) => {
  const createOnce = createOnceFrom(app, BatchCreate)
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
        description:
          'Returns batches with their tasks, newest first, one page at a time. A page of more than 8 MiB is not returned; the error names a `limit` that fits.',
        querystring: BatchListQuery,
        response: {
          200: success('One page of batches.', ref(BatchPage)),
          ...problems('answer_too_large', ...commonProblems),
        },
      },
    },
    async (request) => {
      const { caller, query, load } = request
      if (load !== 'scan') {
        const found = await store.listFew(caller, query)
        return found === undefined ? needsScan(request) : pageOf(found, query)
      }
      const { items, largest, total } = await store.list(caller, query)
      if (items === null) {
        const fitting = Math.floor(MAX_PAGE_BYTES / largest)
        throw new ApiError(
          'answer_too_large',
          `These batches have more than 8 MiB of JSON. Send \`limit=${fitting}\` or less, or list their tasks with GET /api/v1/tasks?batch_id=<id>.`,
        )
      }
      return pageOf({ items, total }, query)
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
          ...problems(...commonProblems),
        },
      },
    },
    async (request) => (await store.latest(request.caller, request.query.session_id)) ?? toJson(null),
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
