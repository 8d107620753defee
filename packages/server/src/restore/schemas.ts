/** The schemas of restoring. The OpenAPI document is generated from them, so descriptions are documentation. */
import { type Static, Type } from '@sinclair/typebox'
import { ref, Strict, Uuid } from '../http/schemas.js'
import { example, MAX_ITEMS, notFound, Task } from '../tasks/schemas.js'

export const TaskRestore = Strict(
  {
    ids: Type.Array(Uuid('The id of a deleted task.', example.task_id), {
      minItems: 1,
      maxItems: MAX_ITEMS,
      description: `The ids of the tasks to restore, 1 to ${MAX_ITEMS}. A repeated id counts once.`,
    }),
  },
  {
    $id: 'TaskRestore',
    description: 'Deleted tasks to restore in one transaction.',
    examples: [{ ids: [example.task_id] }],
  },
)
export type TaskRestore = Static<typeof TaskRestore>

export const TaskRestoreResult = Type.Object(
  {
    restored: Type.Array(ref(Task), {
      description: 'The tasks, in the order of the request, also those that were not deleted.',
    }),
    not_found: notFound,
  },
  { $id: 'TaskRestoreResult', description: 'The result of a restore.' },
)
export type TaskRestoreResult = Static<typeof TaskRestoreResult>

/** The schemas that are named components of the OpenAPI document. */
export const restoreComponents = [TaskRestore, TaskRestoreResult]
