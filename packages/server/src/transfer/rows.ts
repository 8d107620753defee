/** The rows that travel between databases and files: every column of the tables, with the rules of the API. */

import { type Static, Type } from '@sinclair/typebox'
import { Batch, BatchCreate } from '../batches/schemas.js'
import { Strict } from '../http/schemas.js'
import { toTimestamp } from '../http/timestamp.js'
import { createCompiler, explain, phrase } from '../http/validation.js'
import { Task, TaskCreate } from '../tasks/schemas.js'

const BatchRow = Strict({
  id: Batch.properties.id,
  session_id: Batch.properties.session_id,
  reason: BatchCreate.properties.reason,
  created_at: Batch.properties.created_at,
})
type BatchRow = Static<typeof BatchRow>

const TaskRow = Strict({
  id: Task.properties.id,
  session_id: Task.properties.session_id,
  batch_id: Task.properties.batch_id,
  position: Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 }),
  title: TaskCreate.properties.title,
  description: TaskCreate.properties.description,
  status: Task.properties.status,
  priority: Task.properties.priority,
  due_date: Task.properties.due_date,
  completed_at: Task.properties.completed_at,
  created_at: Task.properties.created_at,
  updated_at: Task.properties.updated_at,
})
type TaskRow = Static<typeof TaskRow>

/** Batches go first: tasks refer to them. */
export const TABLES = ['batches', 'tasks'] as const
export type Table = (typeof TABLES)[number]

export type Row = BatchRow | TaskRow

/** A row as somebody else wrote it. */
export type GivenRow = Record<string, unknown>

export type Checked =
  /** A row that keeps the rules; `mended` tells what had to be changed for that. */
  | { row: Row; mended: string[] }
  /** What is wrong with it, where that has no one remedy. */
  | { mistake: string }

/** Checks rows by the rules of the API, and mends what can be meant in one way only. */
export function createCheck(): (table: Table, given: GivenRow) => Checked {
  const compile = createCompiler([])
  const checks = { batches: compile(BatchRow), tasks: compile(TaskRow) }
  return (table, given) => {
    const row = withTimestamps(given)
    const mended = table === 'tasks' ? mend(row) : []
    const check = checks[table]
    if (check(row)) return { row: row as Row, mended }
    return { mistake: explain(check, 3).errors.map(phrase).join('; ') }
  }
}

const moments = ['due_date', 'completed_at', 'created_at', 'updated_at']

/** Times in UTC: the database would read one without an offset in a time zone of its own. */
function withTimestamps(given: GivenRow): GivenRow {
  const row = { ...given }
  for (const name of moments) {
    const value = row[name]
    if (typeof value === 'string') row[name] = toTimestamp(value) ?? value
  }
  return row
}

/** Mends a task in place, and tells what. */
function mend(task: GivenRow): string[] {
  const mended: string[] = []
  if (task.updated_at === null) {
    task.updated_at = task.completed_at ?? task.created_at
    mended.push('updated_at was missing: set to completed_at or created_at')
  }
  if (task.status === 'completed' && task.completed_at === null) {
    task.completed_at = task.updated_at
    mended.push('completed without completed_at: set to updated_at')
  }
  if (task.status !== 'completed' && task.completed_at !== null) {
    task.completed_at = null
    mended.push('not completed, but with completed_at: cleared')
  }
  return mended
}
