import t from 'tap'
import { type Call, findUnexplained, type Seen, type Step } from '../faults/checker.js'

/** A history by hand: the times are those of the requests and responses, versions are letters. */
const never = Number.POSITIVE_INFINITY
const call = (sent: number, received: number, step: Step | Step[], refused?: Call['refused']): Call => ({
  name: `call at ${sent}`,
  sent,
  received,
  steps: [step].flat(),
  ...(refused && { refused }),
})
const seen = (updated_at: string, changes: Partial<Seen> = {}): Seen => ({
  title: 'a',
  status: 'pending',
  claimed_by: null,
  attempts: 0,
  blocked_by: [],
  updated_at,
  ...changes,
})
const create = (task = 'x', changes?: Partial<Seen>) =>
  call(1, 2, { do: 'create', task, seen: seen('a', changes) })
const held = (updated_at: string, claimed_by: string, attempts = 1) =>
  seen(updated_at, { status: 'in_progress', claimed_by, attempts })
const claim = (token: string, shown: Seen, task = 'x'): Step => ({
  do: 'claim',
  task,
  worker: shown.claimed_by!,
  token,
  seen: shown,
})
const read = (shown: Seen): Step => ({ do: 'read', task: 'x', seen: shown })
const title = (
  title: string,
  updated_at?: string,
  condition: { token?: string; version?: string } = {},
): Step => ({
  do: 'write',
  task: 'x',
  title,
  ...condition,
  ...(updated_at && { seen: seen(updated_at, { title }) }),
})
const complete = (task: string, token?: string): Step => ({
  do: 'write',
  task,
  status: 'completed',
  ...(token && { token }),
})

const explained: Record<string, Call[]> = {
  'calls at the same time, in the order of their versions': [
    create(),
    call(3, 9, title('c', 'c')),
    call(3, 9, title('b', 'b')),
    call(4, 10, read(seen('b', { title: 'b' }))),
  ],
  'a write without a response that took effect, or did not': [
    create(),
    call(3, never, title('b')),
    call(5, 6, read(seen('a'))),
    call(7, 8, read(seen('b', { title: 'b' }))),
    call(7, never, title('c')),
  ],
  'a claim after the lease expired, and the token of the first is lost': [
    create(),
    call(3, 4, claim('t1', held('b', 'one'))),
    call(5, 6, { do: 'expire', task: 'x' }),
    call(7, 8, claim('t2', held('c', 'two', 2))),
    call(9, 10, title('late', undefined, { token: 't1' }), 'lease_lost'),
  ],
  'a lease that is renewed at the moment when it expires': [
    create(),
    call(3, 4, claim('t1', held('b', 'one'))),
    call(5, 9, { do: 'renew', task: 'x', token: 't1', seen: held('b', 'one') }),
    call(5, 9, { do: 'expire', task: 'x' }),
    call(10, 11, { do: 'claim', task: 'x', worker: 'two' }, 'task_claimed'),
  ],
  'a worker that resumes with a new token': [
    create(),
    call(3, never, { do: 'claim', task: 'x', worker: 'one' }),
    call(5, 6, claim('t2', held('c', 'one'))),
  ],
  'the next task, which waited for the completed one': [
    create(),
    create('y', { blocked_by: ['x'] }),
    call(3, 4, claim('t1', held('b', 'one'))),
    call(4, 5, { ...claim('t0', held('b', 'two')), task: 'y' } as Step, 'task_blocked'),
    call(5, 6, [complete('x', 't1'), claim('t2', held('b', 'one'), 'y')]),
  ],
  'a blocker that is reopened while its dependent is claimed': [
    create('x', { status: 'completed' }),
    create('y', { blocked_by: ['x'] }),
    call(3, 6, claim('t1', held('b', 'one'), 'y')),
    call(3, 4, { do: 'write', task: 'x', status: 'pending', seen: seen('b') }),
    call(5, 6, { do: 'read', task: 'y', seen: seen('a', { blocked_by: ['x'] }) }),
  ],
}

const unexplained: Record<string, [why: RegExp, calls: Call[]]> = {
  'two live leases on a task': [
    /held by one with a live lease/,
    [create(), call(3, 4, claim('t1', held('b', 'one'))), call(5, 6, claim('t2', held('c', 'two', 2)))],
  ],
  'two leases that were granted at the same time': [
    /live lease/,
    [create(), call(3, 9, claim('t1', held('b', 'one'))), call(3, 9, claim('t2', held('c', 'two', 2)))],
  ],
  'an acknowledged write that is lost': [
    /shows title a, which is b: a write is lost/,
    [create(), call(3, 4, title('b', 'b')), call(5, 6, read(seen('a')))],
  ],
  'a write that another overwrote with what it read before': [
    /a write is lost/,
    [
      create(),
      call(3, 9, title('b', 'b')),
      call(3, 9, { ...complete('x'), seen: seen('c', { status: 'completed' }) }),
    ],
  ],
  'a version that goes back': [
    /version went from b to a/,
    [create(), call(3, 4, title('b', 'b')), call(5, 6, title('c', 'a'))],
  ],
  'a version that changes without a write': [
    /shows version b, which is a/,
    [create(), call(3, 4, read(seen('b')))],
  ],
  'a claim before its blocker is completed': [
    /a blocker is not completed/,
    [
      create(),
      create('y', { blocked_by: ['x'] }),
      call(3, 4, claim('t1', held('b', 'one'), 'y')),
      call(5, 6, complete('x')),
    ],
  ],
  'a claim after its blocker was reopened': [
    /a blocker is not completed/,
    [
      create('x', { status: 'completed' }),
      create('y', { blocked_by: ['x'] }),
      call(3, 4, { do: 'write', task: 'x', status: 'pending', seen: seen('b') }),
      call(5, 6, claim('t1', held('b', 'one'), 'y')),
    ],
  ],
  'a write under a lease that was lost': [
    /the token is not that of the lease/,
    [
      create(),
      call(3, 4, claim('t1', held('b', 'one'))),
      call(5, 6, { do: 'expire', task: 'x' }),
      call(7, 8, claim('t2', held('c', 'two', 2))),
      call(9, 10, title('late', 'd', { token: 't1' })),
    ],
  ],
  'a change of a version that was no longer there': [
    /its version is b, not a/,
    [create(), call(3, 4, title('b', 'b')), call(5, 6, title('c', 'c', { version: 'a' }))],
  ],
  'done whose next task was taken, although nothing was completed': [
    /shows status in_progress, which is completed/,
    [
      create(),
      create('y'),
      call(3, 4, claim('t1', held('b', 'one'))),
      call(5, 6, [complete('x', 't1'), claim('t2', held('b', 'one'), 'y')]),
      call(7, 8, read(held('b', 'one'))),
    ],
  ],
  'a refusal without a reason': [
    /refused as lease_lost without a reason/,
    [
      create(),
      call(3, 4, claim('t1', held('b', 'one'))),
      call(5, 6, { do: 'renew', task: 'x', token: 't1' }, 'lease_lost'),
    ],
  ],
  'a response before the write that it shows': [
    /a write is lost/,
    [create(), call(3, 4, read(seen('b', { title: 'b' }))), call(5, never, title('b'))],
  ],
}

for (const [name, calls] of Object.entries(explained))
  t.test(`one order explains ${name}`, async (t) => t.equal(findUnexplained(calls), undefined))
for (const [name, [why, calls]] of Object.entries(unexplained))
  t.test(`no order explains ${name}`, async (t) => t.match(findUnexplained(calls), why))
