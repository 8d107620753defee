/**
 * The tables, as drizzle-kit reads them. Invariants are types or checks here, so that the database rejects an invalid row
 * whoever writes it. Columns have the names of the API: a row is the object in a response.
 */
import { sql } from 'drizzle-orm'
import {
  check,
  index,
  integer,
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
