import t from 'tap'
import { newId } from '../src/db/ids.js'

t.test('ids increase, also within a millisecond and when the clock is set back', async (t) => {
  const before = Date.now()
  const ids = Array.from({ length: 20_000 }, () => newId())
  const now = t.capture(Date, 'now', () => before - 60_000)
  ids.push(...Array.from({ length: 10_000 }, () => newId()))
  t.equal(now().length, 10_000)
  t.same([...ids].sort(), ids)
  t.equal(new Set(ids).size, ids.length)
  for (const id of ids) {
    if (!/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/.test(id)) t.fail(id)
  }
  const time = Number.parseInt(ids[0]!.replace('-', '').slice(0, 12), 16)
  t.ok(time >= before && time <= before + 1000, 'they begin with the time')
})
