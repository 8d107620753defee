/** The stream of events, over real HTTP. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import t, { type Test } from 'tap'
import { hashKey } from '../src/access/keys.js'
import { openDatabase } from '../src/db/open.js'
import { createEventFeed } from '../src/events/feed.js'
import { Follower } from '../src/events/follower.js'
import { EventStream } from '../src/events/stream.js'
import { anonymous } from '../src/http/caller.js'
import { until } from './process.js'
import { type Api, createApi, onEachDatabase, options, sharedPostgres, skipPostgres } from './support.js'

/** A block of a stream: its fields, and its comments as one. */
type Block = Record<string, string>

/** Opens a stream and reads its blocks. */
async function open(t: Test, base: string, query = '', headers: Record<string, string> = {}) {
  const controller = new AbortController()
  t.teardown(() => controller.abort())
  const response = await fetch(`${base}/api/v1/events/stream${query}`, {
    headers,
    signal: controller.signal,
  })
  const blocks: Block[] = []
  let text = ''
  const ended = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of response.body!) {
      text += decoder.decode(chunk as Uint8Array, { stream: true })
      const parts = text.split('\n\n')
      text = parts.pop()!
      for (const part of parts)
        blocks.push(
          Object.fromEntries(
            part.split('\n').map((line) => {
              const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line)!
              return [field || 'comment', value!]
            }),
          ),
        )
    }
  })()
  ended.catch(() => {})
  const events = () => blocks.filter(({ data }) => data !== undefined).map(({ data }) => JSON.parse(data!))
  return {
    response,
    blocks,
    events,
    text: () => text,
    ended,
    close: () => controller.abort(),
    /** Waits for so many events. */
    received: async (count: number) => {
      await until(`${count} events`, () => events().length >= count)
      return events()
    },
    /** Waits until it follows: all that happens afterwards is sent. */
    begun: () => until('the stream begins', () => blocks.length > 0),
  }
}

/** The service on a port. */
async function listen(t: Test, ...[database, settings, parts]: any[]) {
  const api: Api = await createApi(database, settings, undefined, parts)
  t.teardown(() => api.app.close())
  return { ...api, base: await api.app.listen({ port: 0, host: '127.0.0.1' }) }
}

onEachDatabase(async (t, { database, clear }) => {
  t.beforeEach(() => clear())
  const { base, call } = await listen(t, database, {}, { heartbeat: 50 })
  const create = async (task: object = {}) => (await call('POST', '/tasks', { title: 'a', ...task })).body

  await t.test('what happens is sent as events with id, type and JSON in one line', async (t) => {
    await create({ title: 'before' })
    const stream = await open(t, base)
    t.equal(stream.response.status, 200)
    t.equal(stream.response.headers.get('content-type'), 'text/event-stream')
    t.equal(stream.response.headers.get('x-content-type-options'), 'nosniff')
    await stream.begun()
    const task = await create({ title: 'a\nb', description: '\u2028' })
    await call('PUT', `/tasks/${task.id}`, { status: 'completed', note: 'c\n\nd' })
    await stream.received(2)
    const { items } = (await call('GET', '/events?limit=10')).body
    t.same(stream.events(), items.slice(1), 'the events of the list, and none of before')
    const sent = stream.blocks.filter(({ data }) => data !== undefined)
    t.same(
      sent.map(({ id, event }) => ({ id, type: event })),
      items.slice(1).map(({ id, type }: any) => ({ id, type })),
    )
  })

  await t.test('a stream goes on after the last id, or after the place that is named', async (t) => {
    const tasks = []
    for (let n = 0; n < 120; n++) tasks.push(await create({ title: `${n}` }))
    const { items } = (await call('GET', '/events?limit=500')).body
    const stream = await open(t, base, `?after=${items[0].id}`, { 'last-event-id': items[2].id })
    await create({ title: 'later' })
    const titles = (events: any[]) => events.map(({ changes }) => changes[0].to)
    t.same(titles(await stream.received(118)), [
      ...Array.from({ length: 117 }, (_, n) => `${n + 3}`),
      'later',
    ])
    const named = await open(t, base, `?after=${items[116].id}`)
    t.same(titles(await named.received(4)), ['117', '118', '119', 'later'])
  })

  await t.test('a stream has only what its filters name', async (t) => {
    const [session_id, other] = [randomUUID(), randomUUID()]
    const mine = await create({ session_id })
    const [bySession, byTask, byType] = await Promise.all([
      open(t, base, `?session_id=${session_id.toUpperCase()}`),
      open(t, base, `?task_id=${mine.id}&types=task.deleted`),
      open(t, base, '?types=task.deleted,task.updated'),
    ])
    await Promise.all([bySession.begun(), byTask.begun(), byType.begun()])
    await create({ session_id: other })
    await call('PUT', `/tasks/${mine.id}`, { title: 'b' })
    await create({ session_id })
    await call('DELETE', `/tasks/${mine.id}`)
    const types = (events: any[]) => events.map(({ type }) => type)
    t.same(types(await bySession.received(3)), ['task.updated', 'task.created', 'task.deleted'])
    t.same(types(await byTask.received(1)), ['task.deleted'])
    t.same(types(await byType.received(2)), ['task.updated', 'task.deleted'])
  })

  await t.test(
    'a comment comes in regular intervals, with the place up to which there was nothing',
    async (t) => {
      const stream = await open(t, base, `?session_id=${randomUUID()}`)
      await stream.begun()
      await create()
      const { next } = (await call('GET', '/events')).body
      await until('the place moves on', () => stream.blocks.at(-1)!.id! >= next)
      t.ok(stream.blocks.every((block) => 'comment' in block))
      t.same(stream.events(), [])
      const { id } = stream.blocks.at(-1)!
      const again = await open(t, base, '', { 'last-event-id': id! })
      await again.begun()
      await create({ title: 'next' })
      t.match(await again.received(1), [{ changes: [{ to: 'next' }] }])
    },
  )

  await t.test('what prevents a stream is an error response', async (t) => {
    const get = async (path: string, init: RequestInit = {}) => {
      const response = await fetch(base + path, init)
      const text = await response.text()
      return { status: response.status, body: text && JSON.parse(text) }
    }
    t.match(await get('/api/v1/events/stream?after=1'), {
      status: 422,
      body: { errors: [{ path: 'after' }] },
    })
    t.match(await get('/api/v1/events/stream?limit=1'), { status: 422 })
    t.match(await get('/api/v1/events/stream', { headers: { 'last-event-id': 'x' } }), {
      status: 422,
      body: { errors: [{ in: 'header', path: 'last-event-id' }] },
    })
    t.match(
      await get(`/api/v1/events/stream?after=${'f'.repeat(11)}0${'0'.repeat(12)}`),
      { status: 410, body: { error_code: 'events_expired' } },
      'a place that the database does not know, such as after it was restored',
    )
    t.equal((await get('/api/v1/events/stream', { method: 'HEAD' })).status, 405)
    const without = await listen(t, database, { EVENT_DAYS: '0' })
    const off = await fetch(`${without.base}/api/v1/events/stream`)
    t.equal(off.status, 404)
    t.match(await off.json(), { error_code: 'events_off', detail: /EVENT_DAYS=0/ })
  })

  await t.test('a caller that is bound to sessions sees only these', async (t) => {
    const key = `aklp_${'a'.repeat(43)}`
    const own = randomUUID()
    const API_KEYS = JSON.stringify([
      { name: 'bound', hash: hashKey(key), scopes: ['tasks:read'], sessions: [own] },
      { name: 'writer', hash: hashKey('writer'), scopes: ['tasks:write'] },
    ])
    const closed = await listen(t, database, { API_KEYS })
    t.equal((await fetch(`${closed.base}/api/v1/events/stream`)).status, 401)
    const headers = { authorization: `Bearer ${key}` }
    const first = await create({ session_id: own })
    const { items } = (await call('GET', '/events')).body
    const stream = await open(t, closed.base, '', headers)
    const foreign = await open(t, closed.base, `?session_id=${randomUUID()}`, headers)
    await stream.begun()
    await foreign.begun()
    const batch = await call('POST', '/batches', { session_id: randomUUID(), tasks: [{ title: 'foreign' }] })
    await call('PUT', `/tasks/${batch.body.tasks[0].id}`, { title: 'b' })
    await create()
    await call('PUT', `/tasks/${first.id}`, { title: 'mine' })
    t.match(await stream.received(1), [{ task_id: first.id, changes: [{ to: 'mine' }] }])
    const missed = await open(t, closed.base, `?after=${items[0].id}`, headers)
    t.match(await missed.received(1), [{ task_id: first.id, changes: [{ to: 'mine' }] }])
    t.same(foreign.events(), [])
  })

  await t.test('all streams end when the service stops', async (t) => {
    const stopping = await listen(t, database)
    const streams = await Promise.all(Array.from({ length: 3 }, () => open(t, stopping.base)))
    for (const stream of streams) await stream.begun()
    await stopping.app.close()
    for (const stream of streams) {
      await stream.ended
      t.equal(stream.text(), '', 'after a whole block')
    }
  })

  await t.test(
    'one look at the database serves all readers, and there is none without a reader',
    async (t) => {
      let looks = 0
      const feed = createEventFeed(database.db)
      const counted = {
        ...feed,
        read: (...args: Parameters<typeof feed.read>) => {
          looks++
          return feed.read(...args)
        },
      }
      const follower = new Follower(counted)
      const place = await feed.end()
      const received: string[] = []
      const reader = (name: string) => ({
        caller: {},
        filters: {},
        receive: () => received.push(name),
        end: () => {},
      })
      const leave = Array.from({ length: 50 }, (_, n) => follower.follow(place, reader(`${n}`))!)
      await create()
      await until('all have it', () => received.length === 50)
      t.ok(looks <= 10, `${looks} looks`)
      for (const each of leave) each()
      const before = looks
      await create()
      const again = follower.follow(await feed.end(), reader('again'))
      again!()
      t.equal(looks, before)
      t.equal(follower.delivered, undefined)
    },
  )

  await t.test('a caller can have many streams, but not all', async (t) => {
    const follower = new Follower(createEventFeed(database.db))
    const leave = Array.from({ length: 2000 }, () => follower.places.enter({ name: 'one' }))
    t.throws(() => follower.places.enter({ name: 'one' }), { code: 'overloaded' })
    for (let n = 0; n < 500; n++) follower.places.enter({ name: 'other' })
    t.throws(() => follower.places.enter({ name: 'third' }), { code: 'overloaded' })
    leave[0]!()
    leave[0]!()
    follower.places.enter({ name: 'third' })
    t.throws(() => follower.places.enter({ name: 'one' }), { code: 'overloaded' }, 'a place is free once')
    t.equal(follower.places.taken, 2500)
  })
})

t.test('a stream', async (t) => {
  const database = await openDatabase('memory://', options)
  t.teardown(() => database.close())
  const { call } = await createApi(database)
  const feed = createEventFeed(database.db)
  /** Serves streams with these options. Returns the port and what is not read. */
  const serve = async (t: Test, given: object) => {
    const follower = new Follower(feed)
    const state = { unread: 0, most: 0, over: false }
    const server = createServer(async (_request, response) => {
      const place = await feed.end()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      await new EventStream(response, place, {
        caller: anonymous,
        filters: {},
        follower,
        read: (after) => feed.read(anonymous, { after, limit: 100, order: 'asc' }, 64 * 1024),
        countUnread: (_response: ServerResponse, bytes: number) => {
          state.unread = bytes
          state.most = Math.max(state.most, bytes)
        },
        heartbeat: 10_000,
        ...given,
      }).run()
      state.over = true
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    return { port: (server.address() as AddressInfo).port, state }
  }

  await t.test('ends when the credentials of its caller expire', async (t) => {
    const { port, state } = await serve(t, { until: Date.now() + 100 })
    const response = await fetch(`http://127.0.0.1:${port}`)
    await response.text()
    t.ok(state.over)
  })

  await t.test(
    'of a client that does not read is cut off, and little is kept for it meanwhile',
    async (t) => {
      const { port, state } = await serve(t, { patience: 200 })
      const socket = connect(port, '127.0.0.1')
      socket.pause()
      socket.on('error', () => {})
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      const { body: task } = await call('POST', '/tasks', { title: 'a' })
      for (let n = 0; !state.over; n++) {
        await call('PUT', '/tasks/bulk', {
          tasks: Array.from({ length: 50 }, () => ({ id: task.id, result: `${n % 2}`.repeat(4000) })),
        })
        await call('PUT', `/tasks/${task.id}`, { metadata: { text: `${n % 2}`.repeat(8000) } })
        if (n > 2000) t.bailout('it was never cut off')
      }
      t.ok(state.most < 1_000_000, `${state.most} bytes`)
      t.equal(state.unread, 0)
      socket.destroy()
    },
  )

  await t.test('of a client that reads slowly has every event', async (t) => {
    const { port } = await serve(t, {})
    const socket = connect(port, '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    let text = ''
    socket.on('data', (data) => {
      text += data
      socket.pause()
      setTimeout(() => socket.resume(), 5)
    })
    await until('it begins', () => text.includes('events follow'))
    const { body: task } = await call('POST', '/tasks', { title: 'a' })
    for (let n = 0; n < 300; n++)
      await call('PUT', `/tasks/${task.id}`, { title: `n ${n}`, result: `${n % 2}`.repeat(4000) })
    await until('the last one arrives', () => text.includes('"n 299"]') || text.includes('"to":"n 299"'))
    const titles = [...text.matchAll(/"field":"title","from":"[^"]*","to":"n (\d+)"/g)].map(([, n]) =>
      Number(n),
    )
    t.same(
      titles,
      Array.from({ length: 300 }, (_, n) => n),
    )
    socket.destroy()
  })
})

t.test('an event reaches the readers of another server', { skip: skipPostgres }, async (t) => {
  const { newDatabase } = await sharedPostgres()
  const url = await newDatabase()
  const servers = await Promise.all(
    [1, 2].map(async () => {
      const database = await openDatabase(url, options)
      t.teardown(() => database.close())
      return listen(t, database)
    }),
  )
  const stream = await open(t, servers[0]!.base)
  await stream.begun()
  await servers[1]!.call('POST', '/tasks', { title: 'a' })
  t.match(await stream.received(1), [{ type: 'task.created' }])
})
