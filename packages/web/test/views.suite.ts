/** The graph, the board and the timeline, as people use them while agents work. */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { open, serve, sharedBrowser, skip, violations } from './support.js'

/** `c` names `a`, which `b` implies; `d` is free. */
const tasks = [
  { key: 'a', title: 'Understand Pods' },
  { key: 'b', title: 'Create a Pod', blocked_by: ['a'] },
  { key: 'c', title: 'Read its logs', blocked_by: ['a', 'b'] },
  { key: 'd', title: 'Install kubectl' },
]

t.test('the views', { skip }, async (t) => {
  const browser = await sharedBrowser()
  const { url, client } = await serve(t)

  async function openPlan(
    t: Test,
    view: string,
    plan: { key: string; title: string; blocked_by?: string[] }[] = tasks,
  ) {
    const session = client.session(randomUUID())
    const batch = await session.batches.create({ reason: 'Kubernetes basics', tasks: plan })
    const ids = Object.fromEntries(batch.tasks.map(({ key, id }) => [key!, id]))
    const page = await open(t, browser, `${url}/#/plans/${batch.id}?view=${view}`)
    return { session, ids, page }
  }
  type Plan = Awaited<ReturnType<typeof openPlan>>
  const node = ({ page, ids }: Plan, key: string) => page.locator(`.graph-node[data-task="${ids[key]}"]`)
  /** Waits until a task of the graph has a class. */
  const waitForClass = async (plan: Plan, key: string, name: string) => {
    await plan.page.locator(`.graph-node.${name}[data-task="${plan.ids[key]}"]`).waitFor()
  }
  /** How many arrows of each kind there are, as soon as it is what is expected, or after a while. */
  const arrows = async (page: Page, expected: Record<string, number>) => {
    for (let tries = 0; ; tries++) {
      const found = await page
        .locator('.arrow')
        .evaluateAll((paths: any[]) =>
          Object.fromEntries(
            paths
              .map((path) => [path.classList[1].slice(3), Number(path.dataset.arrows)])
              .filter(([, count]) => count > 0),
          ),
        )
      if (isDeepStrictEqual(found, expected) || tries === 50) return found
      await setTimeout(100)
    }
  }
  const places = (page: Page) =>
    page.locator('.graph-node').evaluateAll((nodes: any[]) =>
      Object.fromEntries(
        nodes.map((node) => {
          const { x, y } = node.getBoundingClientRect()
          return [node.title, [x, y]]
        }),
      ),
    )
  /** The text of what has the focus, after a key. */
  const press = async (page: Page, key: string, text: string) => {
    await page.keyboard.press(key)
    await page.locator(':focus', { hasText: text }).waitFor()
  }

  await t.test('the graph draws what no other arrow implies, and lights up what is selected', async (t) => {
    const plan = await openPlan(t, 'graph')
    const { page } = plan
    await node(plan, 'd').waitFor()
    t.same(await arrows(page, { chain: 2 }), { chain: 2 }, 'not the one from a to c')
    await page.getByText('Longest remaining chain: 3 tasks').waitFor()
    t.same(await violations(page), [])

    await node(plan, 'b').click()
    await waitForClass(plan, 'b', 'tone-selected')
    await waitForClass(plan, 'a', 'tone-waits')
    await waitForClass(plan, 'c', 'tone-held')
    await waitForClass(plan, 'd', 'tone-dim')
    t.same(await arrows(page, { waits: 1, held: 1 }), { waits: 1, held: 1 })
    t.match(page.url(), `task=${plan.ids.b}`)
    t.same(await violations(page), [])

    await page.locator('.graph-frame').click({ position: { x: 5, y: 5 } })
    await waitForClass(plan, 'a', 'tone-none')
    t.notMatch(page.url(), 'task=')
  })

  await t.test('a status recolours a task and moves nothing', async (t) => {
    const plan = await openPlan(t, 'graph')
    await node(plan, 'd').waitFor()
    const before = await places(plan.page)
    t.equal(Object.keys(before).length, 4)
    const { task } = await plan.session.tasks.claimNext({ worker: 'agent-1' })
    t.equal(task!.key, 'a')
    await waitForClass(plan, 'a', 'is-in_progress')
    t.equal(await node(plan, 'a').locator('.graph-holder').textContent(), 'agent-1')
    await plan.session.tasks.update(task!.id, { status: 'completed' })
    await waitForClass(plan, 'a', 'is-completed')
    await waitForClass(plan, 'b', 'is-ready')
    t.same(await places(plan.page), before)
    t.same(await arrows(plan.page, { met: 1, chain: 1 }), { met: 1, chain: 1 })
  })

  await t.test('what is done can be hidden, and leaves without moving the others', async (t) => {
    const plan = await openPlan(t, 'graph')
    const { page, ids, session } = plan
    await session.tasks.update(ids.a!, { status: 'completed' })
    await waitForClass(plan, 'a', 'is-completed')
    await page.getByLabel('Hide done').check()
    await node(plan, 'a').waitFor({ state: 'detached' })
    t.same(await arrows(page, { chain: 1 }), { chain: 1 })
    const { [tasks[3]!.title]: _, ...before } = await places(page)
    await session.tasks.update(ids.d!, { status: 'completed' })
    await node(plan, 'd').waitFor({ state: 'detached' })
    t.same(await places(page), before)
    t.equal(await page.locator('.graph-node[tabindex="0"]').count(), 1, 'keys still have a start')
    await session.tasks.update(ids.b!, { status: 'completed' })
    await session.tasks.update(ids.c!, { status: 'completed' })
    await page.getByLabel('Hide done').uncheck()
    await node(plan, 'c').waitFor()
    t.same(await arrows(page, { met: 2 }), { met: 2 })
  })

  await t.test(
    'nothing is drawn while nothing changes, also when the task with the focus is not in view',
    async (t) => {
      const plan = await openPlan(t, 'graph')
      const { page } = plan
      await node(plan, 'a').waitFor()
      await page.evaluate(`
      frames = 0
      const { requestAnimationFrame } = window
      window.requestAnimationFrame = (callback) => {
        frames++
        return requestAnimationFrame(callback)
      }
    `)
      await page.mouse.move(640, 500)
      for (let i = 0; i < 20; i++) await page.mouse.wheel(0, 150)
      await page.locator('.graph-frame.is-far').waitFor()
      await setTimeout(500)
      await page.evaluate('frames = 0')
      await setTimeout(1000)
      const frames = await page.evaluate<number>('frames')
      t.ok(frames < 10, `${frames} frames in a second`)
    },
  )

  await t.test('the graph by keyboard', async (t) => {
    const plan = await openPlan(t, 'graph')
    const { page } = plan
    await node(plan, 'a').waitFor()
    t.equal(await page.locator('.graph-node[tabindex="0"]').count(), 1)
    await page.getByRole('button', { name: 'Fit' }).focus()
    await page.keyboard.press('Tab')
    t.equal(await page.locator(':focus').textContent(), 'Understand Pods, Ready')
    await press(page, 'ArrowRight', 'Create a Pod, Blocked')
    await press(page, 'ArrowRight', 'Read its logs, Blocked')
    await press(page, 'ArrowLeft', 'Create a Pod, Blocked')
    await press(page, 'Home', 'Understand Pods, Ready')
    await page.keyboard.press('Enter')
    await page.waitForURL(`**task=${plan.ids.a}*`)
    await node(plan, 'a').focus()

    const width = async () => (await node(plan, 'a').boundingBox())!.width
    const before = await width()
    await page.keyboard.press('+')
    t.ok((await width()) > before)
    for (let i = 0; i < 8; i++) await page.keyboard.press('-')
    await page.locator('.graph-frame.is-far').waitFor()
    t.ok((await page.locator('.graph-blocks').count()) >= 2, 'zoomed out, tasks are blocks in their colour')
    await page.keyboard.press('0')
    await page.locator('.graph-frame:not(.is-far)').waitFor()
  })

  await t.test('the graph by mouse and by wheel', async (t) => {
    const plan = await openPlan(t, 'graph')
    const { page } = plan
    const box = async () => (await node(plan, 'a').boundingBox())!
    await node(plan, 'a').waitFor()
    const before = await box()
    await page.mouse.move(before.x + 20, before.y + 20)
    await page.mouse.down()
    await page.mouse.move(before.x + 80, before.y + 50, { steps: 6 })
    await page.mouse.up()
    const dragged = await box()
    t.ok(Math.abs(dragged.x - before.x - 60) < 2 && Math.abs(dragged.y - before.y - 30) < 2)
    t.notMatch(page.url(), 'task=', 'a drag selects nothing')
    await page.mouse.wheel(0, 300)
    let { width } = await box()
    for (let tries = 0; width >= before.width && tries < 50; tries++) ({ width } = await box())
    t.ok(width < before.width, 'the wheel zooms')
  })

  await t.test('a new task and a new dependency arrange the graph again', async (t) => {
    const plan = await openPlan(t, 'graph')
    await node(plan, 'd').waitFor()
    await plan.session.tasks.update(plan.ids.d!, { blocked_by: [plan.ids.c!] })
    t.same(await arrows(plan.page, { chain: 3 }), { chain: 3 })
  })

  await t.test('the board has a column for each state, and counts down', async (t) => {
    const plan = await openPlan(t, 'board')
    const { page, session, ids } = plan
    const titles = (state: string) => page.locator(`.card.is-${state} .card-title`).allTextContents()
    const card = (key: string) => page.locator(`.card[data-task="${ids[key]}"]`)
    await card('a').waitFor()
    t.same(await titles('ready'), ['Understand Pods', 'Install kubectl'])
    t.same(await titles('blocked'), ['Create a Pod', 'Read its logs'])

    const { task, lease } = await session.tasks.claimNext({ worker: 'agent-1', lease_seconds: 600 })
    t.equal(task!.key, 'a')
    await card('a').getByText('agent-1').waitFor()
    const countdown = card('a').locator('.card-countdown')
    const seen = (await countdown.textContent())!
    t.match(seen, /^(9:5\d|10:0\d)$/)
    await card('a').locator('.card-countdown', { hasNotText: seen }).waitFor()
    await card('b').getByText('In progress · agent-1').waitFor()
    t.same(await violations(page), [])

    await card('b').getByRole('button', { name: 'Understand Pods' }).click()
    await page.waitForURL(`**task=${ids.a}*`)
    t.equal(await card('a').locator('.card-title').getAttribute('aria-pressed'), 'true')

    await session.tasks.update(ids.a!, { status: 'completed' }, { leaseToken: lease!.token })
    await page.locator(`.card.is-completed[data-task="${ids.a}"]`).waitFor()
    await page.locator(`.card.is-ready[data-task="${ids.b}"]`).waitFor()
    await session.tasks.update(ids.d!, { status: 'completed' })
    await page.locator(`.card.is-completed[data-task="${ids.d}"]`).waitFor()
    t.same(await titles('completed'), ['Install kubectl', 'Understand Pods'], 'newest first')
  })

  await t.test('the board shows what is deferred, and long columns in parts', async (t) => {
    const later = new Date(Date.now() + 86_400_000).toISOString()
    const many = Array.from({ length: 45 }, (_, i) => ({ key: `t${i}`, title: `Task ${i}` }))
    const { page } = await openPlan(t, 'board', [
      ...many,
      { key: 'later', title: 'Review', not_before: later } as any,
    ])
    await page.getByText('Not before').waitFor()
    t.equal(await page.locator('.card.is-ready').count(), 20)
    await page.getByRole('button', { name: 'Show more (25 left)' }).click()
    await page.getByRole('button', { name: 'Show more (5 left)' }).click()
    await page.getByText('Task 44', { exact: true }).waitFor()
  })

  await t.test('the timeline has a row for each worker, with notes and progress', async (t) => {
    const plan = await openPlan(t, 'timeline')
    const { page, session, ids } = plan
    await page.getByText('No work yet').waitFor()
    t.same(await violations(page), [])
    const first = await session.tasks.claimNext({ worker: 'agent-1' })
    await page.locator('.timeline-bar.is-running').waitFor()
    const second = await session.tasks.claimNext({ worker: 'agent-2' })
    await session.tasks.update(
      first.task!.id,
      { status: 'completed', note: 'Pods <b>run</b> containers' },
      { leaseToken: first.lease!.token },
    )
    await session.tasks.release(second.task!.id, { token: second.lease!.token })
    const lane = (name: string) =>
      page.locator('.timeline-lane', { has: page.getByText(name, { exact: true }) })
    await lane('agent-1').locator(`.timeline-bar.is-completed[data-task="${ids.a}"]`).waitFor()
    await lane('agent-2').locator(`.timeline-bar.is-released[data-task="${ids.d}"]`).waitFor()
    await page.getByRole('img', { name: '1 of 4 tasks are done' }).waitFor()
    await page.locator('.timeline-notes').getByText('Pods <b>run</b> containers').waitFor()
    t.equal(await page.locator('.timeline-log tbody tr').count(), 2)
    t.same(await violations(page), [])

    await lane('agent-1').locator('.timeline-bar').focus()
    await page.keyboard.press('ArrowRight')
    const name = () => page.locator(':focus').getAttribute('aria-label')
    t.equal(await name(), 'Note: Pods <b>run</b> containers')
    await page.locator('.timeline-description', { hasText: 'Pods <b>run</b> containers' }).waitFor()
    await page.keyboard.press('ArrowDown')
    t.match(await name(), /^Install kubectl, Given back/)
    await page.keyboard.press('Enter')
    await page.waitForURL(`**task=${ids.d}*`)
  })

  await t.test('the views in the dark and in Korean', async (t) => {
    const session = client.session(randomUUID())
    const batch = await session.batches.create({ reason: 'Kubernetes 기초', tasks })
    const { task, lease } = await session.tasks.claimNext({ worker: 'agent-1' })
    await session.tasks.update(task!.id, { status: 'completed' }, { leaseToken: lease!.token })
    await session.tasks.claimNext({ worker: 'agent-2' })
    const settings = { colorScheme: 'dark', locale: 'ko-KR', viewport: { width: 360, height: 740 } } as const
    const page = await open(t, browser, url, settings)
    for (const [view, shown] of Object.entries({
      graph: '.graph-node.is-in_progress',
      board: '.card-countdown',
      timeline: '.timeline-bar.is-running',
    })) {
      await page.goto(`${url}/#/plans/${batch.id}?view=${view}`)
      await page.locator(shown).first().waitFor()
      t.same(await violations(page), [], view)
      const width = await page.locator('html').evaluate((html: any) => html.scrollWidth)
      t.equal(width, settings.viewport.width, `${view} fits a narrow screen`)
    }
  })

  for (const [name, large] of Object.entries({
    'a chain of 500': Array.from({ length: 500 }, (_, i) => ({
      key: `t${i}`,
      title: `Task ${i}`,
      blocked_by: i ? [`t${i - 1}`] : [],
    })),
    '500 tasks': Array.from({ length: 500 }, (_, i) => ({
      key: `t${i}`,
      title: `Task ${i}`,
      blocked_by: i < 30 ? [] : [`t${i - 1 - ((i * 7) % 5)}`, `t${i - 6 - ((i * 13) % 23)}`],
    })),
  }))
    await t.test(`of ${name}, the graph draws only what is in view`, async (t) => {
      const plan = await openPlan(t, 'board', large)
      const { page, session } = plan
      await page.getByText('Task 0', { exact: true }).first().waitFor()
      await browser.startTracing(page, { categories: ['toplevel'] })
      await page.getByRole('link', { name: 'Graph', exact: true }).click()
      await page.locator('.graph-node').first().waitFor()
      const drawn = await page.locator('.graph-node').count()
      t.ok(drawn < 200, `${drawn} are drawn`)
      await page.getByRole('button', { name: 'Fit', exact: true }).click()
      await page.locator('.graph-frame.is-far').waitFor()
      await page.mouse.move(640, 500)
      for (let i = 0; i < 20; i++) await page.mouse.wheel(0, -150)
      await page.mouse.down()
      await page.mouse.move(200, 480, { steps: 20 })
      await page.mouse.up()
      for (let i = 0; i < 5; i++) {
        const { task, lease } = await session.tasks.claimNext({ worker: 'agent-1' })
        await session.tasks.update(task!.id, { status: 'completed' }, { leaseToken: lease!.token })
      }
      for (const name of ['Board', 'Timeline', 'Graph']) {
        await page.getByRole('link', { name, exact: true }).click()
        await page.locator('.card, .timeline-bar, .graph-node').first().waitFor()
      }
      const longest = longestTask(await browser.stopTracing())
      // The goal is 100 ms. It is not asserted: a machine that is busy with other tests takes longer.
      t.comment(`the longest task of the main thread: ${longest} ms of processor time`)
    })
})

/** The longest task of the main thread of a page, by its processor time: other processes do not count. */
function longestTask(trace: Buffer): number {
  const events: any[] = JSON.parse(String(trace)).traceEvents
  const threadOf = ({ pid, tid }: any) => `${pid} ${tid}`
  const pages = new Set(
    events.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(threadOf),
  )
  const times = events
    .filter((event) => event.name.endsWith('RunTask') && event.tdur && pages.has(threadOf(event)))
    .map(({ tdur }) => tdur / 1000)
  return Math.round(Math.max(...times))
}
