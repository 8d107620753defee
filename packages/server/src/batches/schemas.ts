/** The schemas of batches. The OpenAPI document is generated from them, so descriptions are documentation. */

import { type Static, Type } from '@sinclair/typebox'
import { FieldsPageOf, fieldsParameter, PageOf, pageParameters } from '../http/paging.js'
import { Nullable, ref, returned, Strict, Text, Timestamp, Uuid, UuidFilter } from '../http/schemas.js'
import type { Synonyms } from '../http/suggest.js'
import { example, MAX_ITEMS, metadata, Progress, Task, TaskPlan } from '../tasks/schemas.js'

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
    metadata: Type.Unsafe<Record<string, unknown>>({
      type: 'object',
      description: 'What an agent keeps with the batch; `{}` if nothing.',
      examples: [{}],
    }),
    created_at: Timestamp('When it was created.', '2025-12-06T10:00:00.000Z'),
    progress: ref(Progress),
    tasks: Type.Array(ref(Task), {
      description:
        'Its current tasks, in the order in which they were created. Deleted tasks are not included.',
    }),
  },
  { $id: 'Batch', description: 'A plan: the tasks of one learning path, created in one call.' },
)
export type Batch = Static<typeof Batch>

const planned = (what: string) =>
  Type.Array(ref(TaskPlan), {
    minItems: 1,
    maxItems: MAX_ITEMS,
    description: `${what}, 1 to ${MAX_ITEMS}.`,
  })

export const BatchCreate = Strict(
  {
    session_id: Type.Optional(session_id),
    reason: Type.Optional(Nullable(reason)),
    metadata: Type.Optional(
      metadata('Anything that the agent wants to keep with the batch: a JSON object of up to 8 KiB.'),
    ),
    tasks: planned('The tasks in the order in which to work on them'),
  },
  {
    $id: 'BatchCreate',
    description: 'A new batch with all its tasks, created in one transaction.',
    examples: [
      {
        session_id: example.session_id,
        reason: 'Kubernetes 기초 학습을 위한 단계별 과제입니다.',
        tasks: [
          { key: 'learn-pod', title: 'Pod 개념 이해하기', priority: 'high' },
          { key: 'create-pod', title: 'nginx Pod 생성하기', priority: 'high', blocked_by: ['learn-pod'] },
          { key: 'read-logs', title: 'Pod 로그 확인하기', priority: 'medium', blocked_by: ['create-pod'] },
          { title: 'Pod 삭제하기', priority: 'low', blocked_by: ['read-logs'] },
        ],
      },
    ],
  },
)
export type BatchCreate = Static<typeof BatchCreate>

export const BatchExtend = Strict(
  { tasks: planned('The tasks to append') },
  {
    $id: 'BatchExtend',
    description: 'Tasks that turned up on the way. Their `blocked_by` can name keys of the whole batch.',
    examples: [{ tasks: [{ key: 'fix-image', title: '이미지 이름 고치기', blocked_by: ['create-pod'] }] }],
  },
)
export type BatchExtend = Static<typeof BatchExtend>

export const BatchPage = PageOf(Batch)
export const BatchFieldsPage = FieldsPageOf(Batch)

const ofSession = {
  session_id: Type.Optional(UuidFilter('Only batches of this session.')),
}

export const BATCH_FIELDS = Object.keys(Batch.properties) as (keyof Batch)[]

export const BatchListQuery = Strict({
  ...pageParameters,
  ...ofSession,
  fields: fieldsParameter(BATCH_FIELDS, ['reason', 'progress']),
})
export type BatchListQuery = Static<typeof BatchListQuery>

export const LatestBatchQuery = Strict(ofSession)
export type LatestBatchQuery = Static<typeof LatestBatchQuery>

export const BatchParams = Type.Object({ batch_id: Uuid('The id of the batch.', example.batch_id) })

/** Other words for the fields of batches. */
export const batchSynonyms: Synonyms = { why: ['reason'], goal: ['reason'] }

/** The schemas that are named components of the OpenAPI document. */
export const batchComponents = [Batch, BatchCreate, BatchExtend, BatchPage, BatchFieldsPage]
