/** Following events: what is seen through failures of the network and of the service. */
import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import t from 'tap'
import {
  AbortError,
  AklpError,
  ConnectionError,
  createClient,
  type Event,
  NotFoundError,
  UnauthorizedError,
} from '../src/index.js'
import { disconnect, faulty, json, withoutDelays } from './faulty.js'
import { failure, startServer, startService } from './support.js'

withoutDelays(t)

/** A reply that begins a stream and sends blocks. */
const stream =
  (blocks: string, then: (response: ServerResponse) => void = (response) => response.end()) =>
  (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    response.write(blocks, () => then(response))
  }
const begin = (place: string) => `: events follow\nretry: 1000\nid: ${place}\n\n`
const event = (id: string) => `id: ${id}\nevent: task.noted\ndata: {"id":"${id}"}\n\n`
const stay = () => {}

/** The ids of so many events. */
async function take(count: number, events: AsyncGenerator<Event>) {
  const ids: string[] = []
  for await (const { id } of events) if (ids.push(id) === count) break
  return ids
}

const afterOf = ({ url }: { url?: string }) => new URLSearchParams(url!.split('?')[1]).get('after')

t.test('a watch goes on where it was, however the connection ends, and repeats nothing', async (t) => {
  const { aklp, requests } = await faulty(t, [
    stream(begin('0')),
    stream(`${begin('0')}${event('1')}${event('2')}`),
    disconnect,
    json(503, { error_code: 'overloaded', detail: '…' }),
    // In the middle of an event, and of a character.
    stream(`${event('3')}id: 4\nevent: task.noted\ndata: {"id`, (response) => response.destroy()),
    stream(`:\nid: 3b\n\n`, (response) => response.destroy()),
    stream(`${event('4')}${event('5')}`, stay),
  ])
  t.same(await take(5, aklp.events.watch({ types: ['task.noted'] })), ['1', '2', '3', '4', '5'])
  t.same(requests.map(afterOf), [null, '0', '2', '2', '2', '3', '3b'])
  t.match(requests[0], { headers: { accept: 'text/event-stream' }, url: /types=task.noted/ })
})

t.test('a watch begins after the given event', async (t) => {
  const { aklp, requests } = await faulty(t, [stream(event('8'), stay)])
  t.same(await take(1, aklp.session(randomUUID()).events.watch({ after: '7' })), ['8'])
  t.match(requests[0]!.url, /session_id=.*&after=7|after=7.*session_id=/)
})

t.test('a watch ends with the errors that another attempt would meet again', async (t) => {
  for (const [status, error_code, type] of [
    [401, 'unauthorized', UnauthorizedError],
    [404, 'events_off', NotFoundError],
    [410, 'events_expired', AklpError],
  ] as const) {
    const { aklp } = await faulty(t, [stream(event('1')), json(status, { error_code, detail: '…' })])
    t.match(await failure(take(2, aklp.events.watch()), type), { error_code })
  }
  const { aklp } = await faulty(t, [json(200, {})])
  t.match(await failure(take(1, aklp.events.watch()), AklpError), { message: /baseUrl/ })
})

t.test('a watch that reaches no service ends', async (t) => {
  const { aklp, requests } = await faulty(t, [disconnect])
  await failure(take(1, aklp.events.watch()), ConnectionError)
  t.equal(requests.length, 3)
})

t.test('a watch ends when its signal aborts, also while it waits', async (t) => {
  const { aklp, requests } = await faulty(t, [stream(begin('0'), stay)])
  const controller = new AbortController()
  const watched = failure(take(1, aklp.events.watch({ signal: controller.signal })), AbortError)
  while (requests.length === 0) await new Promise(setImmediate)
  controller.abort(new Error('enough'))
  t.match(await watched, { message: /enough/ })
  await failure(take(1, aklp.events.watch({ signal: controller.signal })), AbortError)
})

t.test('a loop that ends closes the connection', async (t) => {
  let closed: () => void
  const isClosed = new Promise<void>((resolve) => {
    closed = resolve
  })
  const { baseUrl } = await startServer(t, (_request, response) => {
    response.on('close', () => closed())
    stream(event('1'), stay)(response)
  })
  t.same(await take(1, createClient({ baseUrl }).events.watch()), ['1'])
  await isClosed
  t.pass()
})

t.test('each attempt asks for the token anew', async (t) => {
  const given: (string | undefined)[] = []
  let left = 2
  const { baseUrl } = await startServer(t, ({ headers }, response) => {
    given.push(headers.authorization)
    stream(event(`${left}`), --left > 0 ? undefined : stay)(response)
  })
  let nth = 0
  await take(2, createClient({ baseUrl, token: async () => `token-${nth++}` }).events.watch())
  t.same(given, ['Bearer token-0', 'Bearer token-1'])
})

t.test('what agents do in a session is seen as it happens', async (t) => {
  const { baseUrl } = await startService(t)
  const aklp = createClient({ baseUrl })
  const session = aklp.session(randomUUID())
  const { tasks } = await session.batches.create({ tasks: [{ title: 'a' }, { title: 'b' }] })
  const { next } = await session.events.list()
  const seen: string[] = []
  const watched = (async () => {
    for await (const { type, actor, changes, task_id } of session.events.watch({ after: next! })) {
      seen.push(`${type} ${actor.worker} ${task_id === tasks[0]!.id ? 'a' : 'b'}`)
      if (changes.some(({ field, to }) => field === 'title' && to === 'end')) return
    }
  })()
  await aklp.session(randomUUID()).tasks.create({ title: 'elsewhere' })
  await session.work({ worker: 'agent-1' }, async ({ title }, { note }) => {
    if (title === 'a') await note('look')
  })
  await aklp.tasks.update(tasks[0]!.id, { title: 'end' })
  await watched
  t.same(seen, [
    'task.claimed agent-1 a',
    'task.noted agent-1 a',
    'task.updated agent-1 a',
    'task.claimed agent-1 b',
    'task.updated agent-1 b',
    'task.updated null a',
  ])
})

t.test('an idle worker begins when another one has finished what its task waits for', async (t) => {
  const { app, baseUrl } = await startService(t)
  const aklp = createClient({ baseUrl })
  const session = aklp.session(randomUUID())
  const { tasks } = await session.batches.create({
    tasks: [
      { key: 'a', title: 'a' },
      { title: 'b', blocked_by: ['a'] },
    ],
  })
  const { lease } = await session.tasks.claimNext({ worker: 'other' })
  const streams = () =>
    app.inject('/metrics').then(({ body }) => /^aklp_event_readers (\d+)/m.exec(body)?.[1])
  const worked: string[] = []
  const work = session.work({ worker: 'agent-1' }, ({ title }) => void worked.push(title))
  while ((await streams()) !== '1') await new Promise((resolve) => setTimeout(resolve, 20))
  const { token } = lease!
  await aklp.tasks.update(tasks[0]!.id, { status: 'completed' }, { leaseToken: token })
  t.equal((await work).outcome, 'done')
  t.same(worked, ['b'])
})
