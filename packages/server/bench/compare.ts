/**
 * Measures this build against another one in turns, so that what else the machine does happens to both: for each call, the
 * ratio of every round and its median. Each build has a database of its own on the same PostgreSQL.
 *
 *   compare.ts FOLDER     a checkout with a build, such as a worktree of the release before
 *   --size 10000          how many tasks the databases hold
 *   --rounds 15           how often each call is measured on each build
 *   --seconds 0.5         how long each time
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import postgres from 'postgres'
import { calls, listAll } from './calls.js'
import { fill, readSessions } from './data.js'
import { type Effort, ratio, spread, type Target, throughput } from './measures.js'
import { entry, startPostgres, startService } from './processes.js'

const { values: options, positionals } = parseArgs({
  options: {
    size: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '15' },
    seconds: { type: 'string', default: '0.5' },
  },
  allowPositionals: true,
})
const [other] = positionals
if (other === undefined) throw new Error('name a checkout with a build: compare.ts FOLDER')
const effort: Effort = { rounds: Number(options.rounds), seconds: Number(options.seconds), starts: 0 }

const cluster = await startPostgres()
try {
  const targets = [await open('before', entryOf(resolve(other))), await open('service', entry)]
  const [before, now] = targets as [Target, Target]
  const measured = calls.filter((call) => call !== listAll)
  const { perSecond, memory } = await throughput(targets, measured, effort, (line) => console.error(line))
  console.log('| call | before, a second | now | now by before | lowest and highest of the rounds |')
  console.log('|---|---|---|---|---|')
  for (const call of measured) {
    const { median, lowest, highest } = ratio(perSecond(now, call), perSecond(before, call))
    const rates = [before, now].map((target) => Math.round(spread(perSecond(target, call)).median))
    const range = `${lowest.toFixed(2)} to ${highest.toFixed(2)}`
    console.log(`| ${call.name} | ${rates.join(' | ')} | ${median.toFixed(3)} | ${range} |`)
  }
  console.log(
    `\nMB in memory at the end: before ${memory.get(before)!.at(-1)}, now ${memory.get(now)!.at(-1)}`,
  )
  for (const { server, sql } of targets) {
    await server!.stop()
    await sql!.end()
  }
} finally {
  await cluster.stop()
}

async function open(name: Target['name'], file: string): Promise<Target> {
  const size = Number(options.size)
  const database = await cluster.newDatabase(`tasks_${name}`)
  const server = await startService(database, {}, file)
  const sql = postgres(database, { max: 2, onnotice: () => {} })
  await fill(sql, size)
  return { name, size, base: server.base, sessions: await readSessions(sql), server, database, sql }
}

/** The command of a checkout, wherever it has it. */
function entryOf(checkout: string): string {
  const { bin } = JSON.parse(readFileSync(`${checkout}/packages/server/package.json`, 'utf8'))
  return resolve(checkout, 'packages/server', bin['aklp-task-server'])
}
