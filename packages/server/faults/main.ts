/**
 * Fault injection: breaks PostgreSQL, the disk, the network or the process under load, or attacks it, and prints the expected and the
 * observed behaviour as a table. Needs a build.
 *
 *   pnpm faults                       every scenario
 *   pnpm faults restart overload      only these
 *   pnpm faults soak --seconds 1800   the duration of the fault or the load; each scenario has a default
 *   pnpm faults hostile --seed 7      other shapes of hostile requests
 *   pnpm faults history --calls 5000  the calls of the history on PostgreSQL; on the embedded database a fifth of them
 *
 * The exit code is 1 if an expectation fails.
 */
import { parseArgs } from 'node:util'
import { startPostgres } from '../bench/processes.js'
import { agents } from './agents.js'
import { crash } from './crash.js'
import { disk } from './disk.js'
import { history } from './history.js'
import { bodies, headers, hostile, hostileEmbedded, pages, pipelining } from './hostile.js'
import { overload } from './overload.js'
import { kill, pause, restart, stop } from './postgres.js'
import { readers } from './readers.js'
import { scans } from './scans.js'
import type { Finding, Scenario } from './scenario.js'
import { slow } from './slow.js'
import { soak } from './soak.js'
import { term } from './term.js'

const scenarios: Record<string, Scenario> = {
  crash,
  history,
  restart,
  stop,
  pause,
  kill,
  disk,
  overload,
  scans,
  readers,
  slow,
  term,
  soak,
  agents,
  pipelining,
  bodies,
  headers,
  pages,
  hostile,
  'hostile-embedded': hostileEmbedded,
}

const { values, positionals } = parseArgs({
  options: {
    seconds: { type: 'string' },
    seed: { type: 'string', default: '1' },
    calls: { type: 'string', default: '100000' },
  },
  allowPositionals: true,
})
const unknown = positionals.filter((name) => !(name in scenarios))
if (unknown.length > 0)
  throw new Error(`unknown scenario: ${unknown}. Scenarios: ${Object.keys(scenarios).join(', ')}`)

const [seed, calls] = [Number(values.seed), Number(values.calls)]
const rows: ({ fault: string } & Finding)[] = []
for (const fault of positionals.length > 0 ? positionals : Object.keys(scenarios)) {
  const scenario = scenarios[fault]!
  const seconds = Number(values.seconds ?? scenario.seconds)
  console.error(`${fault}: ${seconds} s`)
  const cluster = await startPostgres()
  try {
    for (const finding of await scenario.run({ cluster, seconds, seed, calls }))
      rows.push({ fault, ...finding })
  } catch (error) {
    rows.push({ fault, expected: 'the scenario completes', observed: String(error), passed: false })
  }
  await cluster.stop()
}

console.log('| fault | expected | observed | result |\n|---|---|---|---|')
for (const { fault, expected, observed, passed } of rows)
  console.log(`| ${fault} | ${expected} | ${observed} | ${passed ? 'pass' : '**FAIL**'} |`)
process.exit(rows.every(({ passed }) => passed) ? 0 : 1)
