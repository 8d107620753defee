/** Every statement on batches, each call one statement; their tasks are those of the task store. */
import { and, count, eq, sql } from 'drizzle-orm';
import { v7 as uuidv7 } from 'uuid';
import { column, isOwn, json, jsonRows, ordering, preparedByShape, restricted, sessionsOf, timestamp, } from '../db/sql.js';
import { batches, tasks } from '../db/tables.js';
import { alwaysFirst } from '../idempotency/record.js';
import { newTask, plannedTasks, taskColumns } from '../tasks/store.js';
/** Every function sees the batches of the caller's sessions and no others. */
export function createBatchStore(db, idempotency) {
    const plan = db
        .select(taskColumns)
        .from(tasks)
        .where(eq(tasks.batch_id, batches.id))
        .orderBy(tasks.position, tasks.id)
        .as('plan');
    const batchColumns = {
        id: column(batches.id),
        session_id: column(batches.session_id),
        reason: column(batches.reason),
        created_at: timestamp(batches.created_at),
        tasks: sql `(select ${jsonRows(plan)} from ${plan})`.as('tasks'),
    };
    const insert = preparedByShape((isKeyed) => {
        const planned = plannedTasks(db);
        // Batch and tasks are created in the same statement, and so at the same moment.
        const plannedBatch = db.$with('planned_batch', {}).as(sql `
      select ${sql.placeholder('id')}::uuid as id, ${sql.placeholder('session_id')}::uuid as session_id,
             ${sql.placeholder('reason')}::text as reason, now()::timestamptz(3) as created_at`);
        const plan = db.select(taskColumns).from(sql `planned`).orderBy(sql `position`).as('plan');
        const batch = db
            .select({ ...batchColumns, tasks: sql `(select ${jsonRows(plan)} from ${plan})`.as('tasks') })
            .from(sql `planned_batch`)
            .as('batch');
        const answer = db
            .$with('answer')
            .as(db
            .select({ json: json(batch), version: sql `batch.created_at`.as('version') })
            .from(batch));
        const { subqueries, isFirst } = isKeyed ? idempotency.claim(answer) : alwaysFirst;
        const created = db
            .$with('created')
            .as(db
            .insert(batches)
            .select(sql `select * from planned_batch where ${isFirst}`)
            .returning({ id: batches.id }));
        const createdTasks = db
            .$with('created_tasks')
            .as(db.insert(tasks).select(sql `select * from planned where ${isFirst}`).returning({ id: tasks.id }));
        return db
            .with(planned, plannedBatch, answer, ...subqueries, created, createdTasks)
            .select({ json: answer.json, version: answer.version })
            .from(answer)
            .where(isFirst)
            .prepare('insert_batch');
    });
    const select = preparedByShape((isRestricted) => {
        const batch = db
            .select(batchColumns)
            .from(batches)
            .where(and(eq(batches.id, sql.placeholder('id')), isOwn(batches.session_id, isRestricted)))
            .as('batch');
        return db
            .select({ json: json(batch) })
            .from(batch)
            .prepare('select_batch');
    });
    /** Batches, newest first. */
    const newestFirst = (filter) => db
        .select(batchColumns)
        .from(batches)
        .where(filter)
        .orderBy(...ordering(batches.created_at, batches.id, 'desc'));
    const selectLatest = preparedByShape((shape) => {
        const latest = newestFirst(filterOf(shape)).limit(1).as('latest');
        return db
            .select({ json: json(latest) })
            .from(latest)
            .prepare('select_latest_batch');
    });
    const selectPage = preparedByShape((shape) => {
        const filter = filterOf(shape);
        const page = newestFirst(filter)
            .limit(sql.placeholder('limit'))
            .offset(sql.placeholder('offset'))
            .as('page');
        const total = db.select({ total: count() }).from(batches).where(filter);
        return db
            .select({ total: sql `(${total})`.mapWith(Number), items: sql `${jsonRows(page)}::text` })
            .from(page)
            .prepare('select_batch_page');
    });
    return {
        /** Creates the batch with all its tasks, or nothing; with `once`, unless that was done before. */
        async create({ session_id = null, reason = null, tasks: plan }, once) {
            const id = uuidv7();
            const rows = plan.map((task, position) => ({ ...newTask(task, position), session_id, batch_id: id }));
            const values = { id, session_id, reason, rows: JSON.stringify(rows) };
            if (once !== undefined) {
                return idempotency.once(async () => (await insert(true).execute({ ...values, ...once }))[0], once);
            }
            const [created] = await insert(false).execute(values);
            return { outcome: 'created', ...created };
        },
        /** The batch, or undefined when there is none with this id. */
        async get(caller, id) {
            const [batch] = await select(restricted(caller)).execute({ id, ...sessionsOf(caller) });
            return batch?.json;
        },
        /** A page of batches, newest first, and how many there are in all. */
        async list(caller, { session_id, page, limit }) {
            const [found] = await selectPage(shapeOf(caller, session_id)).execute({
                session_id,
                ...sessionsOf(caller),
                limit,
                offset: (page - 1) * limit,
            });
            return found;
        },
        /** The newest batch, or undefined when there is none. */
        async latest(caller, session_id) {
            const statement = selectLatest(shapeOf(caller, session_id));
            const [batch] = await statement.execute({ session_id, ...sessionsOf(caller) });
            return batch?.json;
        },
    };
}
const shapeOf = (caller, session_id) => ({
    isRestricted: restricted(caller),
    ofSession: session_id !== undefined,
});
const filterOf = ({ isRestricted, ofSession }) => and(ofSession ? eq(batches.session_id, sql.placeholder('session_id')) : undefined, isOwn(batches.session_id, isRestricted));
//# sourceMappingURL=store.js.map