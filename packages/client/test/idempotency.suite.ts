import t from 'tap'
import { InputError } from '../src/index.js'
import {
  create,
  disconnect,
  disconnectInBody,
  faulty,
  id,
  json,
  read,
  remove,
  success,
  update,
  withoutDelays,
} from './faulty.js'
import { failure } from './support.js'

withoutDelays(t)

t.test('the retries of a create have its idempotency key, which no other call has', async (t) => {
  const keys = new Set<unknown>()
  for (const reply of [
    ...[429, 500, 502, 503, 504].map((status) => json(status, {})),
    disconnect,
    disconnectInBody,
  ]) {
    const { aklp, requests } = await faulty(t, [reply, reply, success])
    await create(aklp)
    const sent = requests.map(({ headers }) => headers['idempotency-key'])
    t.equal(sent.length, 3)
    t.match(sent[0], /^"[0-9a-f]{32}"$/)
    t.equal(new Set(sent).size, 1)
    keys.add(sent[0])
  }
  t.equal(keys.size, 7)
})

t.test('a custom idempotency key is sent in quotes', async (t) => {
  const { aklp, requests } = await faulty(t, [success])
  for (const [key, sent] of [
    [`${id}:plan:1`, `"${id}:plan:1"`],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['a'.repeat(255), `"${'a'.repeat(255)}"`],
  ] as const) {
    await aklp.tasks.create({ title: 'a' }, { idempotencyKey: key })
    t.equal(requests.at(-1)!.headers['idempotency-key'], sent)
  }
})

t.test('an idempotency key that cannot be sent is rejected before a request is sent', async (t) => {
  const { aklp, requests } = await faulty(t, [success])
  for (const key of ['', 'a b', '계획', 'a'.repeat(256)]) {
    await failure(aklp.tasks.create({ title: 'a' }, { idempotencyKey: key }), InputError)
  }
  t.equal(requests.length, 0)
})

t.test('a create is retried while the first request with its key is in progress', async (t) => {
  const inProgress = json(409, { error_code: 'idempotency_in_progress' })
  const { aklp, requests } = await faulty(t, [inProgress, success])
  t.same(await create(aklp), { id })
  t.equal(requests.length, 2)
})

t.test('a read, an update or a delete has no idempotency key', async (t) => {
  const { aklp, requests } = await faulty(t, [success])
  for (const call of [read, update, remove]) await call(aklp)
  t.same(
    requests.map(({ headers }) => headers['idempotency-key']),
    [undefined, undefined, undefined],
  )
})
