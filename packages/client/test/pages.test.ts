import t from 'tap'
import { createClient } from '../src/index.js'

/** A client of three pages, in which one item moves to a later page while they are read. */
function paged() {
  const queries: string[] = []
  const aklp = createClient({
    baseUrl: 'http://tasks.test',
    fetch: async (url) => {
      const { search, searchParams } = new URL(url)
      queries.push(search)
      const page = Number(searchParams.get('page'))
      return Response.json({ items: [{ id: `${page}` }, { id: 'moved' }], has_next: page < 3 })
    },
  })
  return { aklp, queries }
}

t.test('each yields the items of all pages, and an item that moves to a later page once', async (t) => {
  const { aklp } = paged()
  const ids: string[] = []
  for await (const { id } of aklp.tasks.each()) ids.push(id)
  t.same(ids, ['1', 'moved', '2', '3'])
})

t.test('each reads pages of the maximum size, with the given filters', async (t) => {
  const { aklp, queries } = paged()
  for await (const _ of aklp.tasks.each({ status: 'pending' }));
  t.same(
    queries,
    [1, 2, 3].map((page) => `?limit=100&status=pending&page=${page}`),
  )
})

t.test('each reads pages of the given size', async (t) => {
  const { aklp, queries } = paged()
  await aklp.batches.each({ limit: 7 }).next()
  t.equal(queries[0], '?limit=7&page=1')
})
