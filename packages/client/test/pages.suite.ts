import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createClient } from '../src/index.js'
import { startService } from './support.js'

/** A client of three pages, and the queries that it sent. */
function paged() {
  const queries: string[] = []
  const aklp = createClient({
    baseUrl: 'http://tasks.test',
    fetch: async (url) => {
      queries.push(new URL(url).search)
      const page = queries.length
      return Response.json({ items: [{ id: `${page}` }], next_cursor: page < 3 ? `after-${page}` : null })
    },
  })
  return { aklp, queries }
}

const { baseUrl } = await startService(t)
const service = createClient({ baseUrl })

/** A session with this many tasks in a batch. */
async function planned(count: number) {
  const session = service.session(randomUUID())
  const { tasks } = await session.batches.create({
    tasks: Array.from({ length: count }, (_, n) => ({ title: `${n}` })),
  })
  return { session, ids: tasks.map(({ id }) => id) }
}

t.test('each reads pages of the maximum size by their cursors, by creation', async (t) => {
  const { aklp, queries } = paged()
  const ids: string[] = []
  for await (const { id } of aklp.tasks.each({ status: 'pending' })) ids.push(id)
  t.same(ids, ['1', '2', '3'])
  const first = '?limit=100&sort_by=created_at&status=pending'
  t.same(queries, [first, `${first}&cursor=after-1`, `${first}&cursor=after-2`])
})

t.test('each reads pages of the given size, sort and fields', async (t) => {
  const { aklp, queries } = paged()
  await aklp.batches.each({ limit: 7 }).next()
  await aklp.tasks.each({ sort_by: 'priority', order: 'asc', fields: ['title', 'status'] }).next()
  t.equal(queries[0], '?limit=7')
  t.equal(queries[1], '?limit=100&sort_by=priority&order=asc&fields=title%2Cstatus')
})

t.test('each holds one page: it reads the next one when the items of the last are used up', async (t) => {
  const { aklp, queries } = paged()
  const items = aklp.tasks.each()
  t.equal(queries.length, 0)
  for (const read of [1, 2, 3]) {
    await items.next()
    t.equal(queries.length, read)
  }
  t.match(await items.next(), { done: true })
  t.equal(queries.length, 3)
})

t.test('a loop that deletes each task meets all of them once', async (t) => {
  const { session, ids } = await planned(25)
  const met: string[] = []
  for await (const { id } of session.tasks.each({ limit: 4 })) {
    met.push(id)
    await session.tasks.delete(id)
  }
  t.same(met, ids.reverse())
  t.equal((await session.tasks.list()).total, 0)
})

t.test('a loop that completes what is pending and creates more meets each task once, and ends', async (t) => {
  const { session, ids } = await planned(25)
  const met: string[] = []
  for await (const { id } of session.tasks.each({ status: 'pending', limit: 4 })) {
    met.push(id)
    await session.tasks.update(id, { status: 'completed' })
    await session.tasks.create({ title: 'one more' })
  }
  t.same(met, ids.reverse())
  t.equal((await session.tasks.list({ status: ['pending', 'in_progress'] })).total, 25)
})

t.test('each yields only the fields that are asked for, and the id', async (t) => {
  const { session } = await planned(2)
  for await (const task of session.tasks.each({ fields: ['title'] }))
    t.same(Object.keys(task), ['id', 'title'])
  for await (const batch of session.batches.each({ fields: ['progress'] }))
    t.match(batch, { id: String, progress: { total: 2 } })
  t.same(Object.keys((await session.state()).next!).length, 20, 'all, without fields')
  const { next } = await service.sessions.get((await session.state()).session_id, { fields: ['title'] })
  t.same(Object.keys(next!), ['id', 'title'])
})
