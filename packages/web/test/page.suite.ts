/** The page as people use it, while agents work: in a real browser, on a service that really listens. */
import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import Fastify from 'fastify'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { taskService } from '../../server/src/start/index.js'
import { open, plan, serve, sharedBrowser, skip } from './support.js'

t.test('the page', { skip }, async (t) => {
  const browser = await sharedBrowser()
  const service = await serve(t)
  const { url, client } = service

  /** A new plan, and the page that shows it. */
  async function openPlan(t: Test, query = 'view=list', settings = {}) {
    const session = client.session(randomUUID())
    const batch = await session.batches.create(plan)
    const [a, b, c, d] = batch.tasks.map(({ id }) => id) as [string, string, string, string]
    const page = await open(t, browser, `${url}/#/plans/${batch.id}?${query}`, settings)
    await page.getByRole('heading', { level: 1, name: plan.reason }).waitFor()
    return { session, batch, a, b, c, d, page, select: (title: string) => row(page, title).click() }
  }
  const row = (page: Page, title: string) => page.locator('.row > div > a', { hasText: title })
  const rowOf = (page: Page, title: string) =>
    page.locator('.row', { has: page.locator('div > a', { hasText: title }) })
  const stateOf = (page: Page, title: string) => rowOf(page, title).locator('.state')
  const panel = (page: Page) => page.getByRole('complementary', { name: 'Task' })
  const button = (page: Page, name: string) => panel(page).getByRole('button', { name, exact: true })
  /** The button of the dialog that is open. */
  const confirm = (page: Page, name: string) =>
    page.getByRole('dialog').getByRole('button', { name, exact: true })
  const waitForText = (page: Page, text: string | RegExp) => page.getByText(text).first().waitFor()

  await t.test('lists the newest plans, finds those of a session, and shows new ones', async (t) => {
    const session = client.session(randomUUID())
    const { session_id } = await session.batches.create({ ...plan, reason: 'Networking' })
    await client.batches.create({ ...plan, reason: 'Storage' })
    const page = await open(t, browser, url)
    const titles = page.getByRole('main').getByRole('heading', { level: 2 })
    await titles.first().waitFor()
    t.same((await titles.allTextContents()).slice(0, 2), ['Storage', 'Networking'])

    await page.getByLabel('Session id').fill('not a session')
    await page.getByRole('button', { name: 'Search' }).click()
    await waitForText(page, 'A session id is a UUID')
    await page.getByLabel('Session id').fill(session_id!)
    await page.keyboard.press('Enter')
    await page.getByText('Storage').waitFor({ state: 'detached' })
    t.same(await titles.allTextContents(), ['Networking'])

    await session.batches.create({ ...plan, reason: 'Ingress' })
    await page.getByRole('link', { name: 'Ingress' }).waitFor()
    const { task } = await session.tasks.claimNext({ worker: 'agent-1' })
    await session.tasks.update(task!.id, { status: 'completed' })
    await waitForText(page, '1 of 4 done')
    await page.getByRole('link', { name: 'Ingress' }).click()
    await page.getByRole('heading', { level: 1, name: 'Ingress' }).waitFor()
    await page.goBack()
    await page.getByRole('link', { name: 'Networking' }).waitFor()
    t.match(page.url(), session_id!, 'Back leads to what was found')
  })

  await t.test('shows more plans when they are asked for', async (t) => {
    const session = client.session(randomUUID())
    for (let n = 1; n <= 21; n++)
      await session.batches.create({ reason: `Plan ${n}`, tasks: [{ title: 'a' }] })
    const page = await open(t, browser, url)
    await page.getByRole('link', { name: 'Plan 21', exact: true }).waitFor()
    t.equal(await page.locator('.plan').count(), 20)
    await page.getByRole('button', { name: 'Show more' }).click()
    await page.getByRole('link', { name: 'Plan 1', exact: true }).waitFor()
  })

  await t.test('what two agents do shows without a reload', async (t) => {
    const { page, session, a, select } = await openPlan(t)
    t.equal(await stateOf(page, 'Create a Pod').textContent(), 'Blocked')
    const { lease } = await session.tasks.claim(a, { worker: 'agent-1' })
    const claimedAt = performance.now()
    await page.getByText('agent-1 ·').waitFor()
    t.comment(`a claim showed after ${Math.round(performance.now() - claimedAt)} ms`)
    t.equal(await stateOf(page, 'Understand Pods').textContent(), 'In progress')
    await session.tasks.release(a, { token: lease.token })

    await select('Read its logs')
    await Promise.all(
      ['agent-1', 'agent-2'].map((worker) =>
        session.work({ worker, lease_seconds: 60 }, async ({ title }) => `${title}: done by ${worker}`),
      ),
    )
    await waitForText(page, '4 of 4 done')
    await panel(page)
      .getByText(/Read its logs: done by agent-\d/)
      .waitFor()
    await panel(page).getByText('completed it').waitFor()
    t.equal(await page.title(), '100% · Kubernetes basics · AKLP')
  })

  await t.test('a blocked task names what it waits for, each with its state', async (t) => {
    const { page, session, a } = await openPlan(t)
    const blockers = rowOf(page, 'Create a Pod').locator('.blockers')
    t.match(await blockers.textContent(), /Understand Pods.*Ready.*Install kubectl.*Ready/)
    await session.tasks.claim(a, { worker: 'agent-1' })
    await blockers.getByText('(In progress)').waitFor()
    await session.tasks.update(a, { status: 'completed' })
    await blockers.getByText('Understand Pods').waitFor({ state: 'detached' })

    await page.getByLabel('Hide done').check()
    await row(page, 'Understand Pods').waitFor({ state: 'detached' })
    t.match(page.url(), 'done=hidden')
  })

  await t.test('a task of another plan that one waits for is followed, too', async (t) => {
    const { page, session, d } = await openPlan(t)
    const other = await session.tasks.create({ title: 'From elsewhere' })
    await session.tasks.update(d, { blocked_by: [other.id] })
    await page.getByText('From elsewhere').waitFor()
    await session.tasks.update(other.id, { status: 'completed' })
    await page.getByText('From elsewhere').waitFor({ state: 'detached' })
    t.equal(await stateOf(page, 'Read its logs').textContent(), 'Ready')
  })

  await t.test('a person adds, edits, completes and reopens a task, and leaves a note', async (t) => {
    const { page, session, batch, select } = await openPlan(t)
    await page.getByRole('button', { name: 'Add a task' }).click()
    await page.getByLabel('Title').fill('Fix the image')
    await page.getByLabel('Priority').selectOption('high')
    await page.getByLabel('Due date').fill('2030-01-02T03:04')
    await page.getByRole('searchbox', { name: 'Find a task' }).fill('kubectl')
    await page.getByRole('dialog').getByLabel('Install kubectl').check()
    await confirm(page, 'Add').click()
    await panel(page).getByRole('heading', { name: 'Fix the image' }).waitFor()
    const stored = async () => (await session.batches.get(batch.id)).tasks.at(-1)!
    t.match(await stored(), { title: 'Fix the image', priority: 'high', blocked_by: [batch.tasks[1]!.id] })
    t.equal(new Date((await stored()).due_date!).getTime(), new Date('2030-01-02T03:04').getTime())

    await button(page, 'Edit').click()
    await page.getByLabel('Title').fill('Fix the name of the image')
    await page.getByLabel('Description').fill('nginx, not ngnix')
    await page.getByRole('dialog').getByLabel('Install kubectl').uncheck()
    await confirm(page, 'Save').click()
    await panel(page).getByText('nginx, not ngnix').waitFor()
    t.match(await stored(), { title: 'Fix the name of the image', blocked_by: [] })

    await button(page, 'Complete').click()
    await page.getByLabel(/^What came of it/).fill('It was a typo')
    await confirm(page, 'Complete').click()
    await panel(page).getByText('It was a typo').waitFor()
    t.match(await stored(), { status: 'completed', result: 'It was a typo' })
    await button(page, 'Reopen').click()
    await confirm(page, 'Reopen').click()
    await button(page, 'Complete').waitFor()
    t.match(await stored(), { status: 'pending' })

    await panel(page).getByRole('textbox').fill('Look at the tag')
    await button(page, 'Add the note').click()
    await panel(page).locator('blockquote', { hasText: 'Look at the tag' }).waitFor()
    t.equal(await panel(page).getByRole('textbox').inputValue(), '')

    await select('Create a Pod')
    await panel(page).getByText('"namespace": "lab-1"').waitFor()
    t.equal(await button(page, 'Complete').count(), 0, 'what is blocked cannot be completed')
  })

  await t.test('deleted tasks are restored: at once, or from the list', async (t) => {
    const { page, session, d, select } = await openPlan(t)
    const remove = async () => {
      await select('Read its logs')
      await button(page, 'Delete').click()
      await confirm(page, 'Delete').click()
      await row(page, 'Read its logs').waitFor({ state: 'detached' })
    }
    await remove()
    await page.getByRole('status').getByRole('button', { name: 'Undo' }).click()
    await row(page, 'Read its logs').waitFor()
    t.match(await session.tasks.get(d), { description: 'kubectl logs' })

    await remove()
    await page.getByText('Deleted tasks').click()
    await page
      .locator('.deleted li', { hasText: 'Read its logs' })
      .getByRole('button', { name: 'Restore' })
      .click()
    await row(page, 'Read its logs').waitFor()

    await session.tasks.delete(d)
    await panel(page).getByText('Deleted by anonymous').waitFor()
    await button(page, 'Restore').click()
    await button(page, 'Edit').waitFor()
  })

  await t.test('asks before it takes work from an agent', async (t) => {
    const { page, session, a, select } = await openPlan(t)
    await session.tasks.claim(a, { worker: 'agent-1' })
    await select('Understand Pods')
    await panel(page).getByText('agent-1 works on it').waitFor()
    await button(page, 'Release').click()
    await page.getByRole('dialog').getByText('agent-1 is working on it').waitFor()
    await page.keyboard.press('Escape')
    t.match(await session.tasks.get(a), { claimed_by: 'agent-1' }, 'nothing happens without an answer')
    await button(page, 'Release').click()
    await confirm(page, 'Release').click()
    await panel(page).getByText('agent-1 works on it').waitFor({ state: 'detached' })
    t.match(await session.tasks.get(a), { status: 'pending', claimed_by: null })
  })

  await t.test('says who was faster, keeps what was entered, and overwrites nothing unseen', async (t) => {
    const { page, session, a, select } = await openPlan(t, 'view=list', { expects: /status of 412/ })
    await select('Understand Pods')
    await button(page, 'Edit').click()
    await page.getByLabel('Title').fill('Understand Pods well')
    const { lease } = await session.tasks.claim(a, { worker: 'agent-1' })
    await session.tasks.update(a, { description: 'With examples' }, { leaseToken: lease.token })
    await confirm(page, 'Save').click()
    await page
      .getByRole('alert')
      .getByText(/agent-1 was faster and changed/)
      .waitFor()
    t.equal(await page.getByLabel('Title').inputValue(), 'Understand Pods well')
    t.equal(await page.getByLabel('Description').inputValue(), 'With examples')
    await confirm(page, 'Save').click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    t.match(await session.tasks.get(a), {
      title: 'Understand Pods well',
      description: 'With examples',
      claimed_by: 'agent-1',
    })
  })

  await t.test('shows an error of the service as text', async (t) => {
    const { page } = await openPlan(t, 'view=list', { expects: /status of 422/ })
    await page.getByRole('button', { name: 'Add a task' }).click()
    await page.getByLabel('Title').fill('   ')
    await confirm(page, 'Add').click()
    await page
      .getByRole('alert')
      .getByText(/title must/)
      .waitFor()
  })

  await t.test('a lease that runs out is ready, and one that is renewed goes on', async (t) => {
    const { page, session, a, b } = await openPlan(t)
    await session.tasks.claim(a, { worker: 'agent-1', lease_seconds: 10 })
    const { lease } = await session.tasks.claim(b, { worker: 'agent-2', lease_seconds: 10 })
    await page.getByText(/agent-2 · 0:\d\d left/).waitFor()
    await session.tasks.renewLease(b, { token: lease.token, lease_seconds: 600 })
    await page.getByText(/agent-2 · 9:\d\d left/).waitFor()
    t.equal(await stateOf(page, 'Understand Pods').textContent(), 'Ready')
    await row(page, 'Understand Pods').click()
    await panel(page).getByText('The lease of agent-1 expired').waitFor()
  })

  await t.test('the selected task and the view are in the address: reload and Back work', async (t) => {
    const { page, select } = await openPlan(t)
    await select('Create a Pod')
    await page.getByRole('link', { name: 'Board' }).click()
    await page.getByRole('region', { name: 'Board' }).waitFor()
    await page.reload()
    await page.getByRole('region', { name: 'Board' }).waitFor()
    await panel(page).getByRole('heading', { name: 'Create a Pod' }).waitFor()
    await page.goBack()
    await page.getByRole('region', { name: 'List' }).waitFor()
    await page.goBack()
    await panel(page).waitFor({ state: 'detached' })
    await page.goForward()
    await panel(page).getByRole('heading', { name: 'Create a Pod' }).waitFor()
  })

  await t.test('works by keyboard alone', async (t) => {
    const { page, session, a } = await openPlan(t)
    const focused = () => page.evaluate<string>('document.activeElement.textContent')
    await page.keyboard.press('Tab')
    t.equal(await focused(), 'Skip to content')
    await page.keyboard.press('Enter')
    const tabTo = async (text: string) => {
      for (let n = 0; n < 40 && (await focused()) !== text; n++) await page.keyboard.press('Tab')
      t.equal(await focused(), text)
    }
    await tabTo('Understand Pods')
    await page.keyboard.press('Enter')
    await panel(page).waitFor()
    t.equal(await focused(), 'Understand Pods', 'the focus is on the title of the task')
    await tabTo('Complete')
    await page.keyboard.press('Enter')
    await page.locator('textarea:focus').waitFor()
    await page.keyboard.type('Explained')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await panel(page).getByText('Explained').waitFor()
    t.match(await session.tasks.get(a), { status: 'completed' })
    await page.keyboard.press('Escape')
    await panel(page).waitFor({ state: 'detached' })
    t.equal(await focused(), 'Understand Pods', 'the focus is back where it was')
  })

  await t.test('a title is text, never markup', async (t) => {
    const session = client.session(randomUUID())
    const title = '<img src=x onerror="document.title = 1"> & <b>bold</b>'
    const { id } = await session.batches.create({
      reason: title,
      tasks: [{ title, description: title }, { title: 'b' }],
    })
    const page = await open(t, browser, `${url}/#/plans/${id}?view=list`)
    await row(page, title).click()
    await panel(page).getByRole('heading', { name: title }).waitFor()
    for (const view of ['Graph', 'Board']) {
      await page.getByRole('link', { name: view }).click()
      await page.getByRole('region', { name: view }).getByText(title).first().waitFor()
    }
    t.equal(await page.locator('img').count(), 0)
  })

  await t.test('a plan that does not exist is an error as text', async (t) => {
    const page = await open(t, browser, `${url}/#/plans/${randomUUID()}`, { expects: /status of 404/ })
    await page.getByRole('alert').getByText('No batch has this id').waitFor()
  })

  await t.test('speaks Korean to a browser that does', async (t) => {
    const { page } = await openPlan(t, 'view=list', { locale: 'ko-KR' })
    t.equal(await page.locator('html').getAttribute('lang'), 'ko')
    await waitForText(page, '4개 중 0개 완료')
    t.equal(await stateOf(page, 'Create a Pod').textContent(), '대기 중')
  })

  await t.test('on a narrow screen it begins with the list, and a task takes its place', async (t) => {
    const { page, select } = await openPlan(t, '', { viewport: { width: 360, height: 740 } })
    await page.getByRole('region', { name: 'List' }).waitFor()
    await select('Create a Pod')
    await panel(page).waitFor()
    t.notOk(await row(page, 'Create a Pod').isVisible())
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360, 'nothing is cut off')
    await button(page, 'Close').click()
    await row(page, 'Create a Pod').waitFor()
  })

  await t.test('behind a prefix, also of another server', async (t) => {
    const app = Fastify({ pluginTimeout: 60_000 })
    t.teardown(() => app.close())
    await app.register(taskService, { prefix: '/aklp', settings: { DATABASE_URL: 'memory://', AUTH: 'off' } })
    const host = await app.listen({ host: '127.0.0.1', port: 0 })
    await app.inject({ method: 'POST', url: '/aklp/api/v1/batches', payload: plan })
    const page = await open(t, browser, `${host}/aklp`)
    await page.getByRole('link', { name: plan.reason }).click()
    await page.getByRole('region', { name: 'Graph' }).getByText('Understand Pods').first().waitFor()
    await app.inject({ method: 'POST', url: '/aklp/api/v1/batches', payload: { ...plan, reason: 'Another' } })
    await page.getByRole('link', { name: 'All plans' }).click()
    await page.getByRole('link', { name: 'Another' }).waitFor()
  })

  await t.test('a lost connection says so and heals, also when events are gone meanwhile', async (t) => {
    const { page, session, a, b } = await openPlan(t, 'view=list', {
      expects: /ERR_|Failed to fetch|status of 410/,
    })
    await service.stop()
    await waitForText(page, 'Connection lost')
    await service.start()
    await page.getByText('Connection lost').waitFor({ state: 'detached' })
    await session.tasks.claim(a, { worker: 'agent-1' })
    await page.getByText('agent-1 ·').waitFor()

    await service.stop()
    await waitForText(page, 'Connection lost')
    // Old events are deleted by the writes of others: see packages/server/test/events.test.ts.
    await service.db.execute(sql`update events set at = at - interval '31 days'`)
    await service.start()
    for (let n = 0; n < 256; n++) await session.tasks.update(b, { title: `Install kubectl ${n}` })
    await row(page, 'Install kubectl 255').waitFor()
    await session.tasks.claim(b, { worker: 'agent-2' })
    await page.getByText('agent-2 ·').waitFor()
  })
})
