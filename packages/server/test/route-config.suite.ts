import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import { admission, Gate, loadOfList } from '../src/http/admission.js'
import { handleError } from '../src/http/error-handler.js'
import { pipelining } from '../src/http/pipelining.js'
import { deadlines } from '../src/http/timeouts.js'

t.test('registering a route without a load throws', async (t) => {
  const app = Fastify()
  await app.register(pipelining)
  await app.register(admission, { gate: new Gate(2) })
  t.throws(() => app.get('/tasks', async () => ''), { message: 'GET /tasks has no config.load' })
})

t.test('a request takes a place of the load of its route', async (t) => {
  const gate = new Gate(2)
  const app = Fastify()
  app.decorateRequest('caller', { getter: () => ({ name: 'anybody', scopes: [] }) })
  await app.register(pipelining)
  await app.register(admission, { gate })
  const running = async () => gate.running
  app.get('/one', { config: { load: 'ordinary' } }, running)
  app.get('/free', { config: { load: 'none' } }, running)
  app.get('/list', { config: { load: loadOfList } }, running)
  t.same((await app.inject('/one')).json(), { ordinary: 1, scan: 0 })
  t.same((await app.inject('/free')).json(), { ordinary: 0, scan: 0 })
  t.same((await app.inject('/list')).json(), { ordinary: 0, scan: 1 })
  t.same((await app.inject('/list?session_id=a')).json(), { ordinary: 1, scan: 0 })
  t.same((await app.inject('/list?batch_id=a')).json(), { ordinary: 1, scan: 0 })
  t.same(gate.running, { ordinary: 0, scan: 0 }, 'and gives it back')
})

t.test('a route can have its own deadline or none', async (t) => {
  const app = Fastify()
  app.setErrorHandler(handleError)
  await app.register(pipelining)
  await app.register(deadlines, { milliseconds: 20 })
  const slow = async () => {
    await sleep(100)
    return 'done'
  }
  app.get('/usual', slow)
  app.get('/longer', { config: { deadline: 10_000 } }, slow)
  app.get('/endless', { config: { deadline: false } }, slow)
  const [usual, longer, endless] = await Promise.all(
    ['/usual', '/longer', '/endless'].map((path) => app.inject(path)),
  )
  t.match(usual!.json(), { status: 503, error_code: 'timeout' })
  t.equal(longer!.body, 'done')
  t.equal(endless!.body, 'done')
})
