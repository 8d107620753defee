import t from 'tap'
import { recording } from './recording.js'

const id = '019b0f3e-7c00-7000-8000-000000000001'
const session_id = '550e8400-e29b-41d4-a716-446655440001'
const tasks = [{ title: 'a' }]

t.test(
  'the session_id is sent with every call that takes one, and the input cannot override it',
  async (t) => {
    const { aklp, requests } = recording()
    const session = aklp.session(session_id)
    const other = { session_id: '00000000-0000-4000-8000-000000000000' }
    await session.tasks.create({ title: 'a' })
    await session.tasks.create({ title: 'a', ...other })
    await session.tasks.list({ status: 'pending' })
    await session.tasks.list({ ...other, session_id: undefined } as object)
    await session.batches.create({ reason: 'because', tasks })
    await session.batches.list()
    await session.batches.latest()
    for await (const _ of session.tasks.each());
    await session.tasks.update(id, { status: 'completed' })
    await session.tasks.bulkUpdate([{ id }])
    await session.tasks.claimNext({ worker: 'agent-1' })
    await session.sessions.get(other.session_id)
    t.same(
      requests.map(({ url, body }) => [url, body]),
      [
        ['/api/v1/tasks', { title: 'a', session_id }],
        ['/api/v1/tasks', { title: 'a', session_id }],
        [`/api/v1/tasks?status=pending&session_id=${session_id}`, undefined],
        [`/api/v1/tasks?session_id=${session_id}`, undefined],
        ['/api/v1/batches', { reason: 'because', tasks, session_id }],
        [`/api/v1/batches?session_id=${session_id}`, undefined],
        [`/api/v1/batches/latest?session_id=${session_id}`, undefined],
        [`/api/v1/tasks?limit=100&sort_by=created_at&session_id=${session_id}`, undefined],
        [`/api/v1/tasks/${id}`, { status: 'completed' }],
        ['/api/v1/tasks/bulk', { tasks: [{ id }] }],
        ['/api/v1/tasks/claim', { worker: 'agent-1', session_id }],
        [`/api/v1/sessions/${session_id}`, undefined],
      ],
    )
  },
)

t.test('every call of a session names it in a header, and no other call does', async (t) => {
  const { aklp, requests } = recording({ headers: { 'x-session-id': 'of the client', 'X-Team': 'a' } })
  const session = aklp.session(session_id)
  await session.tasks.get(id)
  await session.state()
  await t.rejects(session.events.watch().next(), 'the response is no stream')
  for (const { headers } of requests.splice(0)) {
    t.equal(headers.get('x-session-id'), session_id)
    t.equal(headers.get('x-team'), 'a')
  }
  await aklp.session('ü').tasks.get(id)
  t.equal(requests.at(-1)!.headers.get('x-session-id'), '%C3%BC', 'the service rejects it, not fetch')
  const all = recording()
  await all.aklp.tasks.get(id)
  t.notOk(all.requests[0]!.headers.has('x-session-id'))
})

t.test('a session without an id is rejected: its calls would apply to all sessions', async (t) => {
  const { aklp } = recording()
  t.throws(() => aklp.session(''), TypeError)
  t.throws(() => aklp.session(undefined as unknown as string), TypeError)
})
