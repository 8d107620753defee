/** Counts of the tasks of a session or batch. */
import { desc, eq, type SQL, sql } from 'drizzle-orm'
import { type StoreDb, within } from '../db/database.js'
import { qb, statement } from '../db/statement.js'
import { tasks } from '../db/tables.js'
import { hasOpenBlocker, isDeferred, isFree, isReady } from './ready.js'
import type { Progress } from './schemas.js'

/**
 * The aggregates over rows named `tasks`, which have the columns of a task.
 *
 * @param blocked Whether a task has an open blocker. It is evaluated several times for each row.
 */
const counts = (blocked: SQL) => {
  const { status, due_date, updated_at } = tasks
  const count = (condition: SQL) => sql`(count(*) filter (where ${condition}))::int`
  return {
    total: sql`count(*)::int`,
    pending: count(sql`${status} = 'pending'`),
    in_progress: count(sql`${status} = 'in_progress'`),
    completed: count(sql`${status} = 'completed'`),
    ready: count(sql`${isFree} and not (${isDeferred}) and not (${blocked})`),
    blocked: count(sql`${status} = 'pending' and ${blocked}`),
    deferred: count(sql`${status} = 'pending' and ${isDeferred} and not (${blocked})`),
    overdue: count(sql`${status} <> 'completed' and ${due_date} < now()`),
    // Rounded down: 100 only when all are completed.
    percent: sql`coalesce(count(*) filter (where ${status} = 'completed') * 100 / nullif(count(*), 0), 0)::int`,
    last_activity_at: sql`to_char(max(${updated_at}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`,
  } satisfies Record<keyof Progress, SQL>
}

/** SQL for the progress of rows named `tasks` as JSON. */
export const progressOf = (blocked: SQL): SQL =>
  sql`json_build_object(${sql.join(
    Object.entries(counts(blocked)).map(([name, count]) => sql`${sql.raw(`'${name}'`)}, ${count}`),
    sql`, `,
  )})`

/** Most tasks of a status that {@link countReady} looks at. */
const MOST = 10_000

const selectReady = statement<Record<never, never>, { ready: number }>(() => {
  // The order is that of an index, so that no other task is read.
  const latest = (status: 'pending' | 'in_progress') =>
    qb.select().from(tasks).where(eq(tasks.status, status)).orderBy(desc(tasks.updated_at)).limit(MOST)
  return qb
    .select({ ready: sql<number>`count(*)::int`.as('ready') })
    .from(sql`(${latest('pending')} union all ${latest('in_progress')}) as tasks`)
    .where(isReady(hasOpenBlocker()))
})

/** How many tasks can be claimed now, of the latest {@link MOST} pending ones and as many in progress. */
export async function countReady(db: StoreDb): Promise<number> {
  const [counted] = await selectReady(db, {})
  return counted!.ready
}

/** {@link countReady} for metrics: undefined if it takes longer than half a second, and while an earlier count still runs. */
export function readyCounter(db: StoreDb): () => Promise<number | undefined> {
  let running = false
  const count = async () => {
    running = true
    try {
      return await countReady(db)
    } finally {
      running = false
    }
  }
  return async () => (running ? undefined : within(500, count()).catch(() => undefined))
}
