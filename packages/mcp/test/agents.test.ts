/** Agents at work over both ways, in both eras of the protocol, against the real service. */
import { randomUUID } from 'node:crypto'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { onEachDatabase } from '../../server/test/support.js'
import { type Agent, overHttp, overStdio, type Where } from './connect.js'

const ways = { http: overHttp, stdio: overStdio }
const NAMES = [
  'resume',
  'create_plan',
  'extend_plan',
  'next_task',
  'finish_task',
  'update_task',
  'release_task',
  'get_task',
  'list_tasks',
]
const isRead = (name: string) => ['resume', 'get_task', 'list_tasks'].includes(name)
const plan = {
  reason: 'Learn about Pods',
  tasks: [
    { key: 'learn', title: 'Pod 개념 이해하기', priority: 'high' },
    { key: 'create', title: 'Create an nginx Pod', blocked_by: ['learn'] },
    { key: 'logs', title: 'Read its logs', blocked_by: ['create'] },
  ],
}

/** A proxy that can drop responses, after the service has handled the requests. */
async function startLosing(test: Test, target: string) {
  let lost: 'all' | 'changes' | undefined
  const server = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming
    const forward = request(`${target}${url}`, { method, headers }, (response) => {
      if (lost === 'all' || (lost === 'changes' && method !== 'GET'))
        return void response.resume().once('end', () => incoming.socket.destroy())
      outgoing.writeHead(response.statusCode!, response.headers)
      response.pipe(outgoing)
    })
    incoming.pipe(forward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  test.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lose: (answers: typeof lost) => {
      lost = answers
    },
  }
}

onEachDatabase(async (t, { app, call: api }) => {
  const url = await app.listen({ host: '127.0.0.1', port: 0 })

  for (const [way, connect] of Object.entries(ways)) {
    for (const era of ['legacy', 'auto'] as const) {
      await t.test(`a day of an agent over ${way}, ${era}`, async (t) => {
        const where = { url, session: randomUUID(), worker: 'agent-1' }
        const morning = await connect(t, era, where)
        const { tools } = await morning.client.listTools()
        t.same(
          tools.map(({ name }) => name),
          NAMES,
        )
        const bytes = Buffer.byteLength(JSON.stringify(tools))
        t.ok(bytes <= 10_000, `${bytes} bytes`)
        for (const { name, annotations } of tools) {
          t.notOk(annotations!.destructiveHint, name)
          t.equal(annotations!.readOnlyHint ?? false, isRead(name), name)
          t.equal(annotations!.idempotentHint ?? false, !isRead(name) && name !== 'next_task', name)
        }
        t.match(morning.client.getInstructions(), /resume: first.*create_plan.*next_task.*finish_task/s)

        t.match(await morning.call('resume'), { next_step: /create_plan/ })
        const { batch_id } = await morning.call('create_plan', plan)
        const first = await morning.call('next_task')
        t.match(first, { task: { key: 'learn' }, token: String })
        const { next } = await morning.call('finish_task', {
          task_id: first.task.id,
          token: first.token,
          result: 'Pods are understood',
        })
        t.match(next, { task: { key: 'create' } })
        await morning.client.close()

        const evening = await connect(t, era, where)
        t.match(await evening.call('resume'), {
          progress: { completed: 1 },
          in_progress: [{ key: 'create', claimed_by: 'agent-1' }],
          latest_batch: { id: batch_id },
          next_step: /You hold/,
        })
        const back = await evening.call('next_task')
        t.match(back, { task: { key: 'create', attempts: undefined } })
        t.match(await evening.call('get_task', { task_id: back.task.id }), {
          blocked_by: [{ key: 'learn', result: 'Pods are understood' }],
        })
        await evening.call('extend_plan', {
          tasks: [{ key: 'delete', title: 'Delete it', blocked_by: ['logs'] }],
        })
        let claim = back
        while (claim.task)
          claim = (
            await evening.call('finish_task', { task_id: claim.task.id, token: claim.token, result: 'done' })
          ).next
        t.match(claim, { progress: { total: 4, percent: 100 } })
      })
    }

    await t.test(`every tool explains what is wrong over ${way}`, async (t) => {
      const { call } = await connect(t, 'auto', { url, session: randomUUID(), worker: 'agent-1' })
      const { tasks } = await call('create_plan', plan)
      const task_id = tasks[0].id
      const token = randomUUID()
      await api('POST', `/tasks/${task_id}/claim`, { worker: 'other' })
      const foreign = (await api('POST', '/tasks', { title: 'a', session_id: randomUUID() })).body.id
      for (const [name, input, expected] of [
        ['resume', { all: true }, /^all is unknown/],
        ['resume', { session_id: randomUUID() }, /^Another session is configured/],
        ['create_plan', { tasks: [{ key: 'a', title: 'a', priority: 'urgent' }] }, /did you mean high\?/],
        ['extend_plan', { tasks: [{ key: 'learn', titel: 'a' }] }, /did you mean title\?/],
        ['next_task', { lease: 60 }, /did you mean lease_seconds\?/],
        ['next_task', { task_id: foreign }, /another session/],
        ['finish_task', { task_id, token, result: 'a' }, /Stop work on this task and call next_task\.$/],
        ['finish_task', { task_id: foreign, token, result: 'a' }, /Stop work on this task/],
        ['update_task', { task_id, status: 'done' }, /did you mean completed\?/],
        ['update_task', { task_id: foreign, title: 'a' }, /another session/],
        ['release_task', { task_id, token }, /Stop work on this task/],
        ['get_task', { task_id: foreign }, /another session/],
        ['list_tasks', { status: 'open' }, /did you mean pending\?/],
      ] as const) {
        const { error } = await call(name, input)
        t.match(error, expected, `${name} ${JSON.stringify(input)}`)
        t.notMatch(error, /api\/v1|127\.0\.0\.1|at .*\.js/)
      }
    })
  }

  await t.test('two agents over different ways share a plan and never a task', async (t) => {
    const session = randomUUID()
    const agents = await Promise.all([
      overHttp(t, 'auto', { url, session, worker: 'one' }),
      overStdio(t, 'auto', { url, session, worker: 'two' }),
    ])
    await agents[0].call('create_plan', {
      tasks: Array.from({ length: 16 }, (_, n) => ({
        key: `t${n}`,
        title: `Task ${n}`,
        ...(n >= 8 && { blocked_by: [`t${n - 8}`] }),
      })),
    })
    const work = async ({ call }: Agent) => {
      const done: string[] = []
      let claim = await call('next_task')
      for (;;) {
        while (claim.task) {
          done.push(claim.task.id)
          const { next } = await call('finish_task', {
            task_id: claim.task.id,
            token: claim.token,
            result: 'ok',
          })
          claim = next
        }
        if (claim.progress.percent === 100) return done
        claim = await call('next_task')
      }
    }
    const done = (await Promise.all(agents.map(work))).flat()
    t.equal(done.length, 16)
    t.equal(new Set(done).size, 16)
  })

  /** Loses an answer of each tool, and makes the same call again. */
  const losingDay = async (
    t: Test,
    session: string,
    lose: (name: string, input: object) => Promise<unknown>,
    call: Agent['call'],
  ) => {
    const again = async (name: string, input: object = {}) => {
      await lose(name, input)
      const answer = await call(name, input)
      t.equal(answer.error, undefined, `${name}: ${answer.error}`)
      return answer
    }
    t.match(await again('create_plan', plan), { already_there: String, progress: { total: 3 } })
    t.match(await again('extend_plan', { tasks: [{ key: 'more', title: 'More' }] }), {
      already_there: String,
      progress: { total: 4 },
    })
    const { task, token } = await again('next_task')
    t.match(task, { key: 'learn', attempts: undefined })
    await again('update_task', { task_id: task.id, token, note: 'half way', description: 'changed' })
    const { next } = await again('finish_task', { task_id: task.id, token, result: 'ok', note: 'over' })
    t.match(next.task, { attempts: undefined })
    await again('release_task', { task_id: next.task.id, token: next.token, note: 'later' })
    await again('resume')
    const { total, tasks } = await again('list_tasks')
    t.equal(total, 4)
    await again('get_task', { task_id: tasks[0][0] })
    const { items } = (await api('GET', `/events?session_id=${session}&limit=500`)).body
    const notes = items.flatMap(({ note }: { note: string | null }) => note ?? [])
    t.same(notes.sort(), ['half way', 'later', 'over'])
    const { body } = await api('GET', `/batches?session_id=${session}`)
    t.equal(body.total, 1)
  }

  await t.test('an answer that is lost on the way to the client is not a second effect', async (t) => {
    const session = randomUUID()
    let isLosing = false
    const where: Where = { url, session, worker: 'agent-1' }
    const { call } = await overHttp(t, 'auto', where)
    const lossy = await overHttp(t, 'auto', {
      ...where,
      fetch: async (input, init) => {
        const response = await fetch(input, init)
        if (!isLosing) return response
        await response.arrayBuffer()
        throw new TypeError('the answer was lost')
      },
    })
    isLosing = true
    await losingDay(t, session, (name, input) => t.rejects(lossy.call(name, input)), call)
  })

  await t.test(
    'an answer that is lost on the way to a server over stdio is not a second effect',
    async (t) => {
      const session = randomUUID()
      const proxy = await startLosing(t, url)
      const { call } = await overStdio(t, 'legacy', {
        url: proxy.url,
        session,
        worker: 'agent-1',
      })
      await losingDay(
        t,
        session,
        async (name, input) => {
          proxy.lose(isRead(name) ? 'all' : 'changes')
          t.match(await call(name, input), { error: /^The task service cannot be reached.*same call again/ })
          proxy.lose(undefined)
        },
        call,
      )
    },
  )
})
