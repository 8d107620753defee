/**
 * What must hold when many callers use two servers on one PostgreSQL at the same time. Not a suite: it sets the clock, and ids never go
 * back.
 */
import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import postgres from 'postgres'
import t from 'tap'
import { openDatabase } from '../src/db/open.js'
import { type Api, options, serveOn, skipPostgres, startPostgres, type TestResponse } from './support.js'

/** Runs rounds, some of them at the same time: more would be rejected by an overloaded server. */
async function inRounds(count: number, run: (nth: number) => Promise<void>) {
  let next = 0
  const lane = async () => {
    while (next < count) await run(next++)
  }
  await Promise.all(Array.from({ length: 8 }, lane))
}

t.test('two servers', { skip: skipPostgres }, async (t) => {
  const { newDatabase } = await startPostgres(t)
  const url = await newDatabase()
  const databases = await Promise.all([openDatabase(url, options), openDatabase(url, options)])
  t.teardown(() => Promise.all(databases.map((database) => database.close())))
  const [one, two] = (await Promise.all(databases.map((database) => serveOn(database, t)))) as [Api, Api]
  const { plan } = one
  const claim = async ({ call }: Api, body: object) =>
    (await call('POST', '/tasks/claim', { worker: 'one', ...body })).body
  const expire = (id: string) =>
    one.database.db.execute(
      sql`update tasks set lease_expires_at = now() - interval '1 second' where id = ${id}`,
    )

  await t.test(
    '64 workers claim each of 1000 tasks once and none before its blockers, half of them by done',
    async (t) => {
      const session_id = randomUUID()
      const blockersOf = new Map<string, string[]>()
      for (let nth = 0; nth < 2; nth++) {
        const tasks = Array.from({ length: 500 }, (_, n) => ({
          key: `${n}`,
          title: `${n}`,
          // Each waits for one half its number and one ten before it.
          ...(n >= 10 && { blocked_by: [...new Set([`${Math.floor(n / 2)}`, `${n - 10}`])] }),
        }))
        for (const { id, blocked_by } of (await plan(tasks, session_id)).tasks) blockersOf.set(id, blocked_by)
      }
      const claimed: string[] = []
      const completing = new Set<string>()
      const early: string[] = []
      let completed = 0
      /** Workers that found nothing, and wait until another task is completed. */
      const waiting: (() => void)[] = []
      const wake = (most: number) => {
        for (const go of waiting.splice(0, most)) go()
      }
      const work = async (worker: string, api: Api, byDone: boolean) => {
        let done: object | undefined
        while (completed < 1000) {
          const seen = completed
          const { task, lease } = await claim(api, { worker, session_id, done })
          if (done) {
            completed++
            wake(completed === 1000 ? 64 : 2)
          }
          done = undefined
          if (task === null) {
            if (completed === seen) await new Promise<void>((resolve) => waiting.push(resolve))
            continue
          }
          claimed.push(task.id)
          if (!blockersOf.get(task.id)!.every((id) => completing.has(id))) early.push(task.id)
          completing.add(task.id)
          if (byDone) {
            done = { task_id: task.id, token: lease.token }
          } else {
            const headers = { 'lease-token': lease.token }
            const { status } = await api.call(
              'PUT',
              `/tasks/${task.id}`,
              { status: 'completed' },
              { headers },
            )
            if (status !== 200) throw new Error(`PUT returned ${status}`)
            completed++
            wake(completed === 1000 ? 64 : 2)
          }
        }
      }
      await Promise.all(
        Array.from({ length: 64 }, (_, n) => work(`worker ${n}`, n % 4 < 2 ? one : two, n % 2 === 0)),
      )
      t.equal(claimed.length, 1000)
      t.equal(new Set(claimed).size, 1000, 'each once')
      t.same(early, [], 'none before its blockers')
      const { progress } = (await two.call('GET', `/sessions/${session_id}`)).body
      t.match(progress, { total: 1000, completed: 1000, percent: 100 })
      const [{ most }] = (await one.database.db.execute(
        sql`select max(attempts) as most from tasks where session_id = ${session_id}`,
      )) as any
      t.equal(most, 1)
    },
  )

  await t.test(
    'when the last blockers are completed together, the next call claims the dependent',
    async (t) => {
      await inRounds(60, async () => {
        const { session_id } = await plan([
          { key: 'a', title: 'a' },
          { key: 'b', title: 'b' },
          { title: 'c', blocked_by: ['a', 'b'] },
        ])
        const [a, b] = [await claim(one, { session_id }), await claim(two, { session_id })]
        const done = { task_id: a.task.id, token: a.lease.token }
        const [byDone, byHand] = await Promise.all([
          claim(one, { session_id, done }),
          two.call('PUT', `/tasks/${b.task.id}`, { status: 'completed' }),
        ])
        t.equal(byHand.status, 200)
        const { task } = byDone.task ? byDone : await claim(two, { session_id })
        t.equal(task?.title, 'c')
      })
    },
  )

  await t.test('of two changes that would close a circle together, one is rejected, 200 times', async (t) => {
    const outcomes = new Set<string>()
    await inRounds(200, async (n) => {
      const { tasks } = await plan([{ title: 'a' }, { title: 'b' }, { title: 'c' }])
      const [a, b, c] = tasks.map(({ id }: { id: string }) => id)
      // Every other circle has three tasks, and one of the changes is a bulk update.
      const long = n % 2 === 0
      if (long) await one.call('PUT', `/tasks/${b}`, { blocked_by: [c] })
      const changes: Promise<TestResponse>[] = [
        one.call('PUT', `/tasks/${a}`, { blocked_by: [b] }),
        two.call('PUT', '/tasks/bulk', { tasks: [{ id: long ? c : b, blocked_by: [a] }] }),
      ]
      const codes = (await Promise.all(changes)).map(({ status, body }) => body.error_code ?? status)
      outcomes.add(codes.sort().join())
    })
    t.same(outcomes, new Set(['200,dependency_cycle']))
  })

  await t.test(
    'of a holder that completes after its lease expired and a claim by another, one wins',
    async (t) => {
      let [held, taken] = [0, 0]
      await inRounds(60, async (n) => {
        const { session_id } = await plan([{ title: 'a' }])
        const { task, lease } = await claim(one, { session_id })
        await expire(task.id)
        const write = () =>
          n % 2 === 0
            ? one.call(
                'PUT',
                `/tasks/${task.id}`,
                { status: 'completed' },
                { headers: { 'lease-token': lease.token } },
              )
            : one.call('POST', '/tasks/claim', {
                worker: 'one',
                done: { task_id: task.id, token: lease.token },
              })
        const calls = [write, () => two.call('POST', `/tasks/${task.id}/claim`, { worker: 'two' })]
        if (n % 3 === 0) calls.reverse()
        const responses = await Promise.all(calls.map((call) => call()))
        const [written, claimed] = n % 3 === 0 ? responses.reverse() : responses
        t.not(written!.status === 200, claimed!.status === 200)
        const lost = written!.status === 200 ? claimed! : written!
        t.match(lost, {
          status: 409,
          body: { error_code: lost === written ? 'lease_lost' : 'task_completed' },
        })
        const after = (await one.call('GET', `/tasks/${task.id}`)).body
        if (written!.status === 200) {
          held++
          t.match(after, { status: 'completed', claimed_by: null, attempts: 1 })
        } else {
          taken++
          t.match(after, { status: 'in_progress', claimed_by: 'two', attempts: 2 })
        }
      })
      t.equal(held + taken, 60, `${held} were completed, ${taken} were claimed`)
    },
  )

  await t.test('many claims with one Idempotency-Key claim one task', async (t) => {
    const { session_id } = await plan([{ title: 'a' }, { title: 'b' }])
    const keyed = ({ call }: Api) =>
      call('POST', '/tasks/claim', { worker: 'one', session_id }, { headers: { 'idempotency-key': 'once' } })
    const claims = await Promise.all(Array.from({ length: 20 }, (_, n) => keyed(n % 2 === 0 ? one : two)))
    t.equal(new Set(claims.map(({ text }) => text)).size, 1)
    const { progress } = (await one.call('GET', `/sessions/${session_id}`)).body
    t.match(progress, { in_progress: 1, ready: 1 })
  })

  await t.test('a task that is deleted while others name it blocks nothing', async (t) => {
    await inRounds(60, async (n) => {
      const { session_id, tasks } = await plan([{ title: 'a' }, { title: 'b' }])
      const [a, b] = tasks
      const blocked_by = [a.id]
      const [named, deleted] = await Promise.all([
        n % 2 === 0
          ? one.call('POST', '/tasks', { title: 'c', session_id, blocked_by })
          : one.call('PUT', `/tasks/${b.id}`, { blocked_by }),
        two.call('DELETE', `/tasks/${a.id}`),
      ])
      t.equal(deleted.status, 204)
      if (named.status === 422) t.match(named.body.errors, [{ path: 'blocked_by[0]' }])
      else t.same((await two.call('GET', `/tasks/${named.body.id}`)).body.blocked_by, [])
    })
  })

  await t.test('the clock of a server has no effect on leases', async (t) => {
    const { now } = Date
    t.teardown(() => {
      Date.now = now
    })
    for (const jump of [365 * 86_400_000, -365 * 86_400_000]) {
      Date.now = () => now() + jump
      const { session_id } = await plan([{ title: 'a' }])
      const { task, lease } = await claim(one, { session_id, lease_seconds: 60 })
      t.equal(Date.parse(lease.expires_at) - Date.parse(task.updated_at), 60_000)
      const [{ near }] = (await one.database.db.execute(
        sql`select lease_expires_at between now() and now() + interval '1 minute' as near from tasks where id = ${task.id}`,
      )) as any
      t.equal(near, true)
      t.equal((await claim(two, { session_id, worker: 'two' })).task, null)
      const { status } = await one.call('POST', `/tasks/${task.id}/renew`, { token: lease.token })
      t.equal(status, 200)
    }
  })

  await t.test('no statement was part of a deadlock', async (t) => {
    // The counts of a connection are complete when it is closed.
    await Promise.all(databases.map((database) => database.close()))
    const admin = postgres(url, { max: 1 })
    const [stats] =
      await admin`select deadlocks::int, xact_commit::int from pg_stat_database where datname = current_database()`
    await admin.end()
    t.equal(stats!.deadlocks, 0)
    t.ok(stats!.xact_commit > 1000)
  })
})
