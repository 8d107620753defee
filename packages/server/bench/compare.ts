/**
 * Compares this build with another one. Both are measured in turns, so that other load on the machine affects both. Prints
 * the median ratio of the rounds for each call. Each build has its own database on the same PostgreSQL.
 *
 *   compare.ts FOLDER     a built checkout, such as a worktree of the previous release
 *   --size 10000          number of tasks in each database
 *   --rounds 15           number of measurements of each call on each build
 *   --seconds 0.5         duration of each measurement
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
if (other === undefined)
  throw new Error('missing argument: compare.ts FOLDER, where FOLDER is a built checkout')
const effort: Effort = { rounds: Number(options.rounds), seconds: Number(options.seconds), starts: 0 }

const cluster = await startPostgres()
try {
  const targets = [await open('before', entryOf(resolve(other))), await open('service', entry)]
  const [before, now] = targets as [Target, Target]
  const measured = calls.filter((call) => call !== listAll)
  const { perSecond, memory } = await throughput(targets, measured, effort, (line) => console.error(line))
  console.log('| call | before, requests/s | now, requests/s | now / before | range over the rounds |')
  console.log('|---|---|---|---|---|')
  for (const call of measured) {
    const { median, lowest, highest } = ratio(perSecond(now, call), perSecond(before, call))
    const rates = [before, now].map((target) => Math.round(spread(perSecond(target, call)).median))
    const range = `${lowest.toFixed(2)} to ${highest.toFixed(2)}`
    console.log(`| ${call.name} | ${rates.join(' | ')} | ${median.toFixed(3)} | ${range} |`)
  }
  console.log(
    `\nMemory at the end, in MB: before ${memory.get(before)!.at(-1)}, now ${memory.get(now)!.at(-1)}`,
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

/** The path of the command has changed between releases: package.json of the checkout names it. */
function entryOf(checkout: string): string {
  const { bin } = JSON.parse(readFileSync(`${checkout}/packages/server/package.json`, 'utf8'))
  return resolve(checkout, 'packages/server', bin['aklp-task-server'])
}
