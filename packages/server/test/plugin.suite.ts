import { request } from 'node:http'
import Fastify, { type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { startService, type TaskServiceOptions, taskService } from '../src/start/index.js'

const settings = { DATABASE_URL: 'memory://', AUTH: 'off' }

/** A server of someone else, with the service below a prefix. */
async function mount(test: Test, prefix: string, options: FastifyServerOptions = {}) {
  const app = Fastify({ pluginTimeout: 60_000, ...options })
  test.teardown(() => app.close())
  const [outer, inner] = prefix.split(' + ')
  if (inner === undefined) await app.register(taskService, { prefix, settings })
  else
    await app.register((scope) => scope.register(taskService, { prefix: inner, settings }), {
      prefix: outer!,
    })
  return { url: await app.listen({ port: 0, host: '127.0.0.1' }) }
}

/** Creates a task below a path and reads it by its id. */
async function createAndRead(base: string): Promise<string | undefined> {
  const created = await fetch(`${base}/api/v1/tasks?`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ title: 'a?/b' }),
  })
  const { id } = (await created.json()) as { id: string }
  return ((await (await fetch(`${base}/api/v1/tasks/${id}`)).json()) as { title: string }).title
}

t.test('the plugin works at a prefix with parameters, whatever the length of their values', async (t) => {
  const { url } = await mount(t, '/tenants/:tenant/aklp')
  for (const tenant of ['a', 'a-much-longer-tenant-than-its-parameter', 'a%2Fb', ':tenant', 'aklp'])
    t.equal(await createAndRead(`${url}/tenants/${tenant}/aklp`), 'a?/b', tenant)
  t.equal((await fetch(`${url}/tenants/a/other/api/v1/tasks`)).status, 404)

  await t.test('its OpenAPI document names them as server variables', async (t) => {
    const { servers } = (await (await fetch(`${url}/tenants/a/aklp/openapi.json`)).json()) as any
    t.same(servers, [{ url: '/tenants/{tenant}/aklp', variables: { tenant: { default: 'tenant' } } }])
  })

  await t.test('a request with an absolute URL works, too', async (t) => {
    const { port } = new URL(url)
    const status = await new Promise((resolve, reject) => {
      const path = 'http://tasks.test/tenants/a/aklp/health'
      request({ port, host: '127.0.0.1', path }, ({ statusCode }) => resolve(statusCode))
        .on('error', reject)
        .end()
    })
    t.equal(status, 200)
  })
})

t.test('the plugin works at a nested prefix with patterns and duplicate slashes', async (t) => {
  const options = { routerOptions: { ignoreDuplicateSlashes: true } }
  const { url } = await mount(t, '/v1/:tenant(^\\d+$) + /aklp/:region', options)
  t.equal(await createAndRead(`${url}/v1/12345/aklp/eu`), 'a?/b')
  t.equal((await fetch(`${url}//v1/12345//aklp/eu/health`)).status, 200)
  t.equal((await fetch(`${url}/v1/abc/aklp/eu/health`)).status, 404)
  const { servers } = (await (await fetch(`${url}/v1/1/aklp/eu/openapi.json`)).json()) as any
  t.match(servers, [{ url: '/v1/{tenant}/aklp/{region}' }])
})

t.test('the plugin works without a prefix', async (t) => {
  const { url } = await mount(t, '/')
  t.equal(await createAndRead(url), 'a?/b')
})

t.test('the page is at the prefix with a slash, and without it a redirect leads there', async (t) => {
  const html = { headers: { accept: 'text/html' } }
  for (const ignoreTrailingSlash of [false, true]) {
    const { url } = await mount(t, '/tenants/:tenant/aklp', { routerOptions: { ignoreTrailingSlash } })
    const page = await fetch(`${url}/tenants/a%2Fb/aklp?a=1/2`, html)
    t.equal(page.url, `${url}/tenants/a%2Fb/aklp/?a=1/2`)
    const [script] = /assets\/main-\w+\.js/.exec(await page.text())!
    t.equal((await fetch(new URL(script, page.url))).status, 200)
    const { api } = (await (await fetch(`${url}/tenants/a/aklp/`)).json()) as { api: string }
    t.equal((await fetch(new URL(`${api}/tasks`, `${url}/tenants/a/aklp/`))).status, 200)
  }

  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/aklp', async () => 'mine')
  await app.register(taskService, { prefix: '/aklp', settings })
  t.equal((await app.inject('/aklp')).body, 'mine', 'unless the server has a route there')
  t.match((await app.inject('/aklp/')).json(), { page: './' })

  const without = Fastify()
  t.teardown(() => without.close())
  await without.register(taskService, { prefix: '/aklp', settings: { ...settings, DOCS: 'off' } })
  t.equal((await without.inject('/aklp')).statusCode, 404)
})

t.test('an unknown option of the plugin is an error that names the nearest one', async (t) => {
  const register = async (options: object) => {
    await Fastify().register(taskService, options as TaskServiceOptions)
  }
  await t.rejects(register({ setings: settings }), {
    message: 'Unknown option setings. Did you mean settings?',
  })
  await t.rejects(register({ settings, host: '::' }), { message: 'Unknown option host.' })
})

t.test('the plugin does not start without authentication, unless it is off', async (t) => {
  const register = async () =>
    void (await Fastify().register(taskService, { settings: { DATABASE_URL: 'memory://' } }))
  await t.rejects(register(), { message: /^No authentication is configured/ })
})

t.test('startService listens on a port of its own, until it is closed', async (t) => {
  const { url, close } = await startService({ DATABASE_URL: 'memory://', PORT: '0' })
  t.match(url, /^http:\/\/127\.0\.0\.1:\d+$/)
  t.equal(await createAndRead(url), 'a?/b')
  await close()
  await t.rejects(fetch(`${url}/health`))
  await t.rejects(startService({ PRT: '0', DATABASE_URL: 'memory://', HOST: '0.0.0.0' }), /no authentication/)
  await t.rejects(startService({ LOG_LEVL: 'info' }), /Did you mean LOG_LEVEL/)
})
