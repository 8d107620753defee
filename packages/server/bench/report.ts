/** The results of a run, and their Markdown. */
import type { ClaimResults } from './claims.js'
import type { EmbeddedResults } from './embedded.js'
import type { FlatResults } from './flat.js'
import type { Measurement } from './load.js'
import type { Effort, Spread } from './measures.js'

/** What was measured with. */
export interface Setting {
  date: string
  commit: string
  machine: { cpu: string; cores: number; memory_gb: number; system: string }
  versions: { node: string; postgresql: string; service: string }
  postgresql_settings: Record<string, string>
  effort: Effort
  connections: number
}

export interface Results extends Setting {
  /** Latencies, here and below, in milliseconds. */
  throughput: {
    call: string
    target: string
    size: number
    per_second: Spread
    p50: number
    p99: number
    failures: number
    of_baseline: Spread
  }[]
  round_trips: Record<string, number>
  /** Throughput at the largest size divided by throughput at the smallest; empty with one size. */
  growth: { call: string; scoped: boolean; from: number; to: number; ratio: Spread }[]
  at_half: { call: string; size: number; rate: number; responses: number; p50: number; p99: number }[]
  /** Get task at a quarter of its maximum throughput at the largest size, alone and during unfiltered lists. */
  during_lists: { alone: Measurement; during: Measurement; lists: Measurement }
  /** `deadlocks` counts the whole run. */
  locks: { updates: Measurement; lists: Measurement; samples: number; waits: number; deadlocks: number }
  /** Megabytes; empty except on Linux. */
  memory: { size: number; after_warm_up: number; after_last_round: number; peak: number }[]
  embedded: EmbeddedResults
  /** Milliseconds. */
  cold_start: { postgresql: Spread }
  /** Microseconds per call. */
  sdk?: { sdk: Spread; fetch: Spread; overhead: Spread }
}

export function toMarkdown(results: Results): string {
  const sizes = [...new Set(results.at_half.map(({ size }) => size))]
  return [
    ...heading(results),
    targets(results),
    ...sizes.flatMap((size) => [`### ${count(size)} tasks`, calls(results, size)]),
    ...(results.growth.length === 0 ? [] : ['### Scaling with the data', growth(results)]),
    '### At half of the maximum throughput',
    atHalf(results),
    '### During unfiltered lists',
    duringLists(results),
    '### Memory of the service',
    table(
      ['tasks', 'after warm-up', 'after the last round', 'peak'],
      results.memory.map((m) => [count(m.size), mb(m.after_warm_up), mb(m.after_last_round), mb(m.peak)]),
    ),
    ...embeddedDatabase(results.embedded),
    '### Startup and SDK',
    startupAndSdk(results),
  ].join('\n\n')
}

export const embeddedToMarkdown = (setting: Setting, embedded: EmbeddedResults) =>
  [...heading(setting), ...embeddedDatabase(embedded)].join('\n\n')

export const claimsToMarkdown = (setting: Setting, { ways, dependencies }: ClaimResults) =>
  [
    ...heading(setting),
    table(
      ['claim and complete', 'per second', 'of pg-boss', 'target'],
      ways.map(({ way, per_second, of_pg_boss }) => [
        way,
        rates(per_second),
        ratios(of_pg_boss),
        { done: '≥ 1', 'two calls': '≥ 0.5' }[way as string] ?? '',
      ]),
    ),
    table(
      ['create a batch of 10', 'per second', 'of one without', 'target'],
      [['with 10 dependencies', rates(dependencies.per_second), ratios(dependencies.of_without), '≥ 0.8']],
    ),
  ].join('\n\n')

export const flatToMarkdown = (setting: Setting, { scoped, lists, bytes }: FlatResults, sizes: number[]) =>
  [
    ...heading(setting),
    `### Calls of a session, ${sizes.map(count).join(' and ')} tasks`,
    table(
      [
        'call',
        `per second, ${count(sizes[0]!)}`,
        `per second, ${count(sizes.at(-1)!)}`,
        'times as long',
        'target',
      ],
      scoped.map(({ call, from, to, times }) => [call, rates(from), rates(to), ratios(times), '≤ 1.3']),
    ),
    '### Lists of everything, alone, in milliseconds',
    table(
      ['list', ...sizes.map((size) => `${count(size)} tasks`), 'target'],
      lists.map(({ list, limit, sizes }) => [
        list,
        ...sizes.map(({ alone }) => (alone ? around(alone, fixed) : 'cancelled by the statement timeout')),
        limit ? `≤ ${limit}` : '',
      ]),
    ),
    '### Bytes for a task',
    table(
      ['table or index', 'bytes'],
      [...bytes, { relation: 'in all', bytes: bytes.reduce((sum, { bytes }) => sum + bytes, 0) }].map(
        ({ relation, bytes }) => [relation, String(Math.round(bytes))],
      ),
    ),
  ].join('\n\n')

function heading({ date, commit, machine, versions, effort, connections, postgresql_settings }: Setting) {
  const settings = Object.entries(postgresql_settings).map(([name, value]) => `${name} = ${value || "''"}`)
  return [
    `## Benchmark of ${date.slice(0, 10)}, commit ${commit}`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memory_gb} GB, ${machine.system}; Node ${versions.node}, ` +
      `PostgreSQL ${versions.postgresql}, service ${versions.service}. PostgreSQL, the service and the load generator ` +
      `share the cores. Median (range) of ${effort.rounds} rounds of ${effort.seconds} s on ${connections} connections. ` +
      `PostgreSQL with default settings except: ${settings.join(', ')}.`,
  ]
}

/** Calls on the embedded database, in turns with the same on PostgreSQL, and its starts. */
function embeddedDatabase({ size, calls, start, memory }: EmbeddedResults) {
  return [
    `### Embedded database, ${count(size)} tasks`,
    table(
      [
        'call',
        'embedded, requests/s',
        'PostgreSQL, requests/s',
        'ratio',
        'target',
        'p50 at half, ms',
        'p99 / p50',
      ],
      calls.map(({ call, target, per_second, postgresql, of_postgresql, at_half }) => [
        call,
        rates(per_second),
        rates(postgresql),
        ratios(of_postgresql),
        `≥ ${target}`,
        fixed(at_half.p50),
        fixed(at_half.p99 / at_half.p50),
      ]),
    ),
    table(
      ['what', 'target', 'result'],
      [
        ['first start, to the first response', '≤ 1.2 s', milliseconds(start.first)],
        ['start in an existing folder', '≤ 0.8 s', milliseconds(start.existing)],
        memory && ['peak memory at start', '≤ 450 MB', mb(memory.start)],
        memory && ['peak memory under load', '', mb(memory.load)],
        ['p99 at half of the maximum throughput', '≤ 10 × p50', worstTail(calls)],
      ],
    ),
  ]
}

function worstTail(calls: EmbeddedResults['calls']) {
  const tails = calls.map(({ call, at_half: { p50, p99 } }) => ({ call, times: p99 / p50 }))
  const [worst] = tails.toSorted((a, b) => b.times - a.times)
  return `${fixed(worst!.times)}: ${worst!.call}`
}

/** The targets and the worst result for each. */
function targets({ throughput, growth, at_half, locks, memory, cold_start, sdk }: Results) {
  const ofBaseline = throughput.filter(({ target }) => target === 'service')
  const lowest = <T>(rows: T[], value: (row: T) => number) => rows.toSorted((a, b) => value(a) - value(b))[0]
  const worst = lowest(ofBaseline, (row) => row.of_baseline.median)!
  const leastScaling = lowest(
    growth.filter(({ scoped }) => scoped),
    (row) => row.ratio.median,
  )
  const slowest = lowest(at_half, (row) => row.p50 / row.p99)!
  const largest = lowest(memory, (row) => -row.peak)
  return table(
    ['what', 'target', 'worst result'],
    [
      [
        'throughput of every call vs. the baseline',
        '≥ 0.85',
        `${ratios(worst.of_baseline)}: ${worst.call}, ${count(worst.size)} tasks`,
      ],
      leastScaling && [
        'calls for one session, batch or task: largest vs. smallest database',
        '≥ 0.8',
        `${ratios(leastScaling.ratio)}: ${leastScaling.call}`,
      ],
      [
        'updates of sessions that other clients list',
        'no lock waits, no deadlocks',
        `${locks.waits} waits in ${count(locks.samples)} samples, during ${count(locks.updates.responses)} updates and ` +
          `${count(locks.lists.responses)} lists${failed(locks.updates.failures + locks.lists.failures)}; ` +
          `${locks.deadlocks} deadlocks in the whole run`,
      ],
      [
        'p99 at half of the maximum throughput',
        '≤ 5 × p50',
        `${fixed(slowest.p99 / slowest.p50)}: ${slowest.call}, ${count(slowest.size)} tasks`,
      ],
      largest && ['memory under load', '≤ 150 MB', mb(largest.peak)],
      ['startup on PostgreSQL, to the first response', '≤ 1 s', milliseconds(cold_start.postgresql)],
      sdk && ['SDK overhead vs. fetch', '≤ 5 %', percent(sdk.overhead)],
    ],
  )
}

function calls({ throughput, round_trips }: Results, size: number) {
  const rows = throughput.filter((row) => row.size === size)
  const others = [...new Set(rows.map(({ target }) => target))].filter((target) => target !== 'service')
  return table(
    [
      'call',
      'requests/s',
      'p50 ms',
      'p99 ms',
      'vs. baseline',
      'round trips',
      ...others.map((other) => `${other} requests/s`),
    ],
    rows
      .filter(({ target }) => target === 'service')
      .map((row) => [
        row.call,
        rates(row.per_second) + failed(row.failures),
        fixed(row.p50),
        fixed(row.p99),
        ratios(row.of_baseline),
        String(round_trips[row.call]),
        ...others.map((other) => {
          const same = rows.find(({ call, target }) => call === row.call && target === other)!
          return rates(same.per_second) + failed(same.failures)
        }),
      ]),
  )
}

const failed = (failures: number) => (failures === 0 ? '' : `, ${count(failures)} failed`)

const growth = ({ growth: rows }: Results) =>
  table(
    ['call', `throughput with ${count(rows[0]!.to)} / with ${count(rows[0]!.from)} tasks`],
    rows.map((row) => [row.call, ratios(row.ratio)]),
  )

const atHalf = ({ at_half }: Results) =>
  table(
    ['call', 'tasks', 'requests/s', 'p50 ms', 'p99 ms', 'p99 / p50'],
    at_half.map((row) => [
      row.call,
      count(row.size),
      count(row.rate),
      fixed(row.p50),
      fixed(row.p99),
      fixed(row.p99 / row.p50),
    ]),
  )

function duringLists({ during_lists: { alone, during, lists } }: Results) {
  const row = (name: string, { perSecond, p50, p99 }: Measurement) => [
    name,
    fixed(perSecond),
    fixed(p50),
    fixed(p99),
  ]
  return table(
    ['call', 'requests/s', 'p50 ms', 'p99 ms'],
    [
      row('get task, alone', alone),
      row('get task, while two clients list everything', during),
      row('list everything, those two clients', lists),
    ],
  )
}

function startupAndSdk({ cold_start, sdk }: Results) {
  return table(
    ['what', 'time'],
    [
      ['startup on PostgreSQL', milliseconds(cold_start.postgresql)],
      sdk && ['get task with the SDK', `${around(sdk.sdk, count)} µs`],
      sdk && ['get task with fetch', `${around(sdk.fetch, count)} µs`],
    ],
  )
}

type Cells = string[]

/** A Markdown table with aligned columns. */
function table(head: Cells, rows: (Cells | undefined)[]): string {
  const lines = [head, ...rows.filter((row) => row !== undefined)]
  const widths = head.map((_, column) => Math.max(...lines.map((cells) => cells[column]!.length)))
  const line = (cells: Cells) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...lines.slice(1).map(line)].join('\n')
}

const count = (value: number) => Math.round(value).toLocaleString('en').replaceAll(',', ' ')
const fixed = (value: number) => (value >= 100 ? count(value) : value.toFixed(value >= 10 ? 1 : 2))
const around = ({ median, lowest, highest }: Spread, write: (value: number) => string) =>
  `${write(median)} (${write(lowest)}–${write(highest)})`
const rates = (value: Spread) => around(value, (rate) => (rate < 100 ? fixed(rate) : count(rate)))
const ratios = (value: Spread) => around(value, (ratio) => ratio.toFixed(2))
const milliseconds = (value: Spread) => `${around(value, count)} ms`
const percent = (value: Spread) => `${around(value, (part) => (100 * part).toFixed(1))} %`
const mb = (value: number) => `${value} MB`
