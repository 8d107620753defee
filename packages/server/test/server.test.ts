import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { newFolder, send, startServer, until } from './process.js'
import { freePort } from './support.js'

// One folder for all that run on the embedded database, one after the other: to open it takes a fraction of what it
// takes to make it.
const folder = newFolder(t)
const data = join(folder, 'aklp-data')
const embedded = { DATABASE_URL: `file:${data}` }

t.test('the first log line has the addresses of the API, the docs, the page and the data', async (t) => {
  const server = startServer(t, {}, { folder })
  const url = await server.listening()
  const { msg } = server.logs()[0]
  t.match(msg, `API ${url}/api/v1, docs ${url}/docs, page ${url}/, data in `)
  t.match(msg, data)
  t.equal((await send(url, 'GET', '/health')).status, 200)
})

t.test('LOG_FORMAT=pretty prints readable lines', async (t) => {
  const server = startServer(t, { ...embedded, LOG_FORMAT: 'pretty' })
  const url = await server.listening()
  t.match(
    server.output.stdout.split('\n')[0],
    /^\S*\[\d\d:\d\d:\d\d\.\d{3}\].* API http:.* docs http:.* data in /,
  )
  await send(url, 'GET', '/health')
  await until('the request is logged', () => /request .*"route":"\/health"/.test(server.output.stdout))
})

t.test('each request is one log line with id, route, status and time, and without its data', async (t) => {
  const server = startServer(t, embedded)
  const url = await server.listening()
  const secret = 'never-in-a-log'
  const requests: [string, string, unknown, string | null, number][] = [
    ['POST', '/api/v1/tasks', { title: secret }, '/api/v1/tasks', 201],
    ['POST', '/api/v1/tasks', { title: '', [secret]: secret }, '/api/v1/tasks', 422],
    ['GET', `/api/v1/tasks?session_id=${secret}`, undefined, '/api/v1/tasks', 422],
    ['GET', `/api/v1/tasks/${randomUUID()}?a=${secret}`, undefined, '/api/v1/tasks/:task_id', 422],
    ['GET', `/api/v1/tasks/${randomUUID()}`, undefined, '/api/v1/tasks/:task_id', 404],
    ['GET', `/nowhere?a=${secret}`, undefined, null, 404],
    ['PATCH', `/api/v1/tasks?a=${secret}`, undefined, '/api/v1/tasks', 405],
    ['GET', `/%zz?a=${secret}`, undefined, null, 400],
    ['GET', '/health', undefined, '/health', 200],
  ]
  for (const [n, [method, path, body, , status]] of requests.entries()) {
    const headers = { 'x-request-id': `request-${n}`, authorization: secret, cookie: secret }
    t.equal((await send(url, method, path, body, headers)).status, status, `${method} ${path}`)
  }
  const given = await send(url, 'GET', '/health')
  const lines = () => server.logs().filter(({ msg }) => msg === 'request')
  await until('every request is logged', () => lines().length > requests.length)
  t.equal(lines().length, requests.length + 1)
  for (const [n, [method, path, , route, status]] of requests.entries()) {
    const [line, ...more] = lines().filter(({ request_id }) => request_id === `request-${n}`)
    t.match(line, { method, route, status, ms: Number, path: path.split('?')[0] })
    t.strictSame(more, [])
  }
  t.equal(lines().at(-1).request_id, given.headers.get('x-request-id'), 'a generated id is logged too')
  t.notMatch(server.output.stdout + server.output.stderr, secret)
})

t.test('a failed start is reported in one line', async (t) => {
  const refused = async (t: Test, settings: Record<string, string>, reason: RegExp, folder?: string) => {
    const server = startServer(t, settings, { folder })
    t.same(await server.ended, { code: 1, signal: null })
    t.match(server.output.stderr, reason)
    t.match(server.output.stderr, /^aklp-task-server: [^\n]+\n$/, 'one line, no stack')
    t.notMatch(server.output.stdout + server.output.stderr, 'secret')
  }

  await t.test('a port in use', async (t) => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as { port: number }
    await refused(
      t,
      { ...embedded, PORT: String(port) },
      new RegExp(`127\\.0\\.0\\.1:${port} is in use\\. .*set PORT`),
    )
    other.close()
  })
  await t.test('an address of another host', (t) =>
    refused(
      t,
      { ...embedded, HOST: '192.0.2.1', AUTH: 'off' },
      /192\.0\.2\.1 is not an address of this machine\. Set HOST/,
    ),
  )
  await t.test('an unreachable database', async (t) => {
    const port = await freePort()
    await refused(
      t,
      { DATABASE_URL: `postgres://user:secret@127.0.0.1:${port}/tasks`, DATABASE_START_TIMEOUT_MS: '300' },
      new RegExp(
        `cannot open the database \\(PostgreSQL at 127\\.0\\.0\\.1:${port}/tasks\\): .*ECONNREFUSED`,
      ),
    )
  })
  await t.test('a malformed database URL', (t) =>
    refused(t, { DATABASE_URL: 'postgres://user:secret#1@127.0.0.1/tasks' }, /DATABASE_URL/),
  )
  await t.test('another server on the same folder', async (t) => {
    const first = startServer(t, {}, { folder })
    await first.listening()
    await refused(t, {}, new RegExp(`${data} is in use by process ${first.child.pid}\\.`), folder)
    await refused(
      t,
      { DATABASE_URL: `file:${folder}/../${basename(folder)}/aklp-data/` },
      /is in use by process/,
    )
  })
  await t.test('a folder that cannot be created', async (t) => {
    const folder = newFolder(t)
    writeFileSync(join(folder, 'file'), '')
    await refused(t, { DATABASE_URL: `file:${folder}/file/data` }, /file\/data\): ENOTDIR/)
  })
  for (const [name, value, reason] of [
    ['PORT', 'eighty', /PORT must be a whole number/],
    ['LOG_LEVEL', 'debgu', /LOG_LEVEL must be .*\. Did you mean debug\?/],
    [
      'DATABSE_URL',
      'postgres://user:secret@db/tasks',
      /Unknown setting DATABSE_URL\. Did you mean DATABASE_URL\?/,
    ],
  ] as const) {
    await t.test(`${name}=${value}`, (t) => refused(t, { [name]: value }, reason))
  }
})

t.test('settings in .env apply unless the environment sets them', async (t) => {
  const home = newFolder(t)
  writeFileSync(join(home, '.env'), `# ours\nDATABASE_URL="file:${data}"\nLOG_LEVEL=nonsense\n`)
  const server = startServer(t, { LOG_LEVEL: 'info' }, { folder: home })
  await server.listening()
  t.match(server.logs()[0].msg, data, 'a setting in the file alone applies')

  const other = newFolder(t)
  mkdirSync(join(other, '.env'))
  const unreadable = startServer(t, {}, { folder: other })
  t.equal((await unreadable.ended).code, 1)
  t.equal(unreadable.output.stderr, 'aklp-task-server: Cannot read .env\n')
})

t.test('acknowledged writes to the embedded database survive kill -9', async (t) => {
  const folder = newFolder(t)
  const completed = new Map<string, boolean>()
  for (let round = 0; round < 3; round++) {
    const server = startServer(t, {}, { folder })
    const url = await server.listening()
    const found = new Map<string, any>()
    for (let page = 1, more = true; more; page++) {
      const { body } = await send(
        url,
        'GET',
        `/api/v1/tasks?limit=100&page=${page}&sort_by=created_at&order=asc`,
      )
      for (const task of body.items) found.set(task.id, task)
      more = body.has_next
    }
    for (const [id, done] of completed) {
      if (!found.has(id)) t.fail(`an acknowledged task is gone in round ${round}`)
      else if (done && found.get(id).status !== 'completed') t.fail('an acknowledged update is lost')
    }

    const enough = completed.size + 30 + Math.random() * 40
    const write = async () => {
      for (;;) {
        const { body } = await send(url, 'POST', '/api/v1/tasks', {
          title: 'a',
          description: 'b'.repeat(900),
        })
        completed.set(body.id, false)
        await send(url, 'PUT', `/api/v1/tasks/${body.id}`, { status: 'completed' })
        completed.set(body.id, true)
      }
    }
    const writers = Promise.allSettled([write(), write(), write(), write()])
    await until('there are writes in flight', () => completed.size > enough)
    server.child.kill('SIGKILL')
    t.equal((await server.ended).signal, 'SIGKILL')
    await writers
  }
})

t.test('a malformed HTTP request returns a problem and closes the connection', async (t) => {
  const server = startServer(t, { ...embedded, REQUEST_TIMEOUT_MS: '1000' })
  const url = await server.listening()
  const { hostname, port } = new URL(url)

  /** Writes to a socket without ending it, and returns what was received until the service closed the connection. */
  const raw = (bytes: string | Buffer) =>
    new Promise<{ text: string; ms: number }>((resolve) => {
      const start = performance.now()
      let text = ''
      const socket = connect(Number(port), hostname, () => socket.write(bytes))
      const bound = setTimeout(() => {
        text += '\r\n\r\n{"the connection":"stays open"}'
        socket.destroy()
      }, 8000)
      socket.on('data', (data) => {
        text += data
      })
      socket.on('error', () => {})
      socket.on('close', () => {
        clearTimeout(bound)
        resolve({ text, ms: performance.now() - start })
      })
    })

  const refused = (t: Test, text: string, status: number, error_code: string) => {
    const [head, body] = text.split('\r\n\r\n') as [string, string]
    t.match(head, new RegExp(`^HTTP/1.1 ${status} `))
    t.match(head, /^content-type: application\/problem\+json/im)
    t.match(head, /^connection: close$/im)
    t.match(head, /^x-content-type-options: nosniff$/im)
    t.equal(text.match(/HTTP\/1\.1/g)?.length, 1, 'one response')
    const problem = JSON.parse(body)
    t.match(problem, { status, error_code, request_id: /./ })
    t.match(head, new RegExp(`^x-request-id: ${problem.request_id}$`, 'im'))
  }

  const post = 'POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
  const malformed: Record<string, string | Buffer> = {
    garbage: 'garbage\r\n\r\n',
    'a TLS handshake': Buffer.from('16030100f5010000f10303', 'hex'),
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'an unknown version': 'GET / HTTP/9.9\r\nHost: localhost\r\n\r\n',
    'an unknown method': 'BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'no Host': 'GET /health HTTP/1.1\r\n\r\n',
    'a header without a name': 'GET /health HTTP/1.1\r\nHost: localhost\r\n: b\r\n\r\n',
    'a NUL in a header': 'GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: a\0b\r\n\r\n',
    'two lengths': `${post}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{"a":1}`,
    'a length and chunks': `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'a length that is not a number': `${post}Content-Length: five\r\n\r\n{}`,
    'a chunk without a size': `${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n`,
  }
  const unfinished: Record<string, string> = {
    'headers that never end': 'GET /health HTTP/1.1\r\nHost: localhost\r\n',
    'a body that never ends': `${post}Content-Length: 100\r\n\r\n{"title"`,
    'chunks that never end': `${post}Transfer-Encoding: chunked\r\n\r\n5\r\n{"tit\r\n`,
  }
  const silent = raw('')
  const late = Object.entries(unfinished).map(([name, bytes]) => [name, raw(bytes)] as const)
  for (const [name, bytes] of Object.entries(malformed)) {
    await t.test(name, async (t) => refused(t, (await raw(bytes)).text, 400, 'bad_request'))
  }
  await t.test('headers too large', async (t) => {
    const { text } = await raw(
      `GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: ${'a'.repeat(100_000)}\r\n\r\n`,
    )
    refused(t, text, 431, 'headers_too_large')
  })
  for (const [name, answered] of late) {
    await t.test(name, async (t) => {
      const { text, ms } = await answered
      refused(t, text, 408, 'request_timeout')
      t.ok(ms > 900 && ms < 5000, `after ${Math.round(ms)} ms`)
    })
  }
  await t.test('a connection without a request is closed without a response', async (t) => {
    const { text, ms } = await silent
    t.equal(text, '')
    t.ok(ms > 900 && ms < 5000, `after ${Math.round(ms)} ms`)
  })
  t.equal((await send(url, 'GET', '/health')).status, 200, 'other requests still succeed')

  await t.test('the connection of a client that keeps writing is closed', async (t) => {
    const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true })
    socket.on('error', () => {}).resume()
    socket.write('garbage\r\n\r\n')
    await new Promise((resolve) => socket.once('end', resolve))
    const closed = () =>
      new Promise<boolean>((resolve) => socket.write('more', (error) => resolve(Boolean(error))))
    await until('writing to it fails', closed)
    t.pass()
    socket.destroy()
  })
})

t.test(
  'a client that does not read its responses is disconnected, and no file stays open',
  { skip: process.platform !== 'linux' && 'counts open files in /proc' },
  async (t) => {
    const server = startServer(t, { REQUEST_TIMEOUT_MS: '1000' }, { folder })
    const url = await server.listening()
    const open = () => readdirSync(`/proc/${server.child.pid}/fd`).length
    await send(url, 'GET', '/health')
    const before = open()
    const socket = connect(Number(new URL(url).port), '127.0.0.1').pause()
    socket.on('error', () => {})
    socket.write('GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(20))
    await until('the files are open', () => open() > before + 10)
    await until('they are closed', () => open() <= before)
    t.equal(server.output.stderr, '')
    socket.destroy()
  },
)
