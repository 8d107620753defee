/** Events through crashes: two servers on one database, both killed while agents write and one watches. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import t from 'tap'
import { createClient, type Event } from '../../client/src/index.js'
import { type ServerProcess, startServer } from './process.js'
import { skipPostgres, startPostgres } from './support.js'

t.test('no event is missed or comes twice when servers are killed', { skip: skipPostgres }, async (t) => {
  const { newDatabase } = await startPostgres(t)
  const DATABASE_URL = await newDatabase()
  const start = async () => {
    const server = startServer(t, { DATABASE_URL })
    return { server, base: await server.listening() }
  }
  const servers = [await start(), await start()]
  /** A client whose requests go to one server and then to the other. */
  const clientOf = (nth: number) => {
    let turn = nth
    return createClient({
      baseUrl: 'http://tasks',
      fetch: (url, init) => fetch(url.replace('http://tasks', servers[turn++ % 2]!.base), init),
      retries: 1000,
      timeout: 120_000,
    })
  }
  const kill = async (nth: number) => {
    const { child, ended }: ServerProcess = servers[nth]!.server
    child.kill('SIGKILL')
    await ended
    servers[nth] = await start()
  }

  const session_id = randomUUID()
  const seen: Event[] = []
  const stopped = new AbortController()
  const watching = (async () => {
    const { events } = clientOf(0).session(session_id)
    for await (const event of events.watch({ after: '0'.repeat(24), signal: stopped.signal }))
      seen.push(event)
  })()
  watching.catch(() => {})

  let writing = true
  const written = [0, 1, 2, 3].map(async (nth) => {
    const session = clientOf(nth).session(session_id)
    for (let n = 0; writing; n++) {
      const { id } = await session.tasks.create({ title: `${nth} ${n}` })
      await session.tasks.update(id, { status: 'completed', note: `${n}` })
      if (n % 3 === 0) await session.tasks.bulkDelete([id])
    }
  })
  // It gets its number long before it ends: events of others are written meanwhile.
  const sql = postgres(DATABASE_URL, { max: 1, onnotice: () => {} })
  t.teardown(() => sql.end())
  const slow = sql.begin(async (sql) => {
    for (let n = 0; n < 5; n++) {
      await sql`insert into tasks (id, session_id, title) values (${randomUUID()}, ${session_id}, 'slow')`
      await sleep(400)
    }
  })
  for (const nth of [0, 1, 0]) {
    await sleep(700)
    await kill(nth)
  }
  await slow
  await sleep(500)
  writing = false
  await Promise.all(written)

  const { events } = clientOf(1).session(session_id)
  const last = await clientOf(0).session(session_id).tasks.create({ title: 'last' })
  while (seen.at(-1)?.task_id !== last.id) await sleep(50)
  stopped.abort()
  await watching.catch(() => {})
  const all: Event[] = []
  for await (const event of events.each()) all.push(event)
  const ids = (list: Event[]) => list.map(({ id }) => id)
  t.same(ids(seen), ids(all), 'the watch has every event, once and in order')
  t.equal(all.filter(({ changes }) => changes.some(({ to }) => to === 'slow')).length, 5)
  t.ok(all.length > 50, `${all.length} events`)
})
