/** The schemas of batches. The OpenAPI document is generated from them, so descriptions are documentation. */

import { type Static, Type } from '@sinclair/typebox'
import { PageOf, pageParameters } from '../http/paging.js'
import { Nullable, ref, returned, Strict, Text, Timestamp, Uuid, UuidFilter } from '../http/schemas.js'
import type { Synonyms } from '../http/suggest.js'
import { example, MAX_ITEMS, Task, TaskCreate } from '../tasks/schemas.js'

const session_id = Nullable(
  Uuid('The session that the batch and its tasks belong to, or null.', example.session_id),
)
const reason = Text(
  10_000,
  'Why the batch was planned: up to 10000 characters, or null.',
  'Kubernetes 기초 학습을 위한 단계별 과제입니다.',
)

export const Batch = Type.Object(
  {
    id: Uuid('The id of the batch, a UUIDv7.', example.batch_id),
    session_id,
    reason: Nullable(returned(reason)),
    created_at: Timestamp('When it was created.', '2025-12-06T10:00:00.000Z'),
    tasks: Type.Array(ref(Task), {
      description:
        'Its current tasks, in the order in which they were created. Deleted tasks are not included.',
    }),
  },
  { $id: 'Batch', description: 'A plan: the tasks of one learning path, created in one call.' },
)
export type Batch = Static<typeof Batch>

export const BatchCreate = Strict(
  {
    session_id: Type.Optional(session_id),
    reason: Type.Optional(Nullable(reason)),
    tasks: Type.Array(ref(TaskCreate), {
      minItems: 1,
      maxItems: MAX_ITEMS,
      description: `The tasks in the order in which to work on them, 1 to ${MAX_ITEMS}.`,
    }),
  },
  {
    $id: 'BatchCreate',
    description: 'A new batch with all its tasks, created in one transaction.',
    examples: [
      {
        session_id: example.session_id,
        reason: 'Kubernetes 기초 학습을 위한 단계별 과제입니다.',
        tasks: [
          { title: 'Pod 개념 이해하기', priority: 'high' },
          { title: 'nginx Pod 생성하기', priority: 'high' },
          { title: 'Pod 로그 확인하기', priority: 'medium' },
          { title: 'Pod 삭제하기', priority: 'low' },
        ],
      },
    ],
  },
)
export type BatchCreate = Static<typeof BatchCreate>

export const BatchPage = PageOf(Batch)

const ofSession = {
  session_id: Type.Optional(UuidFilter('Only batches of this session.')),
}

export const BatchListQuery = Strict({ ...pageParameters, ...ofSession })
export type BatchListQuery = Static<typeof BatchListQuery>

export const LatestBatchQuery = Strict(ofSession)
export type LatestBatchQuery = Static<typeof LatestBatchQuery>

export const BatchParams = Type.Object({ batch_id: Uuid('The id of the batch.', example.batch_id) })

/** Other words for the fields of batches. */
export const batchSynonyms: Synonyms = { why: ['reason'], goal: ['reason'] }

/** The schemas that are named components of the OpenAPI document. */
export const batchComponents = [Batch, BatchCreate, BatchPage]
