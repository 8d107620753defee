import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import t from 'tap'
import { openDatabase } from '../src/db/open.js'
import { openApi, options } from './support.js'

const read = (name: string) => readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8')

/** The code blocks of a language, in order. */
const blocks = (text: string, language: string) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(([, code]) => code!)

/** Ids by the order in which they appear, and times as such: what differs from run to run is made the same. */
function comparable(answers: string[]) {
  const ids = new Map<string, string>()
  return answers.map((answer) =>
    JSON.parse(
      answer
        .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'a time')
        .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => {
          if (!ids.has(id)) ids.set(id, `id ${ids.size}`)
          return ids.get(id)!
        }),
    ),
  )
}

const english = read('README.md')
const noCurl = spawnSync('curl', ['--version']).error && !process.env.CI

t.test('the lines of the README answer what the README says', { skip: noCurl && 'needs curl' }, async (t) => {
  const database = await openDatabase('memory://', options)
  const { app } = await openApi(database)
  t.teardown(async () => {
    await app.close()
    await database.close()
  })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })

  const scenario = blocks(english, 'sh').filter((block) => block.includes('curl'))
  const script = scenario.map((block) => `${block}\necho '\u241e'`).join('\n')
  const { stdout } = await promisify(execFile)('bash', [
    '-c',
    script.replaceAll('http://localhost:8001', address),
  ])
  const answers = stdout.split('\u241e').slice(0, -1)
  t.ok(scenario.length >= 5, 'the five scenarios of an agent')
  t.same(comparable(answers), comparable(blocks(english, 'json')))
})

t.test('the Korean README shows the same commands, answers and settings', async (t) => {
  const korean = read('README.ko.md')
  for (const language of ['sh', 'json']) t.same(blocks(korean, language), blocks(english, language))
  const names = (text: string) => [...text.matchAll(/^\| `([A-Z_]+)` \| (`[^`]*`)?/gm)].map(([line]) => line)
  t.ok(names(english).length >= 10)
  t.same(names(korean), names(english))
})
