/** The one list of a task's columns, from which every insert, select, update and export comes. */
import type { SQL } from 'drizzle-orm'
import { plain, timestamp } from '../db/sql.js'
import { tasks } from '../db/tables.js'
import type { Task, TaskCreate, TaskUpdate } from './schemas.js'

type Row = typeof tasks.$inferSelect
type Field = keyof (Task & TaskCreate & TaskUpdate)

/** A column must have the type of the field in responses, and be changeable if the schema of an update has it. */
type Column<Name> = {
  /** How it is read: as it is, or as a timestamp. */
  read: Row extends Record<Name & string, Name extends keyof Task ? Task[Name] : unknown>
    ? typeof plain | typeof timestamp
    : never
} & (Name extends keyof TaskUpdate ? { changeable: true } : { changeable?: false }) &
  (Name extends keyof Task ? { hidden?: false } : { hidden: true })

/** In the order of the fields in responses. If the table or the schemas have other columns, it is a type error. */
const columns = {
  id: { read: plain },
  session_id: { read: plain },
  batch_id: { read: plain },
  title: { read: plain, changeable: true },
  description: { read: plain, changeable: true },
  status: { read: plain, changeable: true },
  priority: { read: plain, changeable: true },
  due_date: { read: timestamp, changeable: true },
  completed_at: { read: timestamp },
  created_at: { read: timestamp },
  updated_at: { read: timestamp },
  position: { read: plain, hidden: true },
} satisfies { [Name in keyof Row | Field]: Column<Name> }

const list = Object.entries(columns) as [keyof Row, Column<keyof Row>][]

const select = (names: (keyof Row)[]) =>
  Object.fromEntries(names.map((name) => [name, columns[name].read(tasks[name])])) as unknown

/** All columns of a task, as an export has them. */
export const rowColumns = select(list.map(([name]) => name)) as Record<keyof Row, SQL.Aliased<string>>

/** The fields of a task in responses. */
export const taskColumns = select(list.filter(([, { hidden }]) => !hidden).map(([name]) => name)) as Record<
  keyof Task,
  SQL.Aliased<string>
>

/** The names of the columns that callers can change. */
export const changeable = list.filter(([, column]) => column.changeable).map(([name]) => name)

/** The names of those that are timestamps. */
export const changeableTimestamps = changeable.filter((name) => columns[name].read === timestamp)
