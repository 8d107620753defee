import { getEventListeners } from 'node:events'
import t from 'tap'
import { AbortError, type ClientOptions, NotFoundError, TimeoutError } from '../src/index.js'
import { faulty, hang, hangInBody, id, json, type Reply, read, success, withoutDelays } from './faulty.js'
import { failure } from './support.js'

withoutDelays(t)

t.test('a call times out wherever it hangs', async (t) => {
  const never = new Promise<never>(() => {})
  const hanging: [string, Reply, Partial<ClientOptions>][] = [
    ['no response', hang, {}],
    ['half a response', hangInBody, {}],
    ['a token function that never returns', success, { token: () => never }],
    ['a fetch that ignores its signal', success, { fetch: () => never }],
  ]
  for (const [name, reply, options] of hanging) {
    const { aklp } = await faulty(t, [reply], { timeout: 50, ...options })
    const error = await failure(read(aklp), TimeoutError)
    t.match(error.message, 'GET /api/v1/tasks/{task_id} timed out after 50 ms', name)
  }
})

t.test('a call can have a timeout of its own', async (t) => {
  const { aklp } = await faulty(t, [hang])
  await failure(aklp.tasks.get(id, { timeout: 50 }), TimeoutError)
})

t.test('the timeout covers all attempts', async (t) => {
  const { aklp, requests } = await faulty(t, [json(503, {}), hang], { timeout: 500 })
  await failure(read(aklp), TimeoutError)
  t.equal(requests.length, 2)
})

t.test('a timeout longer than the longest timer does not end the call at once', async (t) => {
  const { aklp } = await faulty(t, [success], { timeout: Number.POSITIVE_INFINITY })
  t.same(await read(aklp), { id })
})

t.test('a signal aborts a call at any point, and its reason is kept', async (t) => {
  const reason = new Error('the learner left')
  for (const owner of ['client', 'call']) {
    for (const reply of [hang, hangInBody, json(503, {}, { 'retry-after': '20' })]) {
      const controller = new AbortController()
      const { signal } = controller
      const thenAbort: Reply = (response) => {
        reply(response)
        setTimeout(() => controller.abort(reason), 50)
      }
      const { aklp, requests } = await faulty(t, [thenAbort], owner === 'client' ? { signal } : {})
      const error = await failure(aklp.tasks.get(id, owner === 'call' ? { signal } : {}), AbortError)
      t.equal(error.cause, reason)
      t.match(error.message, 'GET /api/v1/tasks/{task_id} was aborted: the learner left')
      t.equal(requests.length, 1)
    }
  }
})

t.test('with an aborted signal no request is sent', async (t) => {
  const { aklp, requests } = await faulty(t, [success])
  await failure(aklp.tasks.create({ title: 'a' }, { signal: AbortSignal.abort() }), AbortError)
  t.equal(requests.length, 0)
})

t.test('a finished call leaves no listener on its signals', async (t) => {
  const { signal } = new AbortController()
  const { aklp } = await faulty(t, [success, json(404, {}), success], { signal })
  await read(aklp)
  await failure(read(aklp), NotFoundError)
  await aklp.tasks.get(id, { signal })
  t.equal(getEventListeners(signal, 'abort').length, 0)
})
