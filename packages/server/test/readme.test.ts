import { execFile, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { openDatabase } from '../src/db/open.js'
import { catalogue } from '../src/http/catalogue.js'
import { createApi, options } from './support.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const read = (page: string) => readFileSync(join(root, page), 'utf8')
const pagesIn = (folder: string) =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder)).flatMap((name) => (name.endsWith('.md') ? `${folder}/${name}` : []))
    : []

/** The English pages that have a Korean counterpart. */
const translated = ['README.md', ...pagesIn('docs')]
const koreanOf = (page: string) => (page === 'README.md' ? 'README.ko.md' : page.replace('docs/', 'docs/ko/'))
const linked = [
  ...translated,
  'README.ko.md',
  ...pagesIn('docs/ko'),
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'deploy/README.md',
  'packages/client/README.md',
  'packages/mcp/README.md',
  'packages/server/README.md',
  'patches/README.md',
]

/** The code blocks of a page, in order. */
const blocksOf = (text: string) =>
  [...text.matchAll(/^```(\w*)\n(.*?)^```/gms)].map(([, language, code]) => ({ language, code: code! }))

/** A call that ends: the stream of events does not. */
const isCall = ({ language, code }: { language?: string; code: string }) =>
  language === 'sh' && /curl.*localhost:8001/s.test(code) && !code.includes('curl -N')

const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g
const PLACE = /\b[0-9a-f]{24}\b/g
const TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z/g
/** Marks what a page leaves out: the member `"…": "…"` of an object, and the item `"…"` of an array. */
const REST = '…'

/**
 * Compares the responses of a page with what it shows. Ids and times differ from run to run: the same one on the page
 * must be the same one in the responses, and ids that differ must differ.
 */
function createComparison() {
  const actualOf = new Map<string, string>()
  const shownOf = new Map<string, string>()

  const isSameText = (shown: string, actual: string) => {
    const pattern = (text: string) => text.replace(UUID, 'id').replace(PLACE, 'place').replace(TIME, 'time')
    if (pattern(shown) !== pattern(actual)) return false
    const pairs = (pattern: RegExp) =>
      (shown.match(pattern) ?? []).map((value, i) => [value, actual.match(pattern)![i]!] as const)
    const maps = (map: Map<string, string>, from: string, to: string) => {
      if (!map.has(from)) map.set(from, to)
      return map.get(from) === to
    }
    return (
      pairs(UUID).every(([value, other]) => maps(actualOf, value, other) && maps(shownOf, other, value)) &&
      pairs(TIME).every(([value, other]) => maps(actualOf, value, other))
    )
  }

  /** The first difference between a block and a response, as a path and both values; undefined if there is none. */
  return function difference(shown: unknown, actual: unknown, path = '$'): string | undefined {
    const differs = () =>
      `${path}: the page has ${JSON.stringify(shown)}, the response ${JSON.stringify(actual)}`
    if (typeof shown === 'string' && typeof actual === 'string') {
      return isSameText(shown, actual) ? undefined : differs()
    }
    if (Array.isArray(shown)) {
      if (!Array.isArray(actual)) return differs()
      const rest = shown.indexOf(REST)
      const before = rest === -1 ? shown : shown.slice(0, rest)
      const after = rest === -1 ? [] : shown.slice(rest + 1)
      const count = before.length + after.length
      if (rest === -1 ? actual.length !== count : actual.length <= count) return differs()
      return first([
        ...before.map((item, i) => () => difference(item, actual[i], `${path}[${i}]`)),
        ...after.map((item, i) => () => {
          const place = actual.length - after.length + i
          return difference(item, actual[place], `${path}[${place}]`)
        }),
      ])
    }
    if (isObject(shown)) {
      if (!isObject(actual)) return differs()
      const { [REST]: rest, ...members } = shown
      const unshown = Object.keys(actual).filter((name) => !Object.hasOwn(members, name))
      const unknown = Object.keys(members).find((name) => !Object.hasOwn(actual, name))
      if (unknown !== undefined) return `${path}: the response has no ${unknown}`
      if (rest === undefined && unshown.length > 0) return `${path}: the page leaves out ${unshown}`
      if (rest !== undefined && unshown.length === 0) return `${path}: the page leaves out nothing`
      return first(
        Object.entries(members).map(
          ([name, value]) =>
            () =>
              difference(value, actual[name], `${path}.${name}`),
        ),
      )
    }
    return shown === actual ? undefined : differs()
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Ends with the first difference: ids are compared in the order in which they appear. */
function first(checks: (() => string | undefined)[]) {
  for (const check of checks) {
    const found = check()
    if (found !== undefined) return found
  }
  return undefined
}

t.test('a shortened block shows nothing that the response does not have in that place', async (t) => {
  const id = (n: number) => `01a2077e-167c-7116-9095-00000000000${n}`
  const response = { id: id(1), tasks: [{ id: id(2) }, { id: id(3) }, { id: id(2) }], total: 3 }
  const isShown = (shown: unknown) => createComparison()(shown, response) === undefined
  t.ok(isShown({ id: id(1), tasks: [{ id: id(2) }, { id: id(3) }, { id: id(2) }], total: 3 }))
  t.ok(isShown({ id: id(7), tasks: [{ id: id(8) }, '…', { id: id(8) }], '…': '…' }))
  t.notOk(isShown({ id: id(1), '…': '…', page: 1 }), 'a member that does not exist')
  t.notOk(isShown({ total: 4, '…': '…' }), 'another value')
  t.notOk(isShown({ total: 3 }), 'members left out without a mark')
  t.notOk(isShown({ tasks: [{ id: id(2) }], '…': '…' }), 'items left out without a mark')
  t.notOk(isShown({ tasks: [{ id: id(2) }, '…', { id: id(4) }], '…': '…' }), 'two ids where there is one')
  t.notOk(isShown({ tasks: [{ id: id(2) }, { id: id(2) }, '…'], '…': '…' }), 'one id where there are two')
})

/** Runs the calls of a page in one shell, against a service of its own, and returns what each block printed. */
async function run(t: Test, calls: string[]) {
  const database = await openDatabase('memory://', options)
  const { app } = await createApi(database)
  t.teardown(async () => {
    await app.close()
    await database.close()
  })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const script = calls.map((code) => `${code}\necho '\u241e'`).join('\n')
  const { stdout } = await promisify(execFile)('bash', [
    '-c',
    script.replaceAll('http://localhost:8001', address),
  ])
  return stdout.split('\u241e').slice(0, -1)
}

const noCurl = spawnSync('curl', ['--version']).error && !process.env.CI

for (const page of translated) {
  const blocks = blocksOf(read(page))
  const calls = blocks.filter(isCall)
  if (calls.length === 0) continue
  t.test(`the calls in ${page} return what it shows`, { skip: noCurl && 'needs curl' }, async (t) => {
    const responses = await run(
      t,
      calls.map(({ code }) => code),
    )
    const difference = createComparison()
    for (const [i, call] of calls.entries()) {
      const next = blocks[blocks.indexOf(call) + 1]
      if (next?.language !== 'json') continue
      t.equal(difference(JSON.parse(next.code), JSON.parse(responses[i]!)), undefined, call.code)
    }
  })
}

t.test('README.md has at most 150 lines', async (t) => {
  for (const page of ['README.md', 'README.ko.md']) t.ok(read(page).trimEnd().split('\n').length <= 150, page)
})

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(text: string) {
  const counts = new Map<string, number>()
  return withoutCode(text)
    .split('\n')
    .flatMap((line) => /^#+ +(.*?) *$/.exec(line)?.[1] ?? [])
    .map((heading) => {
      const name = heading
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\p{M} _-]/gu, '')
        .replaceAll(' ', '-')
      const count = counts.get(name) ?? 0
      counts.set(name, count + 1)
      return count === 0 ? name : `${name}-${count}`
    })
}

const withoutCode = (text: string) => text.replace(/^```.*?^```/gms, '')

t.test('every relative link leads to a file, and to a heading if it names one', async (t) => {
  for (const page of linked) {
    const links = [...withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!)
    for (const link of links) {
      if (/^\w+:/.test(link)) continue
      const [path, anchor] = link.split('#', 2)
      const target = path === '' ? page : join(dirname(page), path!)
      if (!t.ok(existsSync(join(root, target)), `${page}: ${link}`)) continue
      if (anchor !== undefined) t.ok(anchorsOf(read(target)).includes(anchor), `${page}: ${link}`)
    }
  }
})

t.test('docs/cells.md shows parts of the configuration that pnpm ha-test:cells runs', async (t) => {
  const config = read('deploy/haproxy/cells.cfg')
  for (const page of ['docs/cells.md', 'docs/ko/cells.md']) {
    const parts = blocksOf(read(page)).filter(({ language }) => language === 'haproxy')
    t.ok(parts.length > 0, page)
    for (const { code } of parts) t.ok(config.includes(code), `${page}: ${code}`)
  }
})

t.test('the guide lists every error code under its status', async (t) => {
  const codes = Object.entries(catalogue).map(([code, { status }]) => `${status} ${code}`)
  for (const page of ['docs/guide.md', 'docs/ko/guide.md']) {
    const rows = [...read(page).matchAll(/^\| (\d{3}(?:, \d{3})*) \| (`.*?`) \|/gm)]
    const listed = rows.flatMap(([, statuses, names]) => {
      const [first, ...others] = statuses!.split(', ')
      return names!.split(', ').map((name, i) => `${others[i - 1] ?? first} ${name.slice(1, -1)}`)
    })
    t.same(listed.sort(), codes.toSorted(), page)
  }
})

/** The settings that the tables of a page name, with their defaults. */
const settingsOf = (text: string) =>
  [...text.matchAll(/^\| `([A-Z_]+)` \| (`[^`]*`)?/gm)].map(([settings]) => settings)

for (const page of translated) {
  const korean = koreanOf(page)
  t.test(`${korean} has the code blocks and settings of ${page}`, async (t) => {
    if (!t.ok(existsSync(join(root, korean)), `${korean} exists`)) return
    const [ours, theirs] = [read(page), read(korean)]
    const shared = (text: string) =>
      blocksOf(text).filter(({ language }) => ['sh', 'sql', 'json', 'ts'].includes(language!))
    t.same(shared(theirs), shared(ours))
    t.same(settingsOf(theirs), settingsOf(ours))
  })
}
