/** Shared by the tests of the page: the real service, and a browser that collects what it complains about. */

import { createClient } from '@aklp/task-client'
import AxeBuilder from '@axe-core/playwright'
import type { FastifyInstance } from 'fastify'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { buildApp } from '../../server/src/app.js'
import { openDatabase } from '../../server/src/db/open.js'
import { loadConfig, serviceOptions } from '../../server/src/start/config.js'
import { launch } from '../../server/test/chromium.js'
import { once, options } from '../../server/test/support.js'

export { skip } from '../../server/test/chromium.js'

/** A browser of all suites in this process. */
export const sharedBrowser = once(async () => {
  const browser = await launch()
  t.teardown(() => browser.close())
  return browser
})

/** A service on a port of its own, which can stop and start again there. */
export async function serve(t: Test, settings: Record<string, string> = {}) {
  const database = await openDatabase('memory://', options)
  let app: FastifyInstance | undefined
  const start = async (port = 0) => {
    app = await buildApp({ ...serviceOptions(loadConfig(settings)), database })
    return app.listen({ host: '127.0.0.1', port })
  }
  const url = await start()
  t.teardown(async () => {
    await app?.close()
    await database.close()
  })
  return {
    url,
    db: database.db,
    client: createClient({ baseUrl: url }),
    stop: () => app!.close(),
    start: () => start(Number(new URL(url).port)),
  }
}

/** Opens a page. When the test ends, it has had no error, and loaded nothing from another host. */
export async function open(
  t: Test,
  browser: Browser,
  url: string,
  given: BrowserContextOptions & { expects?: RegExp } = {},
) {
  const { expects, ...settings } = given
  const context = await browser.newContext({
    locale: 'en-US',
    viewport: { width: 1280, height: 800 },
    ...settings,
  })
  context.setDefaultTimeout(15_000)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning')
      complaints.push(`${message.text()} ${message.location().url}`)
  })
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url())
    if (protocol !== 'data:' && origin !== new URL(url).origin) complaints.push(`foreign: ${request.url()}`)
  })
  await page.goto(url)
  t.teardown(async () => {
    await context.close()
    const unexpected = complaints.filter((text) => !expects?.test(text))
    if (unexpected.length > 0) throw new Error(`The browser complains: ${unexpected.join('\n')}`)
  })
  return page
}

/** What axe finds, as lines that name the rule and the elements. */
export async function violations(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze()
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary}`),
  )
}

/** A plan for a few agents: `a` and `b` are free, `c` waits for both, `d` waits for `c`. */
export const plan = {
  reason: 'Kubernetes basics',
  tasks: [
    { key: 'a', title: 'Understand Pods', priority: 'high' as const },
    { key: 'b', title: 'Install kubectl' },
    { key: 'c', title: 'Create a Pod', blocked_by: ['a', 'b'], metadata: { namespace: 'lab-1' } },
    { key: 'd', title: 'Read its logs', description: 'kubectl logs', blocked_by: ['c'] },
  ],
}
