/** The rows that travel between databases and files: every column of the tables, with the rules of the API. */

import { type TSchema, Type } from '@sinclair/typebox'
import { Batch, BatchCreate } from '../batches/schemas.js'
import type { batches, tasks } from '../db/tables.js'
import { Strict } from '../http/schemas.js'
import { toTimestamp } from '../http/timestamp.js'
import { createCompiler, explain, phrase } from '../http/validation.js'
import { Task, TaskCreate, TaskPlan } from '../tasks/schemas.js'

/** What callers set has the rules of a create: a field that may be left out there may be missing in an older export. */
const {
  tasks: _tasks,
  progress: _progress,
  ...batchFields
} = { ...Batch.properties, ...BatchCreate.properties }
const BatchRow = Strict(batchFields satisfies Schemas<typeof batches.$inferSelect>)

const { is_ready: _is_ready, ...taskFields } = {
  ...Task.properties,
  ...TaskPlan.properties,
  ...TaskCreate.properties,
}
const count = Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })
const TaskRow = Strict({
  ...taskFields,
  attempts: { ...count, default: 0 },
  claimed_by: Type.Optional(taskFields.claimed_by),
  lease_expires_at: Type.Optional(taskFields.lease_expires_at),
  position: count,
} satisfies Schemas<Omit<typeof tasks.$inferSelect, 'lease_token'>>)

type Schemas<Row> = { [Name in keyof Row]: TSchema }

/** Batches go first: tasks refer to them. */
export const TABLES = ['batches', 'tasks'] as const
export type Table = (typeof TABLES)[number]

export type Row = typeof batches.$inferSelect | typeof tasks.$inferSelect

/** A row that was not checked yet. */
export type GivenRow = Record<string, unknown>

export type Checked =
  /** A valid row; `repaired` lists what had to be changed for that. */
  | { row: Row; repaired: string[] }
  /** What is wrong with it, if there is not exactly one way to repair it. */
  | { mistake: string }

/** Checks rows by the rules of the API, and repairs what has one possible meaning. */
export function createCheck(): (table: Table, given: GivenRow) => Checked {
  const compile = createCompiler([])
  const checks = { batches: compile(BatchRow), tasks: compile(TaskRow) }
  return (table, given) => {
    const row = withTimestamps(given)
    const repaired = table === 'tasks' ? repair(row) : []
    const invalid = checks[table](row)
    if (invalid === undefined) return { row: row as Row, repaired }
    return { mistake: explain(invalid, 3).errors.map(phrase).join('; ') }
  }
}

const timestamps = Object.entries<TSchema>({ ...BatchRow.properties, ...TaskRow.properties })
  .filter(([, schema]) => schema.format === 'date-time')
  .map(([name]) => name)

/** Timestamps in UTC: the database would read one without an offset in its own time zone. */
function withTimestamps(given: GivenRow): GivenRow {
  const row = { ...given }
  for (const name of timestamps) {
    const value = row[name]
    if (typeof value === 'string') row[name] = toTimestamp(value) ?? value
  }
  return row
}

/** Repairs a task in place, and returns what it repaired. */
function repair(task: GivenRow): string[] {
  const repaired: string[] = []
  if (task.updated_at === null) {
    task.updated_at = task.completed_at ?? task.created_at
    repaired.push('updated_at was missing: set to completed_at or created_at')
  }
  if (task.status === 'completed' && task.completed_at === null) {
    task.completed_at = task.updated_at
    repaired.push('completed without completed_at: set to updated_at')
  }
  if (task.status !== 'completed' && task.completed_at !== null) {
    task.completed_at = null
    repaired.push('not completed, but with completed_at: cleared')
  }
  return repaired
}
