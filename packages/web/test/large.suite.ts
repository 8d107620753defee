/** A plan of 500 tasks on the page. How long the frames take is reported: other work on the machine counts. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { open, serve, sharedBrowser, skip } from './support.js'

t.test('a large plan', { skip }, async (t) => {
  const browser = await sharedBrowser()
  const { url, client } = await serve(t)
  const wide = Array.from({ length: 500 }, (_, n) => ({
    key: `t${n}`,
    title: `Task ${n}`,
    blocked_by:
      n < 20 ? [] : [`t${n - 20}`, `t${Math.floor(n / 2)}`].filter((key, i, all) => all.indexOf(key) === i),
  }))
  const chain = Array.from({ length: 500 }, (_, n) => ({
    key: `t${n}`,
    title: `Task ${n}`,
    blocked_by: n === 0 ? [] : [`t${n - 1}`],
  }))
  for (const [name, tasks] of Object.entries({ wide, chain })) {
    await t.test(`${name}: every view shows it while two agents work`, async (t) => {
      const session = client.session(randomUUID())
      const { id } = await session.batches.create({ reason: name, tasks })
      const page = await open(t, browser, url)
      await page.evaluate(`
        frames = []
        new PerformanceObserver((list) => {
          for (const { duration } of list.getEntries()) frames.push(Math.round(duration))
        }).observe({ type: 'long-animation-frame', buffered: true })
      `)
      const end = new AbortController()
      const work = ['agent-1', 'agent-2'].map((worker) =>
        session
          .work({ worker, signal: end.signal }, () => new Promise((resolve) => setTimeout(resolve, 50)))
          .catch(() => {}),
      )
      for (const view of ['List', 'Graph', 'Board', 'Timeline']) {
        // Nothing else happens on the page meanwhile: a search of the test for an element would count, too.
        await page.evaluate(`location.hash = '#/plans/${id}?view=${view.toLowerCase()}'`)
        await new Promise((resolve) => setTimeout(resolve, 1500))
        const frames = await page.evaluate<number[]>('frames.splice(0)')
        const long = frames.filter((duration) => duration > 100)
        t.comment(
          `${view}: longest frame ${Math.max(0, ...frames)} ms, above 100 ms: ${long.join(', ') || 'none'}`,
        )
        await page
          .getByRole('region', { name: view })
          .getByText(/^Task \d+$/)
          .first()
          .waitFor()
        await page.evaluate('frames.splice(0)')
      }
      end.abort()
      await Promise.all(work)
      const { progress } = await session.batches.get(id)
      await page.getByText(`${progress.completed} of 500 done`).waitFor()
      t.ok(progress.completed > 0)
    })
  }
})
