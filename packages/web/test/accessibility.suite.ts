/** The page for those who cannot see it as it is drawn: what axe finds, in every view. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { open, plan, serve, sharedBrowser, skip, violations } from './support.js'

t.test('axe finds no violation: all views, three widths, light and dark', { skip }, async (t) => {
  const browser = await sharedBrowser()
  const { url, client } = await serve(t)
  const session = client.session(randomUUID())
  const { id, tasks } = await session.batches.create(plan)
  const [a, b, c] = tasks.map(({ id }) => id) as [string, string, string]
  await session.tasks.claim(a, { worker: 'agent-1' })
  await session.tasks.update(b, { status: 'completed', result: 'v1.36', note: 'From the package manager' })
  await session.tasks.update(c, { due_date: '2020-01-01', priority: 'low' })
  await session.batches.extend(id, [{ title: 'Review', not_before: '2099-01-01' }])
  const page = await open(t, browser, url)
  const panel = page.getByRole('complementary', { name: 'Task' })
  const base = `#/plans/${id}`
  for (const width of [360, 800, 1400]) {
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.setViewportSize({ width, height: 800 })
      await page.emulateMedia({ colorScheme })
      for (const [name, place] of [
        ['plans', '#/'],
        ['list', `${base}?view=list`],
        ['graph', `${base}?view=graph`],
        ['board', `${base}?view=board`],
        ['timeline', `${base}?view=timeline`],
        ['task', `${base}?view=list&task=${a}`],
        ['graph and task', `${base}?view=graph&task=${c}`],
      ] as const) {
        await page.goto(`${url}/${place}`)
        await page.getByRole('main').getByText('Kubernetes basics').first().waitFor()
        await page.locator('.loading').waitFor({ state: 'detached' })
        if (name.includes('task')) await panel.getByText('created it').waitFor()
        t.same(await violations(page), [], `${name} at ${width}, ${colorScheme}`)
      }
      await panel.getByRole('button', { name: 'Edit' }).click()
      await page.getByRole('dialog').waitFor()
      t.same(await violations(page), [], `the form at ${width}, ${colorScheme}`)
    }
  }
})
