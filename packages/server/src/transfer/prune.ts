/** Deletes the sessions that are done from an open database, and can archive them before. */
import { type FileHandle, open } from 'node:fs/promises'
import type { Database, StoreDb } from '../db/database.js'
import { reasonOf } from '../db/failures.js'
import { toHeader, toLines } from './jsonl.js'
import type { Out } from './progress.js'
import { readRows } from './store.js'

/** Sessions that are looked at in one statement. */
const SESSIONS = 1000

/** Tasks that are deleted in one transaction; more only if a single session has more. */
const TASKS = 1000

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
 * @param to A new file for what is deleted, which an import reads.
 * @param dryRun Whether to only count.
 * @param out Where the report is written.
 */
export async function prune(
  { db, transaction, location }: Database,
  { days, to, dryRun = false }: { days: number; to?: string; dryRun?: boolean },
  out: Out = process.stderr,
): Promise<Pruned> {
  const pruned: Pruned = { sessions: 0, batches: 0, tasks: 0 }
  const archive = to !== undefined && !dryRun ? await createArchive(to) : undefined
  try {
    for await (const sessions of findDone(db, days)) {
      const found = dryRun
        ? sessions
        : await transaction(async (db) => {
            const locked = await lockDone(db, sessions, days)
            await archive?.add(db, arrayOf(locked))
            await remove(db, arrayOf(locked))
            return locked
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
 * Whether a session is done, as SQL. Each part is a lookup in an index, and only the last one reads the session. A `not
 * exists` could be planned as a hash of the whole table.
 */
const isDone = (days: string) => `
  (select true from tasks t where t.session_id = s.session_id and t.updated_at >= now() - ${days}::int * interval '1 day' limit 1) is null
  and (select true from batches b where b.session_id = s.session_id and b.created_at >= now() - ${days}::int * interval '1 day' limit 1) is null
  and (select true from tasks t where t.session_id = s.session_id and t.status <> 'completed' limit 1) is null`

const counts = `
  (select count(*)::int from batches b where b.session_id = s.session_id) as batches,
  (select count(*)::int from tasks t where t.session_id = s.session_id) as tasks`

/** The sessions that are done, some at a time: each session is looked up by the index, whatever the size of the table. */
async function* findDone(db: StoreDb, days: number): AsyncGenerator<Session[]> {
  const next = (after: string) => `least(
    (select session_id from tasks where session_id ${after} order by session_id limit 1),
    (select session_id from batches where session_id ${after} order by session_id limit 1))`
  let chunk: Session[] = []
  let last: string | undefined
  while (true) {
    const walk = `
      with recursive s as (
        select ${next(last === undefined ? 'is not null' : '> $2::uuid')} as session_id, 1 as n
        union all
        select ${next('> s.session_id')}, n + 1 from s where session_id is not null and n < ${SESSIONS}
      )
      select s.session_id::text as session_id, found.batches, found.tasks
      from s left join lateral (select ${counts} where ${isDone('$1')}) as found on true
      where s.session_id is not null order by n`
    const walked = await db.run(walk, [days, ...(last === undefined ? [] : [last])], false)
    for (const session of walked as (Session | { session_id: string; tasks: null })[]) {
      last = session.session_id
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

/**
 * Locks the rows of these sessions, as every change does in the order of their ids, and returns those that are still done.
 * A batch that is locked gets no more tasks.
 */
async function lockDone(db: StoreDb, sessions: Session[], days: number): Promise<Session[]> {
  const ids = arrayOf(sessions)
  for (const table of ['batches', 'tasks'])
    await db.run(
      `select from ${table} where session_id = any($1::uuid[]) order by id for update`,
      [ids],
      false,
    )
  const still = `
    select s.session_id::text as session_id, ${counts}
    from unnest($1::uuid[]) as s (session_id) where ${isDone('$2')}`
  return (await db.run(still, [ids, days], false)) as Session[]
}

/** Deletes the rows of sessions. A task that was added a moment ago, and is not in a batch, stays. */
async function remove(db: StoreDb, sessions: string) {
  const tasks = `delete from tasks where session_id = any($1::uuid[]) and status = 'completed' and updated_at < now()`
  await db.run(tasks, [sessions], false)
  await db.run('delete from batches where session_id = any($1::uuid[])', [sessions], false)
}

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
