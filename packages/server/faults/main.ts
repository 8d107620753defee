/**
 * Breaks what the service stands on, while it is used, and holds against a table what must hold. Needs a build.
 *
 *   pnpm faults                       every scenario
 *   pnpm faults restart overload      only these
 *   pnpm faults soak --seconds 1800   for so long: outage, overload or load; each scenario has a default
 *
 * Ends with 1 when something does not hold.
 */
import { parseArgs } from 'node:util'
import { startPostgres } from '../bench/processes.js'
import { disk } from './disk.js'
import { overload } from './overload.js'
import { kill, pause, restart, stop } from './postgres.js'
import { scans } from './scans.js'
import type { Finding, Scenario } from './scenario.js'
import { slow } from './slow.js'
import { soak } from './soak.js'
import { term } from './term.js'

const scenarios: Record<string, Scenario> = {
  restart,
  stop,
  pause,
  kill,
  disk,
  overload,
  scans,
  slow,
  term,
  soak,
}

const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string' } },
  allowPositionals: true,
})
const unknown = positionals.filter((name) => !(name in scenarios))
if (unknown.length > 0)
  throw new Error(`no such scenario: ${unknown}; there are ${Object.keys(scenarios).join(', ')}`)

const rows: ({ fault: string } & Finding)[] = []
for (const fault of positionals.length > 0 ? positionals : Object.keys(scenarios)) {
  const scenario = scenarios[fault]!
  const seconds = Number(values.seconds ?? scenario.seconds)
  console.error(`${fault}: ${seconds} s`)
  const cluster = await startPostgres()
  try {
    for (const promise of await scenario.run({ cluster, seconds })) rows.push({ fault, ...promise })
  } catch (error) {
    rows.push({ fault, must: 'runs to its end', seen: String(error), holds: false })
  }
  await cluster.stop()
}

console.log('| fault | what must hold | seen | |\n|---|---|---|---|')
for (const { fault, must, seen, holds } of rows)
  console.log(`| ${fault} | ${must} | ${seen} | ${holds ? 'holds' : '**FAILS**'} |`)
process.exit(rows.every(({ holds }) => holds) ? 0 : 1)
