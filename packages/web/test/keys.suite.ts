/** The page of services that are set up otherwise: with keys, and without events. */
import t from 'tap'
import { hashKey, makeKey } from '../../server/src/access/keys.js'
import { open, plan, serve, sharedBrowser, skip, violations } from './support.js'

t.test('the page of a service with keys', { skip }, async (t) => {
  const [reader, writer] = [makeKey(), makeKey()]
  const keys = [
    { name: 'learner', hash: hashKey(reader), scopes: ['tasks:read'] },
    { name: 'teacher', hash: hashKey(writer), scopes: ['tasks:read', 'tasks:write'] },
  ]
  const browser = await sharedBrowser()
  const { url } = await serve(t, { API_KEYS: JSON.stringify(keys) })
  const created = await fetch(`${url}/api/v1/batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${writer}` },
    body: JSON.stringify(plan),
  })
  const { id } = (await created.json()) as { id: string }
  const page = await open(t, browser, `${url}/#/plans/${id}?view=list`, { expects: /status of 40[13]/ })
  const enter = async (key: string) => {
    await page.getByLabel('Key').fill(key)
    await page.keyboard.press('Enter')
  }

  await t.test('asks for a key, and says if it is wrong', async (t) => {
    await page.getByRole('heading', { name: 'This service requires a key' }).waitFor()
    t.same(await violations(page), [])
    for (const wrong of [makeKey(), '열쇠']) {
      await enter(wrong)
      await page.getByText('This key is not valid').waitFor()
    }
  })

  await t.test('is read-only without the scope to write', async (t) => {
    await enter(reader)
    await page.getByText('Read-only').waitFor()
    await page.locator('.row > div > a', { hasText: 'Understand Pods' }).click()
    await page.getByRole('complementary').getByRole('heading', { name: 'Understand Pods' }).waitFor()
    for (const name of ['Add a task', 'Complete', 'Edit', 'Delete', 'Add the note'])
      t.equal(await page.getByRole('button', { name }).count(), 0, name)
    t.same(await violations(page), [])
  })

  await t.test('keeps the key for the tab, and no longer', async (t) => {
    await page.reload()
    await page.getByText('Read-only').waitFor()
    const another = await page.context().newPage()
    await another.goto(url)
    await another.getByLabel('Key').waitFor()
    await another.close()
    await page.getByRole('button', { name: 'Forget the key' }).click()
    await page.getByLabel('Key').waitFor()
    t.equal(await page.evaluate('sessionStorage.length'), 0)
  })

  await t.test('lets a key with the scope write', async () => {
    await enter(writer)
    await page.getByRole('button', { name: 'Complete' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Complete' }).click()
    await page.getByRole('complementary').getByText('key:teacher completed it').waitFor()
    await page.getByText('1 of 4 done').waitFor()
  })
})

t.test('the page of a service without events reads again every few seconds', { skip }, async (t) => {
  const browser = await sharedBrowser()
  const { url, client } = await serve(t, { EVENT_DAYS: '0' })
  const { id, tasks } = await client.batches.create(plan)
  const page = await open(t, browser, `${url}/#/plans/${id}?view=list&task=${tasks[0]!.id}`, {
    expects: /status of 404/,
  })
  await page.getByText('This service keeps no events').waitFor()
  t.equal(await page.getByRole('button', { name: 'Add the note' }).count(), 0)
  await client.tasks.claim(tasks[1]!.id, { worker: 'agent-1' })
  await page.getByText('agent-1 ·').waitFor()
  await page.getByRole('link', { name: 'Timeline' }).click()
  t.same(await violations(page), [])
})
