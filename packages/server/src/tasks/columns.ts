/** The one list of a task's columns, from which every insert, select, update and export comes. */
import { type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import { notationOf, objectAsText } from '../db/json.js'
import { plain, timestamp } from '../db/sql.js'
import { tasks } from '../db/tables.js'
import { hasOpenBlocker, isReady } from './ready.js'
import type { Task, TaskChanges, TaskCreate, TaskPlan } from './schemas.js'

type Row = typeof tasks.$inferSelect
type Field = keyof (Task & TaskCreate & TaskPlan & TaskChanges)

/** A column must have the type of the field in responses, and be changeable if the schema of an update has it. */
type Column<Name> = {
  /** How it is read: as it is, or as a timestamp. */
  read: Row extends Record<Name & string, Name extends keyof Task ? Task[Name] : unknown>
    ? typeof plain | typeof timestamp
    : never
} & (Name extends keyof TaskChanges ? { changeable: true } : { changeable?: false }) &
  (Name extends keyof Task ? { hidden?: false } : { hidden: true | 'secret' })

/** A field that is computed when a task is read. */
type Computed = { compute: (blocked: SQL) => SQL }

/** In the order of the fields in responses. If the table or the schemas have other columns, it is a type error. */
const columns = {
  id: { read: plain },
  session_id: { read: plain },
  batch_id: { read: plain },
  key: { read: plain },
  title: { read: plain, changeable: true },
  description: { read: plain, changeable: true },
  status: { read: plain, changeable: true },
  priority: { read: plain, changeable: true },
  due_date: { read: timestamp, changeable: true },
  blocked_by: { read: plain, changeable: true },
  is_ready: { compute: isReady },
  not_before: { read: timestamp, changeable: true },
  attempts: { read: plain },
  claimed_by: { read: plain },
  lease_expires_at: { read: timestamp },
  result: { read: plain, changeable: true },
  metadata: { read: plain, changeable: true },
  completed_at: { read: timestamp },
  created_at: { read: timestamp },
  updated_at: { read: timestamp },
  position: { read: plain, hidden: true },
  // A secret that allows to complete the task: only the response of the claim contains it, and no export does.
  lease_token: { read: plain, hidden: 'secret' },
} satisfies { [Name in keyof Row | Field]: Name extends keyof Row ? Column<Name> : Computed }

type AnyColumn = { read: typeof plain | typeof timestamp; changeable?: boolean; hidden?: boolean | 'secret' }
const list = Object.entries(columns) as [keyof Row, AnyColumn | Computed][]
const stored = list.filter((entry): entry is [keyof Row, AnyColumn] => 'read' in entry[1])

const read = ([name, column]: [keyof Row, AnyColumn | Computed], blocked: SQL): [string, SQL.Aliased] => [
  name,
  'read' in column ? column.read(tasks[name]) : column.compute(blocked).as(name),
]

/** The columns of a task that an export has. */
export const rowColumns = Object.fromEntries(
  stored.filter(([, { hidden }]) => hidden !== 'secret').map((entry) => read(entry, sql`false`)),
) as Record<Exclude<keyof Row, 'lease_token'>, SQL.Aliased<string>>

/**
 * The fields of a task in responses, read from the table or from rows with its columns.
 *
 * @param blocked Whether the task has an open blocker, by default as the statement finds its blockers.
 */
export const taskFields = (blocked: SQL = hasOpenBlocker()) =>
  Object.fromEntries(
    list.filter(([, column]) => !('hidden' in column)).map((entry) => read(entry, blocked)),
  ) as Record<keyof Task, SQL.Aliased<string>>

/**
 * The same fields as the text of a JSON object.
 *
 * @param names Those that are wanted.
 */
export const taskAsText = (names: readonly (keyof Task)[], blocked?: SQL): SQL => {
  const fields = taskFields(blocked)
  return objectAsText(
    names.map((name) => {
      const column: PgColumn | undefined = name in tasks ? tasks[name as keyof Row] : undefined
      const notation = column ? notationOf(column) : 'plain'
      return [name, { value: fields[name].sql, notation, nullable: column?.notNull === false }]
    }),
  )
}

/** A column that callers can change. */
export type Changeable = keyof Row & keyof TaskChanges

/** The names of the columns that callers can change. */
export const changeable = stored.filter(([, column]) => column.changeable).map(([name]) => name as Changeable)

/** Whether callers can change the column. */
export const isChangeable = (name: string): name is Changeable => changeable.includes(name as Changeable)

/** The names of those that are timestamps. */
export const changeableTimestamps = changeable.filter(
  (name) => (columns as Record<string, Partial<AnyColumn>>)[name]!.read === timestamp,
)
