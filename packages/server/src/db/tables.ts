/**
 * The tables, as drizzle-kit reads them. Invariants are types or checks here, so that the database rejects an invalid row
 * whoever writes it. Columns have the names of the API: a row is the object in a response.
 */
import { sql } from 'drizzle-orm'
import {
  bigint,
  check,
  customType,
  index,
  integer,
  json,
  jsonb,
  pgEnum,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
  varchar,
} from 'drizzle-orm/pg-core'

// Postgres sorts an enum in the order of its declaration: these are declared in rank order.
export const taskStatus = pgEnum('task_status', ['pending', 'in_progress', 'completed'])
export const taskPriority = pgEnum('task_priority', ['low', 'medium', 'high'])

export const eventType = pgEnum('event_type', [
  'batch.created',
  'batch.extended',
  'task.created',
  'task.updated',
  'task.claimed',
  'task.released',
  'task.noted',
  'task.deleted',
  'task.restored',
])

/** The number of a transaction, which is not used again. */
const xid8 = customType<{ data: string }>({ dataType: () => 'xid8' })

const moment = () => timestamp({ withTimezone: true, precision: 3, mode: 'string' })
const metadata = () => jsonb().$type<Record<string, unknown>>().notNull().default({})

export const batches = pgTable(
  'batches',
  {
    id: uuid().primaryKey(),
    session_id: uuid(),
    reason: varchar({ length: 10_000 }),
    metadata: metadata(),
    created_at: moment().notNull().defaultNow(),
  },
  (t) => [
    index('batches_by_session').on(t.session_id, t.created_at, t.id),
    index('batches_by_creation').on(t.created_at, t.id),
  ],
)

export const tasks = pgTable(
  'tasks',
  {
    id: uuid().primaryKey(),
    session_id: uuid(),
    batch_id: uuid().references(() => batches.id),
    /** The position in the batch, from 0; 0 for a task without a batch. */
    position: integer().notNull().default(0),
    /** Its name in the batch. */
    key: varchar({ length: 64 }),
    title: varchar({ length: 255 }).notNull(),
    description: varchar({ length: 1000 }),
    status: taskStatus().notNull().default('pending'),
    priority: taskPriority(),
    due_date: moment(),
    /** Tasks of the same session, in the order given. A trigger removes deleted ones. */
    blocked_by: uuid().array().notNull().default([]),
    not_before: moment(),
    attempts: integer().notNull().default(0),
    /** The lease, if there is one: all three columns, and only while it is in progress. */
    claimed_by: varchar({ length: 128 }),
    lease_token: uuid(),
    lease_expires_at: moment(),
    result: varchar({ length: 4000 }),
    metadata: metadata(),
    completed_at: moment(),
    created_at: moment().notNull().defaultNow(),
    updated_at: moment().notNull().defaultNow(),
  },
  (t) => [
    check('tasks_title_not_empty', sql`${t.title} <> ''`),
    check(
      'tasks_completed_at_iff_completed',
      sql`(${t.status} = 'completed') = (${t.completed_at} is not null)`,
    ),
    // Each check and each condition of a trigger costs every insert and update: PostgreSQL reads and plans it anew in each.
    check('tasks_lease_only_in_progress', sql`${t.lease_token} is null or ${t.status} = 'in_progress'`),
    // Each filter of the list, followed by the default sort.
    index('tasks_by_session').on(t.session_id, t.updated_at, t.id),
    index('tasks_by_status').on(t.status, t.updated_at, t.id),
    index('tasks_by_update').on(t.updated_at, t.id),
    index('tasks_by_creation').on(t.created_at, t.id),
    index('tasks_by_batch').on(t.batch_id, t.position),
    uniqueIndex('tasks_by_key').on(t.batch_id, t.key).where(sql`key is not null`),
    index('tasks_by_blocker').using('gin', t.blocked_by).where(sql`blocked_by <> '{}'`),
  ],
)

/** The responses to creates with an Idempotency-Key, which a retry gets again. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    /** The name of the caller: each caller has keys of its own. */
    caller: text().notNull(),
    key: varchar({ length: 255 }).notNull(),
    /** A hash of the request. */
    fingerprint: text().notNull(),
    /** The body of the response. */
    json: text().notNull(),
    /** The version of what was created, for the ETag of the response. */
    version: text().notNull(),
    created_at: moment().notNull(),
  },
  (t) => [primaryKey({ columns: [t.caller, t.key] }), index('idempotency_keys_by_age').on(t.created_at)],
)

/**
 * What happened, written by triggers only (migration 0007). In the order of its key, an event is never followed by one that is
 * before it, if only those of transactions are read that began before all that are still open.
 */
export const events = pgTable(
  'events',
  {
    xid: xid8().notNull().default(sql`pg_current_xact_id()`),
    id: bigint({ mode: 'bigint' }).notNull().generatedAlwaysAsIdentity(),
    /** Null in one row at most: it stands where the events before it were deleted, because of their age. */
    type: eventType(),
    at: moment().notNull().defaultNow(),
    session_id: uuid(),
    batch_id: uuid(),
    task_id: uuid(),
    /** The name of the caller; null if the change came from an import, or from elsewhere. */
    caller: text(),
    /** The worker that made the change under its lease. */
    worker: varchar({ length: 128 }),
    note: varchar({ length: 1000 }),
    /** By field, in the format of the API: `[from, to]` in an update, the value in all others. */
    changes: json().notNull().default({}),
  },
  (t) => [
    primaryKey({ columns: [t.xid, t.id] }),
    index('events_by_session').on(t.session_id, t.xid, t.id),
    index('events_by_batch').on(t.batch_id, t.xid, t.id),
    index('events_by_task').on(t.task_id, t.xid, t.id),
    index('events_with_note').on(t.session_id, t.xid, t.id).where(sql`note is not null`),
  ],
)
