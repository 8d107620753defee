/** What the timeline computes from the events. */

import type { Event, Task } from '@aklp/task-client'
import t from 'tap'
import { scaleOf } from '../src/timeline/scale.js'
import { lanesOf, progressOf } from '../src/timeline/spans.js'

const START = Date.parse('2026-01-05T09:00:00Z')
const iso = (minutes: number) => new Date(START + minutes * 60_000).toISOString()
const at = (minutes: number) => START + minutes * 60_000

let count = 0
/** An event, with the changes as `field: [from, to]`. */
function event(
  type: Event['type'],
  minutes: number,
  task: string | null,
  changes: Record<string, [unknown, unknown]> = {},
  { worker = null, note = null }: { worker?: string | null; note?: string | null } = {},
): Event {
  return {
    id: String(++count).padStart(8, '0'),
    type,
    at: iso(minutes),
    session_id: null,
    batch_id: 'b',
    task_id: task,
    actor: { caller: 'teacher', worker },
    note,
    changes: Object.entries(changes).map(([field, [from, to]]) => ({ field, from, to })),
  }
}
const claim = (minutes: number, task: string, worker: string, lease = 15, before?: [string, number]) =>
  event(
    'task.claimed',
    minutes,
    task,
    {
      ...(before ? {} : { status: ['pending', 'in_progress'] }),
      claimed_by: [before?.[0] ?? null, worker],
      lease_expires_at: [before ? iso(before[1]) : null, iso(minutes + lease)],
    },
    { worker },
  )
const complete = (minutes: number, task: string, worker: string | null, note?: string) =>
  event(
    'task.updated',
    minutes,
    task,
    {
      status: [worker ? 'in_progress' : 'pending', 'completed'],
      completed_at: [null, iso(minutes)],
      ...(worker ? { claimed_by: [worker, null], lease_expires_at: [iso(minutes + 5), null] } : {}),
    },
    { worker, note: note ?? null },
  )
const tasksOf = (...tasks: Partial<Task>[]) => new Map(tasks.map((task) => [task.id!, task as Task]))

t.test('a span is from a claim to what ends it', async (t) => {
  const events = [
    event('batch.created', 0, null),
    claim(1, 'a', 'w1'),
    claim(2, 'b', 'w2'),
    complete(5, 'a', 'w1'),
    event(
      'task.released',
      6,
      'b',
      { status: ['in_progress', 'pending'], claimed_by: ['w2', null] },
      { worker: 'w2' },
    ),
    claim(7, 'b', 'w1'),
  ]
  t.same(lanesOf(events, new Map()), [
    {
      name: 'w1',
      isWorker: true,
      notes: [],
      spans: [
        { task: 'a', start: at(1), end: at(5), outcome: 'completed' },
        { task: 'b', start: at(7), end: undefined, outcome: 'running' },
      ],
    },
    {
      name: 'w2',
      isWorker: true,
      notes: [],
      spans: [{ task: 'b', start: at(2), end: at(6), outcome: 'released' }],
    },
  ])
})

t.test('a lease that ran out ends the span when it did', async (t) => {
  const taken = lanesOf([claim(0, 'a', 'w1', 10), claim(30, 'a', 'w2', 15, ['w1', 12])], new Map())
  t.same(
    taken.map(({ spans }) => spans),
    [
      [{ task: 'a', start: at(0), end: at(12), outcome: 'expired' }],
      [{ task: 'a', start: at(30), end: undefined, outcome: 'running' }],
    ],
    'also if it was renewed, which is no event',
  )
  const left = tasksOf({ id: 'a', is_ready: true, status: 'in_progress', lease_expires_at: iso(14) })
  t.same(lanesOf([claim(0, 'a', 'w1', 10)], left)[0]!.spans, [
    { task: 'a', start: at(0), end: at(14), outcome: 'expired' },
  ])
})

t.test('what is done without a lease is in a lane of the caller', async (t) => {
  const events = [
    event('task.updated', 1, 'a', { status: ['pending', 'in_progress'] }),
    complete(4, 'a', null),
    complete(5, 'b', null),
  ]
  t.same(lanesOf(events, new Map()), [
    {
      name: 'teacher',
      isWorker: false,
      notes: [],
      spans: [
        { task: 'a', start: at(1), end: at(4), outcome: 'completed' },
        { task: 'b', start: at(5), end: at(5), outcome: 'completed' },
      ],
    },
  ])
})

t.test('a change of anything else is no work, and a deletion ends it', async (t) => {
  const events = [
    claim(0, 'a', 'w1'),
    event('task.updated', 1, 'a', { title: ['a', 'b'] }),
    event('task.noted', 2, 'a', {}, { worker: 'w1', note: 'still at it' }),
    event('task.deleted', 3, 'a', { status: ['in_progress', null], claimed_by: ['w1', null] }),
  ]
  t.same(lanesOf(events, new Map())[0]!.spans, [{ task: 'a', start: at(0), end: at(3), outcome: 'released' }])
  t.same(lanesOf(events, new Map())[0]!.notes, [
    { id: events[2]!.id, at: at(2), task: 'a', author: 'w1', text: 'still at it' },
  ])
})

t.test('progress goes back from what there is', async (t) => {
  const tasks = tasksOf(
    { id: 'a', status: 'completed' },
    { id: 'b', status: 'pending' },
    { id: 'd', status: 'completed' },
  )
  const events = [
    event('batch.created', 0, null),
    complete(1, 'a', 'w1'),
    complete(2, 'c', 'w1'),
    event('batch.extended', 3, null, { tasks: [null, ['d']] }),
    event('task.deleted', 4, 'c', { status: ['completed', null] }),
    complete(5, 'd', null),
    complete(6, 'b', null),
    event('task.updated', 7, 'b', { status: ['completed', 'pending'] }),
  ]
  t.same(progressOf(events, tasks), [
    { at: at(0), total: 3, completed: 0 },
    { at: at(1), total: 3, completed: 1 },
    { at: at(2), total: 3, completed: 2 },
    { at: at(3), total: 4, completed: 2 },
    { at: at(4), total: 3, completed: 1 },
    { at: at(5), total: 3, completed: 2 },
    { at: at(6), total: 3, completed: 3 },
    { at: at(7), total: 3, completed: 2 },
  ])
})

t.test('the scale shortens long pauses and grows with time', async (t) => {
  const { x, pauses, ticks, width } = scaleOf(
    [
      [at(0), at(20)],
      [at(22), at(40)],
      [at(24 * 60), at(24 * 60 + 30)],
    ],
    1000,
  )
  t.equal(pauses.length, 1)
  t.ok(Math.abs(width - 1000) < 1)
  const times = [-5, 0, 10, 40, 600, 24 * 60, 24 * 60 + 30, 24 * 60 + 300].map((minutes) => x(at(minutes)))
  t.same(
    times,
    times.toSorted((a, b) => a - b),
  )
  t.ok(x(at(10)) - x(at(0)) > 100, 'ten minutes of work are wider than a night')
  t.ok(x(at(23 * 60)) - x(at(41)) < 50)
  t.ok(ticks.length > 3)
  t.ok(ticks.every((tick, i) => i === 0 || tick.x - ticks[i - 1]!.x > 50))
  t.equal(ticks.filter((tick) => tick.isNewDay).length, 2)
})

t.test('the scale of nothing, of a moment, and of a hundred days', async (t) => {
  t.equal(scaleOf([], 500).width, 0)
  t.ok(scaleOf([[at(0), at(0)]], 500).x(at(0)) > 100)
  const days = Array.from({ length: 100 }, (_, i) => [at(i * 1440), at(i * 1440 + 10)] as const)
  const { width, pauses } = scaleOf(days, 800)
  t.equal(pauses.length, 99)
  t.ok(width > 99 * 44)
})
