/**
 * The tables, as drizzle-kit reads them. What must always hold stands here as a type or a check, so that
 * the database refuses a wrong row whoever writes it. Columns are named as the API names them: a row that is
 * read is the object that is answered.
 */
import { sql } from 'drizzle-orm';
import { check, index, integer, pgEnum, pgTable, primaryKey, text, timestamp, uuid, varchar, } from 'drizzle-orm/pg-core';
// Postgres sorts an enum in the order of its declaration: these are declared in rank order.
export const taskStatus = pgEnum('task_status', ['pending', 'in_progress', 'completed']);
export const taskPriority = pgEnum('task_priority', ['low', 'medium', 'high']);
const moment = () => timestamp({ withTimezone: true, precision: 3, mode: 'string' });
export const batches = pgTable('batches', {
    id: uuid().primaryKey(),
    session_id: uuid(),
    reason: varchar({ length: 10_000 }),
    created_at: moment().notNull().defaultNow(),
}, (t) => [
    index('batches_by_session').on(t.session_id, t.created_at, t.id),
    index('batches_by_creation').on(t.created_at, t.id),
]);
export const tasks = pgTable('tasks', {
    id: uuid().primaryKey(),
    session_id: uuid(),
    batch_id: uuid().references(() => batches.id),
    /** Place in the batch, from 0; a task without a batch has 0. */
    position: integer().notNull().default(0),
    title: varchar({ length: 255 }).notNull(),
    description: varchar({ length: 1000 }),
    status: taskStatus().notNull().default('pending'),
    priority: taskPriority(),
    due_date: moment(),
    completed_at: moment(),
    created_at: moment().notNull().defaultNow(),
    updated_at: moment().notNull().defaultNow(),
}, (t) => [
    check('tasks_title_not_empty', sql `${t.title} <> ''`),
    check('tasks_completed_at_iff_completed', sql `(${t.status} = 'completed') = (${t.completed_at} is not null)`),
    // Every filter of the list, each with the default sort behind it.
    index('tasks_by_session').on(t.session_id, t.updated_at, t.id),
    index('tasks_by_status').on(t.status, t.updated_at, t.id),
    index('tasks_by_update').on(t.updated_at, t.id),
    index('tasks_by_batch').on(t.batch_id, t.position),
]);
/** The answers to creates that came with an Idempotency-Key, to be given again to whoever repeats the request. */
export const idempotencyKeys = pgTable('idempotency_keys', {
    /** The name of the caller, to whom alone the key means something. */
    caller: text().notNull(),
    key: varchar({ length: 255 }).notNull(),
    /** What the request was: a hash of it. */
    fingerprint: text().notNull(),
    /** The body of the answer. */
    json: text().notNull(),
    /** The version of what was created, for the ETag of the answer. */
    version: text().notNull(),
    created_at: moment().notNull(),
}, (t) => [primaryKey({ columns: [t.caller, t.key] }), index('idempotency_keys_by_age').on(t.created_at)]);
//# sourceMappingURL=tables.js.map