/** The schemas of claims. The OpenAPI document is generated from them, so descriptions are documentation. */
import { type Static, Type } from '@sinclair/typebox'
import {
  Defaulted,
  Nullable,
  ref,
  refOrNull,
  Strict,
  Text,
  Timestamp,
  TimestampInput,
  Uuid,
} from '../http/schemas.js'
import type { Synonyms } from '../http/suggest.js'
import { example, metadata, note, Progress, result, Task } from '../tasks/schemas.js'

const token = (description: string) => Uuid(description, '0b3f8a52-6a0e-4c6e-9b7f-3d1c2a4e5f60')

const worker = Text(
  128,
  'The name of the worker, 1 to 128 characters: unique among the agents that work on the plan, and the same after a restart.',
  'agent-1',
  { minLength: 1, pattern: '\\S' },
)
const lease_seconds = Defaulted(
  Type.Integer({
    minimum: 10,
    maximum: 86_400,
    default: 900,
    description:
      'After how many seconds another worker can claim the task, from 10 to 86400. Renew the lease before that, about every third of this time.',
  }),
)

export const Lease = Type.Object(
  {
    token: token(
      'Keep it: renew, release and `done` need it, and it is the header `Lease-Token` of other changes. It is in no other response.',
    ),
    expires_at: Timestamp('When the lease expires unless it is renewed.', '2025-12-06T10:15:00.000Z'),
  },
  { $id: 'Lease', description: 'The right to work on a task for some time.' },
)
export type Lease = Static<typeof Lease>

const done = Strict(
  {
    task_id: Uuid('The task that is completed.', example.task_id),
    token: token('The token of its lease.'),
    result: Type.Optional(Nullable(result)),
    metadata: Type.Optional(metadata('Merged into the metadata of the completed task (RFC 7396).')),
    note: Type.Optional(
      note('What the next one should know, 1 to 1000 characters. It is kept in the event, not on the task.'),
    ),
  },
  {
    description:
      'The task that the worker has finished. It is completed and the next one claimed in one transaction, so the next can be a task that waited for it. If its lease is lost, nothing happens.',
  },
)

export const ClaimRequest = Strict(
  {
    worker,
    session_id: Type.Optional(Uuid('Only tasks of this session.', example.session_id)),
    batch_id: Type.Optional(Uuid('Only tasks of this batch.', example.batch_id)),
    lease_seconds,
    done: Type.Optional(done),
    resume: Defaulted(
      Type.Boolean({
        default: false,
        description:
          'Whether to return the task that this worker holds already, if it holds one, with a new token. The old token is lost. Use it after a restart, or when a response was lost.',
      }),
    ),
    max_attempts: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 100,
        description: 'Leaves out tasks that were claimed this often, from 1 to 100.',
        examples: [3],
      }),
    ),
  },
  {
    $id: 'ClaimRequest',
    description:
      'What to claim. Requires `session_id` or `batch_id`, unless `done` is given: then the next task comes from the session of the completed one.',
    examples: [{ worker: 'agent-1', session_id: example.session_id }],
  },
)
export type ClaimRequest = Static<typeof ClaimRequest>

export const Claim = Type.Object(
  {
    task: Type.Unsafe<Task | null>({
      ...refOrNull(Task),
      description: 'The claimed task, now `in_progress`; null if no task is ready.',
    }),
    lease: Type.Unsafe<Lease | null>({ ...refOrNull(Lease), description: 'Its lease; null without a task.' }),
    progress: Type.Unsafe<Progress | null>({
      ...refOrNull(Progress),
      description:
        'Why no task is ready; null with a task. If `in_progress` or `deferred` is not 0, ask again later. If `completed` equals `total`, the plan is done.',
    }),
  },
  { $id: 'Claim', description: 'A claimed task with its lease, or why there is none.' },
)
export type Claim = Static<typeof Claim>

export const TaskClaimRequest = Strict(
  { worker, lease_seconds },
  {
    $id: 'TaskClaimRequest',
    description: 'Who claims the task, and for how long.',
    examples: [{ worker: 'agent-1' }],
  },
)
export type TaskClaimRequest = Static<typeof TaskClaimRequest>

export const RenewRequest = Strict(
  { token: token('The token of the lease.'), lease_seconds },
  {
    $id: 'RenewRequest',
    description: 'Which lease to renew, and for how long from now.',
    examples: [{ token: '0b3f8a52-6a0e-4c6e-9b7f-3d1c2a4e5f60' }],
  },
)
export type RenewRequest = Static<typeof RenewRequest>

export const ReleaseRequest = Strict(
  {
    token: token('The token of the lease.'),
    not_before: Type.Optional(
      TimestampInput('When it becomes ready again, such as a retry in ten minutes.', '2025-12-06T10:25:00Z'),
    ),
    note: Type.Optional(
      note('Why it is given back, 1 to 1000 characters. It is kept in the event, not on the task.'),
    ),
  },
  {
    $id: 'ReleaseRequest',
    description: 'Which lease to give back.',
    examples: [{ token: '0b3f8a52-6a0e-4c6e-9b7f-3d1c2a4e5f60' }],
  },
)
export type ReleaseRequest = Static<typeof ReleaseRequest>

export const TaskLease = Type.Object(
  { task: ref(Task), lease: ref(Lease) },
  { $id: 'TaskLease', description: 'A task with the lease of the caller.' },
)
export type TaskLease = Static<typeof TaskLease>

/** Other words for the fields of claims. */
export const claimSynonyms: Synonyms = {
  agent: ['worker'],
  workerid: ['worker'],
  agentid: ['worker'],
  assignee: ['worker'],
  ttl: ['lease_seconds'],
  lease: ['lease_seconds', 'token'],
  timeout: ['lease_seconds'],
  seconds: ['lease_seconds'],
  leasetoken: ['token'],
  delay: ['not_before'],
  retryat: ['not_before'],
  attempts: ['max_attempts'],
}

/** The schemas that are named components of the OpenAPI document. */
export const claimComponents = [
  Lease,
  Claim,
  ClaimRequest,
  TaskClaimRequest,
  TaskLease,
  RenewRequest,
  ReleaseRequest,
]
