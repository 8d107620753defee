/** The schemas of restoring. The OpenAPI document is generated from them, so descriptions are documentation. */
import { type Static, Type } from '@sinclair/typebox'
import { ref, Strict } from '../http/schemas.js'
import { example, idsTo, notFound, Task } from '../tasks/schemas.js'

export const TaskRestore = Strict(
  { ids: idsTo('restore') },
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
