/** Deletes the sessions that are done, or one that was moved, from an open database, and can archive them before. */
import { type FileHandle, open } from 'node:fs/promises'
import { and, type Placeholder, type SQL, sql } from 'drizzle-orm'
import type { Database, StoreDb } from '../db/database.js'
import { reasonOf } from '../db/failures.js'
import { isOwn } from '../db/sql.js'
import { qb, statement } from '../db/statement.js'
import { batches, tasks } from '../db/tables.js'
import { type Recorded, recorded, WITHOUT_EVENT } from '../events/record.js'
import { toHeader, toLines } from './jsonl.js'
import type { Out } from './progress.js'
import { TABLES, type Table } from './rows.js'
import { readRows } from './store.js'

/** Sessions that are looked at in one statement. */
const SESSIONS = 1000

/** Tasks that are deleted in one transaction; more only if a single session has more. */
const TASKS = 1000

/** The sessions that are done, or one. */
type Which = { days: number } | { session: string }

export interface Pruned {
  sessions: number
  batches: number
  tasks: number
}

/**
 * Deletes the sessions whose tasks are all completed, with their batches, if nothing in them has changed for some days.
 * Tasks without a session stay. It can be interrupted: what was deleted until then is in the archive.
 *
 * @param days How many days, by the clock of the database.
 * @param session Deletes this session instead, a UUID, in whatever state it is.
 * @param to A new file for what is deleted, which an import reads.
 * @param dryRun Whether to only count.
 * @param out Where the report is written.
 */
export async function prune(
  { db, transaction, location }: Database,
  { to, dryRun = false, ...which }: Which & { to?: string; dryRun?: boolean },
  out: Out = process.stderr,
): Promise<Pruned> {
  const days = 'days' in which ? which.days : undefined
  const pruned: Pruned = { sessions: 0, batches: 0, tasks: 0 }
  const archive = to !== undefined && !dryRun ? await createArchive(to) : undefined
  try {
    for await (const sessions of 'days' in which ? findDone(db, which.days) : findOne(db, which.session)) {
      const found = dryRun
        ? sessions
        : await transaction(async (db) => {
            const locked = await lockRows(db, arrayOf(sessions))
            const toDelete = await select(db, { sessions: arrayOf(sessions), days })
            await archive?.add(db, arrayOf(toDelete))
            // Batches have tasks, so they go last.
            for (const table of ['tasks', 'batches'] as const)
              await remove(db, { sessions: arrayOf(toDelete), ids: locked[table], by: WITHOUT_EVENT }, table)
            return toDelete
          })
      for (const { batches, tasks } of found) {
        pruned.sessions++
        pruned.batches += batches
        pruned.tasks += tasks
      }
    }
  } catch (error) {
    throw new Error(`stopped after ${pruned.sessions} sessions: ${reasonOf(error)}`)
  } finally {
    await archive?.close()
  }
  const done = dryRun ? 'would be deleted' : 'deleted'
  for (const [name, count] of Object.entries(pruned))
    out.write(`${name}: ${count} ${done} from ${location}\n`)
  return pruned
}

interface Session {
  session_id: string
  batches: number
  tasks: number
}

const arrayOf = (sessions: Session[]) => `{${sessions.map(({ session_id }) => session_id)}}`

/**
 * Whether a session `s` is done. Each part is a lookup in an index, and only the last one reads the session. A `not exists`
 * could be planned as a hash of the whole table.
 */
const isDone = (days: Placeholder) => sql`
  (select true from ${tasks} where ${tasks.session_id} = s.session_id
     and ${tasks.updated_at} >= now() - ${days}::int * interval '1 day' limit 1) is null
  and (select true from ${batches} where ${batches.session_id} = s.session_id
     and ${batches.created_at} >= now() - ${days}::int * interval '1 day' limit 1) is null
  and (select true from ${tasks} where ${tasks.session_id} = s.session_id
     and ${tasks.status} <> 'completed' limit 1) is null`

const counts = sql`
  (select count(*)::int from ${batches} where ${batches.session_id} = s.session_id) as batches,
  (select count(*)::int from ${tasks} where ${tasks.session_id} = s.session_id) as tasks`

const columns = {
  session_id: sql<string>`session_id::text`.as('session_id'),
  batches: sql<number>`batches`.as('batches'),
  tasks: sql<number>`tasks`.as('tasks'),
}

/** Each statement runs a few times, with values that change its plan. */
const unprepared = () => false

/** The sessions after one, {@link SESSIONS} at most: each is looked up in the index, whatever the size of the table. */
const walk = statement<
  { days: number; after?: string | undefined },
  Session | { session_id: string; tasks: null }
>(($) => {
  const next = (condition: SQL) => sql`least(
    (select session_id from ${tasks} where session_id ${condition} order by session_id limit 1),
    (select session_id from ${batches} where session_id ${condition} order by session_id limit 1))`
  const first = $.after ? sql`> ${$.after}::uuid` : sql`is not null`
  return qb.select(columns).from(sql`(
    with recursive s as (
      select ${next(first)} as session_id, 1 as n
      union all
      select ${next(sql`> s.session_id`)}, n + 1 from s where session_id is not null and n < ${sql.raw(String(SESSIONS))}
    )
    select s.session_id, found.batches, found.tasks
    from s left join lateral (select ${counts} where ${isDone($.days)}) as found on true
    where s.session_id is not null order by n) as walked`)
}, unprepared)

/** The sessions that are done, some at a time. */
async function* findDone(db: StoreDb, days: number): AsyncGenerator<Session[]> {
  let chunk: Session[] = []
  let after: string | undefined
  while (true) {
    const walked = await walk(db, { days, after })
    for (const session of walked) {
      after = session.session_id
      if (session.tasks === null) continue
      chunk.push(session)
      if (chunk.reduce((sum, { tasks }) => sum + tasks, 0) < TASKS && chunk.length < SESSIONS) continue
      yield chunk
      chunk = []
    }
    if (walked.length < SESSIONS) break
  }
  if (chunk.length > 0) yield chunk
}

/** One session, if it has any rows. */
async function* findOne(db: StoreDb, session: string): AsyncGenerator<Session[]> {
  const found = await select(db, { sessions: `{${session}}` })
  yield found.filter(({ batches, tasks }) => batches + tasks > 0)
}

const tables = { batches, tasks }

const lock = statement<{ sessions: string }, { id: string }, Table>(($, table) => {
  const { id, session_id } = tables[table]
  return qb
    .select({ id: sql<string>`id`.as('id') })
    .from(tables[table] as typeof tasks)
    .where(isOwn(session_id, $.sessions))
    .orderBy(id)
    .for('update')
}, unprepared)

/** The sessions with their counts; with `days`, only those that have been done for so long. */
const select = statement<{ sessions: string; days?: number | undefined }, Session>(
  ($) =>
    qb.select(columns).from(sql`(
      select s.session_id, ${counts} from unnest(${$.sessions}::uuid[]) as s (session_id)
      where ${$.days ? isDone($.days) : sql`true`}) as selected`),
  unprepared,
)

/**
 * Locks the rows of sessions, as every change does in the order of their ids, and returns their ids. A batch that is locked gets no
 * more tasks.
 */
async function lockRows(db: StoreDb, sessions: string): Promise<Record<Table, string>> {
  const locked = { batches: '', tasks: '' }
  for (const table of TABLES) locked[table] = `{${(await lock(db, { sessions }, table)).map(({ id }) => id)}}`
  return locked
}

/**
 * Deletes the rows of sessions that are locked, which is no event: they go to save space, and events would keep them. What was added
 * since stays: the archive may lack it.
 */
const remove = statement<{ sessions: string; ids: string } & Recorded, { id: string }, Table>(($, table) => {
  const { id, session_id } = tables[table]
  return qb
    .delete(tables[table] as typeof tasks)
    .where(and(recorded($.by), isOwn(session_id, $.sessions), sql`${id} = any(${$.ids}::uuid[])`))
    .returning({ id: tasks.id })
}, unprepared)

/** Of the first line of an archive: the counts in it grow. */
const HEADER_WIDTH = 100

/** A file that is a valid export of what was deleted so far at any time. */
async function createArchive(to: string) {
  let file: FileHandle
  try {
    file = await open(to, 'wx')
  } catch (error) {
    throw new Error(`nothing was deleted: cannot write ${to}: ${reasonOf(error)}`)
  }
  const total = { batches: 0, tasks: 0 }
  let end = HEADER_WIDTH + 1
  const write = async (text: string, position: number) => {
    const bytes = Buffer.from(text)
    await file.write(bytes, 0, bytes.length, position)
    return bytes.length
  }
  const writeHeader = () => write(`${toHeader(total).padEnd(HEADER_WIDTH)}\n`, 0)
  await writeHeader()
  return {
    /** Adds all rows of sessions, and returns when they are on disk. */
    async add(db: StoreDb, sessions: string) {
      for await (const { table, rows } of readRows(db, sessions)) {
        end += await write(toLines(table, rows), end)
        total[table] += rows.length
      }
      await writeHeader()
      await file.sync()
    },
    close: () => file.close(),
  }
}
