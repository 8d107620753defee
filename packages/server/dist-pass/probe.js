import { drizzle } from 'drizzle-orm/postgres-js';
import { eq, sql, asc, count, getTableColumns } from 'drizzle-orm';
import { tasks, batches } from './db/tables.js';
import { taskColumns } from './tasks/store.js';
const db = drizzle.mock();
const ph = sql.placeholder;
const items = db.select(taskColumns).from(tasks).where(eq(tasks.session_id, ph('s'))).orderBy(asc(tasks.id)).limit(ph('limit')).offset(ph('offset')).as('items');
const page = db.select({ total: sql `(${db.select({ n: count() }).from(tasks).where(eq(tasks.session_id, ph('s')))})`, items: sql `coalesce(json_agg(items), '[]')` }).from(items);
console.log(page.toSQL());
const rows = sql `jsonb_populate_recordset(null::tasks, ${ph('rows')}::jsonb)`;
const batch = db.$with('batch').as(db.insert(batches).values({ id: ph('id'), session_id: ph('session'), reason: ph('reason') }).returning({ id: batches.id }));
const now = sql `now()`;
const ins = db.with(batch).insert(tasks).select((qb) => qb.select({ ...getTableColumns(tasks), completed_at: sql `case when status = 'completed' then now() end`.as('completed_at'), created_at: now.as('created_at'), updated_at: now.as('updated_at') }).from(sql `jsonb_populate_recordset(null::${tasks}, ${ph('rows')}::jsonb)`)).returning(taskColumns);
console.log(ins.toSQL());
const locked = db.$with('locked').as(db.select({ id: tasks.id, patch: sql `patch`.as('patch') }).from(tasks).innerJoin(sql `jsonb_array_elements(${ph('patches')}::jsonb) patch`, sql `${tasks.id} = (patch ->> 'id')::uuid`).orderBy(asc(tasks.id)).for('update', { of: tasks }));
const upd = db.with(locked).update(tasks).set({ title: sql `coalesce(patch ->> 'title', ${tasks.title})` }).from(locked).where(eq(tasks.id, locked.id)).returning(taskColumns);
console.log(upd.toSQL());
//# sourceMappingURL=probe.js.map