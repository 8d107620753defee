/** The page at /docs as a person uses it: in a real browser, on a server that really listens. */

import type { Page } from 'playwright-core'
import t from 'tap'
import { hashKey, makeKey } from '../src/access/keys.js'
import { buildApp } from '../src/app.js'
import { openDatabase } from '../src/db/open.js'
import { loadConfig, serviceOptions } from '../src/start/config.js'
import { launch, skip } from './chromium.js'
import { options } from './support.js'

t.test('the page at /docs', { skip }, async (t) => {
  const database = await openDatabase('memory://', options)
  const serve = async (settings: Record<string, string>) => {
    const app = await buildApp({ ...serviceOptions(loadConfig(settings)), database })
    await app.listen({ host: '127.0.0.1', port: 0 })
    return { app, port: (app.server.address() as { port: number }).port }
  }
  const { app, port } = await serve({})
  const key = makeKey()
  const entry = { name: 'teacher', hash: hashKey(key), scopes: ['tasks:read'] }
  const closed = await serve({ API_KEYS: JSON.stringify([entry]) })
  const named = await serve({ AUTH: 'off' })
  const browser = await launch('--host-resolver-rules=MAP tasks.test 127.0.0.1')
  t.teardown(async () => {
    await browser.close()
    await app.close()
    await closed.app.close()
    await named.app.close()
    await database.close()
  })

  /** Opens the page; `foreign` collects requests to other servers, `complaints` the errors of the browser. */
  async function open(host: string, at = port) {
    const page = await browser.newPage()
    const foreign: string[] = []
    const complaints: string[] = []
    page.on('request', (request) => {
      const { protocol, origin } = new URL(request.url())
      if (protocol !== 'data:' && origin !== `http://${host}:${at}`) foreign.push(request.url())
    })
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(`${message.text()} ${message.location().url}`)
    })
    await page.goto(`http://${host}:${at}/docs`)
    return { page, foreign, complaints }
  }

  await t.test('every operation works with its prefilled example', async (t) => {
    const { page, foreign, complaints } = await open('127.0.0.1')
    const asFilledIn: Record<string, number> = {}
    /** Executes an operation as the page fills it in, and then with what is given. */
    const execute = async (operationId: string, given?: Given) => {
      const operation = await expand(page, operationId)
      let answer = await operation.execute()
      asFilledIn[operationId] = answer.status
      if (given) {
        await operation.fill(given)
        answer = await operation.execute()
      }
      await operation.collapse()
      return answer
    }
    const tasksNow = async () => (await app.inject('/api/v1/tasks?sort_by=created_at&order=asc')).json().items

    const { status, body: batch } = await execute('createBatch')
    t.equal(status, 201)
    t.equal(batch.tasks.length, 4)
    t.same(await tasksNow(), batch.tasks, 'what the page shows is what is stored')
    const ids: string[] = batch.tasks.map((task: { id: string }) => task.id)
    const { session_id } = batch

    t.same((await execute('listBatches')).body.items, [batch])
    const listed = await execute('listTasks', { status: 'pending', session_id, limit: '3', order: 'asc' })
    t.match(listed, { status: 200, body: { total: 4, limit: 3, total_pages: 2 } })

    const completed = await execute('updateTask', { task_id: ids[0], body: { status: 'completed' } })
    t.match(completed, { status: 200, body: { id: ids[0], status: 'completed', completed_at: String } })
    t.same((await tasksNow())[0], completed.body)

    t.match((await execute('claimNextTask')).body, { task: { id: ids[1], claimed_by: 'agent-1' } })
    t.match((await execute('getSession', { session_id })).body, { progress: { percent: 25 } })
    for (const name of [
      'patchTask',
      'claimTask',
      'renewLease',
      'releaseTask',
      'extendBatch',
      'postBulkDeleteTasks',
      'listEvents',
    ])
      await execute(name)

    const tasks = ids.slice(1).map((id) => ({ id, status: 'completed' }))
    const updated = await execute('bulkUpdateTasks', { body: { tasks } })
    t.match(updated, { status: 200, body: { not_found: [] } })
    t.same((await tasksNow()).slice(1), updated.body.updated)

    t.same(await execute('getTask', { task_id: ids[0] }), { status: 200, body: completed.body })
    const now = { status: 200, body: (await app.inject(`/api/v1/batches/${batch.id}`)).json() }
    t.match(now.body, { progress: { percent: 100 }, tasks: await tasksNow() })
    t.same(await execute('getBatch', { batch_id: batch.id }), now)
    t.same(await execute('latestBatch', { session_id }), now)

    const extra = await execute('createTask')
    t.equal(extra.status, 201)
    t.same(await execute('deleteTask', { task_id: extra.body.id }), { status: 204, body: undefined })
    t.same(await execute('bulkDeleteTasks', { body: { ids } }), {
      status: 200,
      body: { deleted_count: 4, not_found: [] },
    })
    t.same(await tasksNow(), [])
    t.match((await execute('restoreTasks', { body: { ids } })).body, {
      restored: { length: 4 },
      not_found: [],
    })
    t.equal((await tasksNow()).length, 4)
    t.equal((await execute('getHealth')).body.status, 'healthy')

    const operations = Object.values((await app.inject('/openapi.json')).json().paths).flatMap((path: any) =>
      Object.values<any>(path),
    )
    for (const { operationId, parameters = [], responses } of operations) {
      // Probes return plain text, and a stream does not end.
      if (['text/plain', 'text/event-stream'].some((type) => responses['200']?.content?.[type])) continue
      const takesId = parameters.some((parameter: any) => parameter.in === 'path')
      const succeeded = asFilledIn[operationId]! < 300
      t.ok(succeeded || (takesId && asFilledIn[operationId] === 404), `${operationId} works as filled in`)
    }
    t.same(foreign, [], 'nothing comes from elsewhere')
    // The browser logs every 404: those of the ids that are filled in.
    t.same(
      complaints.filter((complaint) => !/status of 404.*\/api\/v1\//.test(complaint)),
      [],
    )
  })

  await t.test('the page works on another host over plain HTTP', async (t) => {
    // Browsers trust 127.0.0.1 more than any other name.
    const { page, foreign, complaints } = await open('tasks.test', named.port)
    const operation = await expand(page, 'listTasks')
    t.equal((await operation.execute()).status, 200)
    t.same(foreign, [])
    t.same(complaints, [])
  })

  await t.test('the page asks for a key behind "Authorize" and sends it', async (t) => {
    const { page, foreign } = await open('127.0.0.1', closed.port)
    const operation = await expand(page, 'listTasks')
    t.match(await operation.execute(), { status: 401, body: { error_code: 'unauthorized' } })
    await page.locator('.scheme-container .authorize, .auth-wrapper .authorize').first().click()
    const form = page.locator('.auth-container')
    await form.locator('input').fill(key)
    await form.locator('button.authorize').click()
    await form.locator('button.btn-done').click()
    t.match(await operation.execute(), { status: 200, body: { total: Number } })
    t.same(foreign, [])
  })
})

/** Values by the name of their parameter, and the body. */
interface Given extends Record<string, unknown> {
  body?: object
}

/** Opens an operation of the page. */
async function expand(page: Page, operationId: string) {
  const operation = page.locator(`.opblock[id$="-${operationId}"]`)
  const toggle = operation.locator('.opblock-summary-control')
  const clear = operation.locator('.btn-clear')
  const answer = operation.locator('.live-responses-table .response')
  await toggle.click()
  return {
    async fill({ body, ...parameters }: Given) {
      for (const [name, value] of Object.entries(parameters)) {
        const row = operation.locator(`tr[data-param-name="${name}"]`)
        if (await row.locator('select').isVisible()) await row.locator('select').selectOption(String(value))
        else await row.locator('input').fill(String(value))
      }
      if (body !== undefined) await operation.locator('textarea').fill(JSON.stringify(body))
    },
    /** Executes it, and reads the response that the page shows. */
    async execute() {
      if (await clear.isVisible()) await clear.click()
      await operation.locator('.execute').click()
      const status = Number(await answer.locator('.response-col_status').textContent())
      const shown = answer.locator('.highlight-code code').first()
      return {
        status,
        body: (await shown.isVisible()) ? JSON.parse((await shown.textContent())!) : undefined,
      }
    },
    collapse: () => toggle.click(),
  }
}
