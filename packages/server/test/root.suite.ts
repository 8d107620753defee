/** `GET /`: the page for people, links for programs. What the page does is tested in packages/web. */
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { buildApp } from '../src/app.js'
import { loadConfig, serviceOptions } from '../src/start/config.js'
import { sharedEmbedded } from './support.js'

t.test('GET /', async (t) => {
  const database = await sharedEmbedded()
  const serve = async (settings: Record<string, string> = {}) => {
    const app = await buildApp({ ...serviceOptions(loadConfig(settings)), database })
    t.teardown(() => app.close())
    return app
  }
  const app = await serve()
  const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8', 'accept-encoding': 'gzip, deflate' }
  const page = await app.inject({ url: '/', headers: { accept: browser.accept } })
  const [script, style] = ['js', 'css'].map(
    (type) => new RegExp(`assets/main-\\w+\\.${type}`).exec(page.body)![0],
  )

  await t.test('returns the page to a browser, and it has nothing from another host', async (t) => {
    t.equal(page.statusCode, 200)
    t.match(page.headers, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      vary: /Accept/,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    })
    t.notMatch(page.body, /(src|href)="(https?:)?\/\//)
  })

  await t.test('has a strict policy, without inline scripts and styles', async (t) => {
    const { 'content-security-policy': policy } = page.headers
    t.match(policy, "default-src 'none'")
    t.match(policy, "connect-src 'self'")
    t.notMatch(policy, /unsafe|https?:|\*/)
    t.notMatch(page.body, /<style|<script>| style=| on\w+=/)
  })

  await t.test('returns links to programs', async (t) => {
    for (const accept of ['*/*', 'application/json', undefined]) {
      const { headers, body } = await app.inject({ url: '/', headers: accept ? { accept } : {} })
      t.equal(headers['content-type'], 'application/json; charset=utf-8')
      const { service, version, ...links } = JSON.parse(body)
      t.match({ service, version }, { service: 'AKLP Task Service', version: /^\d+\./ })
      t.same(Object.keys(links), ['api', 'docs', 'openapi', 'mcp', 'page'])
      for (const name of ['docs', 'openapi', 'page'])
        t.ok((await app.inject(new URL(links[name], 'http://localhost/').pathname)).statusCode < 400, name)
    }
    t.notOk('mcp' in (await (await serve({ MCP: 'off' })).inject('/')).json())
  })

  await t.test('its files are kept by browsers, as their names have a hash of their content', async (t) => {
    for (const [file, type] of [
      [script, 'text/javascript; charset=utf-8'],
      [style, 'text/css; charset=utf-8'],
    ]) {
      const { statusCode, headers } = await app.inject(`/${file}`)
      t.equal(statusCode, 200)
      t.equal(headers['content-type'], type)
      t.equal(headers['cache-control'], 'public, max-age=31536000, immutable')
    }
  })

  await t.test('is compressed if the client accepts gzip', async (t) => {
    for (const url of ['/', `/${script}`]) {
      const plain = await app.inject({ url, headers: { accept: browser.accept } })
      const zipped = await app.inject({ url, headers: browser })
      t.equal(plain.headers['content-encoding'], undefined)
      t.equal(zipped.headers['content-encoding'], 'gzip')
      t.same(gunzipSync(zipped.rawPayload), plain.rawPayload)
    }
  })

  await t.test('HEAD has the headers of GET, and other methods are rejected', async (t) => {
    const head = await app.inject({ method: 'HEAD', url: '/', headers: { accept: browser.accept } })
    t.equal(head.statusCode, 200)
    t.equal(head.headers['content-type'], page.headers['content-type'])
    t.equal(head.body, '')
    const post = await app.inject({ method: 'POST', url: '/' })
    t.equal(post.statusCode, 405)
    t.equal(post.headers.allow, 'GET, HEAD')
  })

  await t.test('DOCS=off removes all of it', async (t) => {
    const without = await serve({ DOCS: 'off' })
    for (const url of ['/', `/${script}`])
      t.equal((await without.inject({ url, headers: browser })).statusCode, 404, url)
  })
})
