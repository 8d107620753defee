/**
 * The test data: sessions of four batches of ten tasks, created over three months. In each session the first two batches
 * are completed, the third is in progress and the last is pending.
 */
import { randomUUID } from 'node:crypto'
import type { Sql } from 'postgres'

const BATCHES_PER_SESSION = 4
export const TASKS_PER_BATCH = 10
const TASKS_PER_SESSION = BATCHES_PER_SESSION * TASKS_PER_BATCH

/** Sessions that a load run uses, chosen at random. */
const MAX_SESSIONS = 2_000

export interface Session {
  id: string
  batches: string[]
  /** In the order of the batches and of the tasks in them. */
  tasks: string[]
}

export const reason = 'Kubernetes 네트워킹을 학습하기 위한 단계별 과제입니다.'
export const title = (position: number) => `${position + 1}단계: Service와 Ingress 생성 및 테스트`
export const description =
  'kubectl expose 명령어로 ClusterIP Service를 만들고, 다른 Pod에서 curl로 확인합니다.'

/** The status of the task at this index of its session. */
export function statusAt(index: number) {
  if (index < 23) return 'completed'
  return index === 23 ? 'in_progress' : 'pending'
}

/** The same as an SQL expression. */
const statusSql = (index: string) =>
  `(case when ${index} < 23 then 'completed' when ${index} = 23 then 'in_progress' else 'pending' end)::task_status`

/** Inserts this many tasks into an empty database. */
export async function fill(sql: Sql, size: number): Promise<void> {
  const sessions = Math.ceil(size / TASKS_PER_SESSION)
  const batches = sessions * BATCHES_PER_SESSION
  // As in production, batches of other sessions are created in between: the rows of a session are not on adjacent pages.
  await sql.begin(async (sql) => {
    await sql.unsafe(`
      create temporary table plan on commit drop as
      select uuidv7(age) as id, session_id, nth, now() + age as created_at, row_number() over (order by age) as row
      from (select n, gen_random_uuid() as session_id from generate_series(0, ${sessions - 1}) n) session,
           generate_series(0, ${BATCHES_PER_SESSION - 1}) nth,
           lateral (select (nth * ${sessions} + n - ${batches}) * (interval '90 days' / ${batches}) as age)`)
    await sql.unsafe(`
      insert into batches (id, session_id, reason, created_at)
      select id, session_id, '${reason}', created_at from plan order by row`)
    await sql.unsafe(`
      insert into tasks (id, session_id, batch_id, position, title, description, status, priority, due_date,
                         completed_at, created_at, updated_at)
      select uuidv7(plan.created_at - now()), session_id, id, position,
             (position + 1) || '${title(0).slice(1)}',
             case when position % 2 = 0 then '${description}' end,
             status,
             (array['high', 'medium', 'low', null])[position % 4 + 1]::task_priority,
             case when position % 3 = 0 then created_at + interval '7 days' end,
             case when status = 'completed' then changed_at end,
             created_at,
             case when status = 'pending' then created_at else changed_at end
      from plan, generate_series(0, ${TASKS_PER_BATCH - 1}) position,
           lateral (select ${statusSql(`(nth * ${TASKS_PER_BATCH} + position)`)} as status,
                           least(now(), created_at + (position + 1) * interval '10 minutes') as changed_at)
      order by row, position`)
  })
  await sql.unsafe('vacuum (analyze) tasks, batches')
}

/** The sessions for a load run, in random order: concurrent calls rarely use the same session. */
export async function readSessions(sql: Sql): Promise<Session[]> {
  return sql<Session[]>`
    with chosen as (
      select session_id, min(created_at) as since from batches group by session_id order by random() limit ${MAX_SESSIONS}
    )
    select session_id as id,
           array(select id::text from batches b where b.session_id = chosen.session_id order by created_at) as batches,
           array(select t.id::text from batches b join tasks t on t.batch_id = b.id
                 where b.session_id = chosen.session_id order by b.created_at, t.position) as tasks
    from chosen order by random()`
}

/** Deletes the rows that a load run created and vacuums: every run starts with the same number of rows. */
export async function removeCreated(sql: Sql): Promise<void> {
  const [filled] = await sql`select max(created_at) as until from batches where reason = ${reason}`
  await sql.begin(async (sql) => {
    // No events of this: a build before events does not know the setting.
    await sql`select set_config('aklp.event', '{"days":0}', true)`
    await sql`delete from tasks where created_at > ${filled!.until}`
    await sql`delete from batches where created_at > ${filled!.until}`
  })
  await sql.unsafe('vacuum tasks, batches')
}

/** Creates this many tasks through the API of an empty service, for services whose database is not accessible. */
export async function fillOverHttp(base: string, size: number): Promise<Session[]> {
  const sessions = Array.from({ length: Math.ceil(size / TASKS_PER_SESSION) }, () => ({
    id: randomUUID(),
    batches: [] as string[],
    tasks: [] as string[],
  }))
  for (let nth = 0; nth < BATCHES_PER_SESSION; nth++) {
    const remaining = sessions.values()
    const worker = async () => {
      for (const session of remaining) {
        const tasks = Array.from({ length: TASKS_PER_BATCH }, (_, position) => ({
          title: title(position),
          status: statusAt(nth * TASKS_PER_BATCH + position),
          priority: (['high', 'medium', 'low', null] as const)[position % 4],
          ...(position % 2 === 0 && { description }),
          ...(position % 3 === 0 && { due_date: '2030-01-01T00:00:00Z' }),
        }))
        const response = await fetch(`${base}/api/v1/batches`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ session_id: session.id, reason, tasks }),
        })
        if (!response.ok) throw new Error(`POST ${base}/api/v1/batches: ${await response.text()}`)
        const batch = (await response.json()) as { id: string; tasks: { id: string }[] }
        session.batches.push(batch.id)
        session.tasks.push(...batch.tasks.map((task) => task.id))
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
  }
  return sessions
}
