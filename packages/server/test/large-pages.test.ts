import { randomUUID } from 'node:crypto'
import { onEachDatabase } from './support.js'

onEachDatabase(async (t, { call }) => {
  await t.test('a page of batches larger than 8 MiB returns 422 with a limit that fits', async (t) => {
    const session_id = randomUUID()
    // The JSON in the response has twice the bytes of the stored text.
    const task = { title: 'a', description: '"'.repeat(1000) }
    for (let i = 0; i < 9; i++) {
      const created = await call('POST', '/batches', { session_id, tasks: Array(480).fill(task) })
      t.equal(created.status, 201)
    }
    const path = `/batches?session_id=${session_id}`
    const refused = await call('GET', `${path}&limit=100`)
    t.match(refused, { status: 422, body: { error_code: 'answer_too_large' } })
    const fitting = Number(/limit=(\d+)/.exec(refused.body.detail)![1])
    const page = await call('GET', `${path}&limit=${fitting}`)
    t.match(page, { status: 200, body: { total: 9, limit: fitting } })
    t.equal(page.body.items.length, fitting)
    t.ok(fitting >= 6, `as many as fit: ${fitting}`)
    const last = await call('GET', `${path}&limit=${fitting}&page=2`)
    t.match(last, { status: 200, body: { has_next: false } })
    t.equal((await call('GET', `${path}&limit=100&page=3`)).body.items.length, 0)
  })
})
