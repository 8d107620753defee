/** Sequences of calls, compared with a model of the contract in memory. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import {
  numRuns,
  type Operation,
  type Request,
  readOperations,
  toRequest,
  validRequest,
} from './generators.js'
import { onEachDatabase } from './support.js'

onEachDatabase(async (t, { app, call, clear }) => {
  const operations = readOperations((await app.inject('/openapi.json')).json())

  await t.test('every sequence of calls returns what a simple model of the contract returns', async (t) => {
    const modelled = operations.filter(
      ({ operationId }) => !['getHealth', 'listEvents'].includes(operationId),
    )
    const sequences = fc.array(fc.oneof(...modelled.map(modelRequest)), { maxLength: 30, size: 'max' })
    await fc.assert(
      fc.asyncProperty(sequences, async (sequence) => {
        await clear()
        const model = new Model()
        for (const { operation, request: withNumbers } of sequence) {
          const request = model.withIds(withNumbers, operation)
          const { url, body } = toRequest(operation, request)
          const response = await call(operation.method, url, body)
          const [status, expected] = model.run(operation, request, response.body)
          assert.equal(response.status, status, response.text)
          if (status >= 400) assert.equal(response.body.error_code, expected, response.text)
          else assert.deepEqual(response.body, expected)
          for (const id of model.dependents) model.changedByDelete((await call('GET', `/tasks/${id}`)).body)
        }
      }),
      { numRuns },
    )
    t.pass('every response was that of the model')
  })
})

const sessions = [randomUUID(), randomUUID(), randomUUID()]
const ranks: Record<string, string[]> = {
  status: ['pending', 'in_progress', 'completed'],
  priority: ['low', 'medium', 'high'],
}

type Expected = [status: number, body?: unknown]

/** Requests with a number in place of each id. The model replaces it once it knows which ids exist. */
function modelRequest(operation: Operation) {
  // Cursors have tests of their own.
  const { page, limit, cursor, ...filters } = operation.query.properties
  const few = page && { page: { ...page, maximum: 3 }, limit: { ...limit, maximum: 5 } }
  if (filters.q) filters.q = { enum: ['a', 'A 0', '한', '%', '_', '\\'] }
  if (filters.claimed_by) filters.claimed_by = { enum: ['one', 'two'] }
  const query = { ...operation.query, properties: { ...filters, ...few } }
  // Few keys and workers, so that they meet.
  const body = operation.body && withFew(operation.body)
  return validRequest({ ...operation, query, body }, fc.nat(9)).map((request) => ({ operation, request }))
}

const withFew = (body: object) =>
  JSON.parse(JSON.stringify(body), (name, value) => {
    // What it leads to is in the tests of events.
    if (name === 'note') return undefined
    if (name === 'key') return { enum: ['a', 'b', 'c'] }
    if (name === 'worker') return { enum: ['one', 'two'] }
    if (name === 'blocked_by' && value.items?.format === 'text')
      return {
        ...value,
        items: { oneOf: [{ enum: ['a', 'b', 'c', 'd'] }, { type: 'string', format: 'uuid' }] },
      }
    return value
  })

/** Numbers that stand for themselves. */
const NUMBERS = ['page', 'limit', 'lease_seconds', 'max_attempts']

/** A rule of the contract that a request breaks. */
class Broken extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(code)
  }
}
const invalid = () => new Broken(422, 'validation_error')

/**
 * The rules of the contract, on two arrays. Each operation has a method that returns the expected response. Only new ids,
 * tokens and times are taken from the actual response.
 */
class Model {
  #tasks: any[] = []
  /** As they were when they were deleted. */
  #deleted: any[] = []
  #batches: any[] = []
  /** The tasks that a delete has changed: no response says when. */
  dependents: string[] = [];

  [operationId: string]: any

  /** Returns the expected response. A request that breaks a rule returns its code and changes nothing. */
  run({ operationId }: Operation, request: Request, response: any): Expected {
    const before = structuredClone([this.#tasks, this.#batches] as const)
    try {
      return this[operationId](request, response)
    } catch (error) {
      if (!(error instanceof Broken)) throw error
      ;[this.#tasks, this.#batches] = before
      return [error.status, error.code]
    }
  }

  /** Replaces the numbers of a request with ids of existing tasks and batches, and with unknown ones. */
  withIds(request: Request, { operationId }: Operation): Request {
    const restores = operationId === 'restoreTasks'
    const pick = (rows: any[], n: number) => rows[n % (rows.length + 1)]?.id ?? randomUUID()
    const replaced = JSON.parse(JSON.stringify(request), (name, value) => {
      if (typeof value !== 'number' || NUMBERS.includes(name)) return value
      if (name === 'session_id') return sessions[value % sessions.length]
      if (name === 'batch_id') return pick(this.#batches, value)
      return pick(restores ? [...this.#deleted, ...this.#tasks] : this.#tasks, value)
    })
    // Most tokens are right.
    for (const [lease, given, task_id] of [
      [replaced.body, request.body, replaced.params.task_id],
      [replaced.body?.done, request.body?.done, replaced.body?.done?.task_id],
    ])
      if (given?.token % 3 > 0) lease.token = this.#find(task_id)?.token ?? lease.token
    return replaced
  }

  createTask({ body }: Request, response: any): Expected {
    rejectRepeated(body)
    const task = this.#add(body, response)
    this.#check([task], [undefined])
    return [201, this.#view(task)]
  }

  createBatch({ body }: Request, response: any): Expected {
    const { session_id = null, reason = null, metadata = {} } = body
    const batch = { id: response.id, session_id, reason, metadata, created_at: response.created_at }
    this.#batches.push(batch)
    this.#plan(batch, body.tasks, response, 0)
    return [201, this.#withTasks(batch)]
  }

  extendBatch({ params, body }: Request, response: any): Expected {
    const batch = this.#batches.find(({ id }) => id === params.batch_id)
    if (batch === undefined) return [404, 'batch_not_found']
    const last = Math.max(-1, ...this.#ofBatch(batch).map(({ position }) => position))
    this.#plan(batch, body.tasks, response, last + 1)
    return [201, this.#withTasks(batch)]
  }

  /** Adds tasks whose blockers can be keys of the batch. */
  #plan(batch: any, plan: any[], response: any, position: number) {
    const existing = this.#ofBatch(batch)
    const rows = plan.map((_, nth) => response.tasks?.[existing.length + nth] ?? { id: randomUUID() })
    const keys = new Map<string, string>(existing.flatMap(({ key, id }) => (key === null ? [] : [[key, id]])))
    for (const [nth, { key }] of plan.entries()) {
      if (key == null) continue
      if (keys.has(key)) throw invalid()
      keys.set(key, rows[nth].id)
    }
    const blockers = plan.map(({ blocked_by = [] }, nth) => {
      const ids: string[] = blocked_by.map((given: string) => keys.get(given) ?? given)
      if (ids.some((id) => id.length < 36 || id === rows[nth].id)) throw invalid()
      rejectRepeated({ blocked_by: ids })
      return ids
    })
    const added = plan.map((task, nth) =>
      this.#add(
        {
          ...task,
          blocked_by: blockers[nth],
          session_id: batch.session_id,
          batch_id: batch.id,
          position: position + nth,
        },
        rows[nth],
      ),
    )
    // A circle within the plan is found before the plan is written.
    for (const task of added) this.#rejectCircle(task)
    this.#check(
      added,
      added.map(() => undefined),
    )
  }

  getTask({ params }: Request): Expected {
    return [200, this.#view(this.#get(params.task_id))]
  }

  updateTask({ params, body }: Request, response: any): Expected {
    rejectRepeated(body)
    const task = this.#get(params.task_id)
    const before = task.status
    this.#change(task, body, response)
    this.#check([task], [before], body.blocked_by?.length > 0)
    return [200, this.#view(task)]
  }

  patchTask(request: Request, response: any): Expected {
    return this.updateTask(request, response)
  }

  bulkUpdateTasks({ body }: Request, response: any): Expected {
    for (const part of body.tasks) rejectRepeated(part)
    const before = new Map<any, string>()
    const not_found = new Set()
    for (const { id, ...changes } of body.tasks) {
      const task = this.#find(id)
      if (task) {
        if (!before.has(task)) before.set(task, task.status)
        this.#change(task, changes, response.updated?.find((task: any) => task.id === id) ?? {})
      } else not_found.add(id)
    }
    this.#check([...before.keys()], [...before.values()])
    return [200, { updated: [...before.keys()].map((task) => this.#view(task)), not_found: [...not_found] }]
  }

  deleteTask({ params }: Request): Expected {
    this.#get(params.task_id)
    this.#delete([params.task_id])
    return [204, undefined]
  }

  bulkDeleteTasks({ body }: Request): Expected {
    const ids: string[] = [...new Set<string>(body.ids)]
    const not_found = ids.filter((id) => !this.#find(id))
    this.#delete(ids)
    return [200, { deleted_count: ids.length - not_found.length, not_found }]
  }

  postBulkDeleteTasks(request: Request): Expected {
    return this.bulkDeleteTasks(request)
  }

  restoreTasks({ body }: Request): Expected {
    const ids: string[] = [...new Set<string>(body.ids)]
    const isTaken = ({ batch_id, key }: any) =>
      key !== null && this.#tasks.some((task) => task.batch_id === batch_id && task.key === key)
    const restored = ids.flatMap((id) => this.#deleted.find((task) => task.id === id) ?? [])
    this.#deleted = this.#deleted.filter((task) => !restored.includes(task))
    for (const task of restored) {
      Object.assign(task, { token: undefined, claimed_by: null, lease_expires_at: null })
      if (isTaken(task)) task.key = null
      this.#tasks.push(task)
    }
    for (const task of restored)
      task.blocked_by = task.blocked_by.filter((blocker: string) => this.#find(blocker))
    // Lists are in the order of creation.
    this.#tasks.sort((a, b) => (a.id < b.id ? -1 : 1))
    const found = ids.flatMap((id) => this.#find(id) ?? [])
    const not_found = ids.filter((id) => !this.#find(id))
    return [200, { restored: found.map((task) => this.#view(task)), not_found }]
  }

  listTasks({ query }: Request, response: any): Expected {
    const { page, limit, sort_by = 'updated_at', order = 'desc', fields, ...filters } = query
    const needsScope = ['q', 'ready', 'claimed_by'].some((name) => name in filters)
    if (needsScope && !filters.session_id && !filters.batch_id) throw invalid()
    const found = this.#tasks.filter((task) =>
      Object.keys(filters).every((name) =>
        passes[name] ? passes[name](this.#view(task), filters[name]) : task[name] === filters[name],
      ),
    )
    const views = sort(found, sort_by, order).map((task) => chosen(this.#view(task), fields))
    return [200, toPage(views, page, limit, response)]
  }

  listBatches({ query }: Request, response: any): Expected {
    const found = this.#newestFirst(query.session_id).map((batch) =>
      chosen(this.#withTasks(batch), query.fields),
    )
    return [200, toPage(found, query.page, query.limit, response)]
  }

  latestBatch({ query }: Request): Expected {
    const [latest] = this.#newestFirst(query.session_id)
    return [200, latest ? this.#withTasks(latest) : null]
  }

  getBatch({ params }: Request): Expected {
    const batch = this.#batches.find(({ id }) => id === params.batch_id)
    return batch ? [200, this.#withTasks(batch)] : [404, 'batch_not_found']
  }

  getSession({ params: { session_id }, query: { fields } }: Request): Expected {
    const found = this.#tasks.filter((task) => task.session_id === session_id)
    const views = (tasks: any[], most: number) =>
      tasks.slice(0, most).map((task) => chosen(this.#view(task), fields))
    const having = (status: string, by: string) =>
      sort(
        found.filter((task) => task.status === status),
        by,
        'desc',
      )
    const [latest] = this.#newestFirst(session_id)
    const { id, reason, created_at } = latest ?? {}
    return [
      200,
      {
        session_id,
        progress: this.#progress(found),
        next: views(this.#inClaimOrder(found), 1)[0] ?? null,
        in_progress: views(having('in_progress', 'updated_at'), 10),
        recent: views(having('completed', 'completed_at'), 5),
        notes: [],
        latest_batch: latest
          ? { id, reason, created_at, progress: this.#progress(this.#ofBatch(latest)) }
          : null,
      },
    ]
  }

  claimNextTask({ body }: Request, response: any): Expected {
    const { worker, done, resume = false, max_attempts = 101 } = body
    let { session_id, batch_id } = body
    if (!session_id && !batch_id) {
      if (!done) throw invalid()
      const task = this.#get(done.task_id)
      if (task.session_id !== null) session_id = task.session_id
      else batch_id = task.batch_id ?? task.id
    }
    const changed_at = response.task?.updated_at ?? response.progress?.last_activity_at
    if (done) {
      const task = this.#holding(done)
      const { task_id, token, ...changes } = done
      // A claimed task was not changed at a later time than the completed one.
      this.#change(task, { ...changes, status: 'completed' }, { updated_at: changed_at })
      this.#check([task], ['in_progress'])
      this.dependents = [task.id]
    }
    const inScope = () =>
      this.#tasks.filter(
        (task) =>
          (!session_id || task.session_id === session_id) && (!batch_id || task.batch_id === batch_id),
      )
    const held = inScope().filter(({ claimed_by, id }) => claimed_by === worker && id !== done?.task_id)
    const latest = held
      .map(({ updated_at }) => updated_at)
      .sort()
      .at(-1)
    // Of those that were claimed in the same millisecond, any.
    const resumed = held.filter(
      ({ updated_at, id }) =>
        resume && updated_at === latest && (id === response.task?.id || held.length === 1),
    )
    const ready = this.#inClaimOrder(inScope()).filter(({ attempts }) => attempts < max_attempts)
    const task = resumed[0] ?? ready[0]
    if (task === undefined) {
      if (batch_id && !done && !this.#batches.some(({ id }) => id === batch_id))
        return [404, 'batch_not_found']
      return [200, { task: null, lease: null, progress: this.#progress(inScope()) }]
    }
    this.#lease(task, worker, response, resumed.length === 0)
    return [200, { task: this.#view(task), lease: leaseOf(task), progress: null }]
  }

  claimTask({ params, body }: Request, response: any): Expected {
    const task = this.#get(params.task_id)
    if (task.status === 'completed') return [409, 'task_completed']
    if (task.status === 'in_progress') return [409, 'task_claimed']
    this.#lease(task, body.worker, response, true)
    this.#check([task], ['pending'])
    return [200, { task: this.#view(task), lease: leaseOf(task) }]
  }

  renewLease({ params, body }: Request, response: any): Expected {
    const task = this.#holding({ ...params, ...body })
    task.lease_expires_at = response.lease.expires_at
    return [200, { task: this.#view(task), lease: leaseOf(task) }]
  }

  releaseTask({ params, body: { token, not_before } }: Request, response: any): Expected {
    const task = this.#holding({ ...params, token })
    this.#change(task, { status: 'pending', ...(not_before && { not_before }) }, response)
    return [200, this.#view(task)]
  }

  /** The task as it is after something that no response shows. */
  changedByDelete({ id, updated_at, completed_at }: any) {
    Object.assign(this.#find(id), { updated_at, completed_at })
    this.dependents = this.dependents.filter((other) => other !== id)
  }

  #find(id: string) {
    return this.#tasks.find((task) => task.id === id)
  }

  #get(id: string) {
    const task = this.#find(id)
    if (task === undefined) throw new Broken(404, 'task_not_found')
    return task
  }

  #holding({ task_id, token }: any) {
    const task = this.#get(task_id)
    if (task.token !== token) throw new Broken(409, 'lease_lost')
    return task
  }

  #ofBatch(batch: any) {
    return this.#tasks.filter((task) => task.batch_id === batch.id)
  }

  #add(fields: object, { id, created_at }: any) {
    const task: any = {
      id,
      created_at,
      position: 0,
      attempts: 0,
      status: 'pending',
      metadata: {},
      blocked_by: [],
    }
    for (const name of ['session_id', 'batch_id', 'key', 'description', 'priority', 'due_date', 'not_before'])
      task[name] = null
    for (const name of ['claimed_by', 'lease_expires_at', 'result', 'completed_at']) task[name] = null
    this.#tasks.push(task)
    const { metadata = {}, ...given } = fields as any
    this.#change(task, given, { updated_at: created_at })
    task.metadata = metadata
    return task
  }

  #change(task: any, { metadata, ...changes }: any, { updated_at }: any) {
    if (Object.keys(changes).length === 0 && metadata === undefined) return
    Object.assign(task, changes, { updated_at })
    if (metadata !== undefined) task.metadata = merge(task.metadata, metadata)
    for (const name of ['due_date', 'not_before']) if (changes[name]) task[name] = toUtc(changes[name])
    task.completed_at = task.status === 'completed' ? (task.completed_at ?? updated_at) : null
    // The model sends no Lease-Token.
    if (changes.status) Object.assign(task, { token: undefined, claimed_by: null, lease_expires_at: null })
  }

  #lease(task: any, worker: string, { task: { updated_at }, lease }: any, counts: boolean) {
    const { token, expires_at: lease_expires_at } = lease ?? {}
    Object.assign(task, { status: 'in_progress', claimed_by: worker, token, lease_expires_at, updated_at })
    if (counts) task.attempts++
  }

  #delete(ids: string[]) {
    this.#deleted.push(...this.#tasks.filter(({ id }) => ids.includes(id)))
    this.#tasks = this.#tasks.filter(({ id }) => !ids.includes(id))
    for (const task of this.#tasks) {
      const left = task.blocked_by.filter((id: string) => !ids.includes(id))
      if (left.length < task.blocked_by.length) this.dependents.push(task.id)
      task.blocked_by = left
    }
  }

  /** Rejects what breaks a rule between tasks, in the state after a change of these tasks, which had a status before. */
  #check(changed: any[], before: (string | undefined)[], namesBlockers = true) {
    for (const [nth, task] of changed.entries()) {
      const blockers = task.blocked_by
        .map((id: string) => this.#find(id))
        .filter((other: any) => other !== task)
      const isOpen = (blocker: any) =>
        blocker?.session_id === task.session_id && blocker.status !== 'completed'
      if (task.status !== 'pending' && task.status !== before[nth] && blockers.some(isOpen))
        throw new Broken(409, 'task_blocked')
    }
    if (!namesBlockers) return
    for (const task of changed) {
      const isUnknown = (id: string) => id === task.id || this.#find(id)?.session_id !== task.session_id
      if (task.blocked_by.some(isUnknown)) throw invalid()
    }
    for (const task of changed) this.#rejectCircle(task)
  }

  #rejectCircle(task: any) {
    const reached = new Set<string>()
    const visit = (id: string) => {
      for (const blocker of this.#find(id)?.blocked_by ?? []) {
        if (blocker === task.id && id !== task.id) throw new Broken(422, 'dependency_cycle')
        if (!reached.has(blocker)) {
          reached.add(blocker)
          visit(blocker)
        }
      }
    }
    visit(task.id)
  }

  #isBlocked(task: any) {
    return task.blocked_by.some((id: string) => this.#find(id).status !== 'completed')
  }

  /** Leases do not expire during the test. */
  #isReady(task: any) {
    return task.status === 'pending' && !isDeferred(task) && !this.#isBlocked(task)
  }

  #inClaimOrder(tasks: any[]) {
    const rank = ({ priority }: any) => ranks.priority!.indexOf(priority)
    return tasks
      .filter((task) => this.#isReady(task))
      .sort(
        (a, b) =>
          rank(b) - rank(a) ||
          a.created_at.localeCompare(b.created_at) ||
          a.position - b.position ||
          (a.id < b.id ? -1 : 1),
      )
  }

  #view({ token, position, ...task }: any) {
    return { ...task, is_ready: this.#isReady(task) }
  }

  #progress(tasks: any[]) {
    const count = (condition: (task: any) => boolean) => tasks.filter(condition).length
    const having = (status: string) => count((task) => task.status === status)
    const isPending = ({ status }: any) => status === 'pending'
    return {
      total: tasks.length,
      pending: having('pending'),
      in_progress: having('in_progress'),
      completed: having('completed'),
      ready: count((task) => this.#isReady(task)),
      blocked: count((task) => isPending(task) && this.#isBlocked(task)),
      deferred: count((task) => isPending(task) && isDeferred(task) && !this.#isBlocked(task)),
      overdue: count(
        ({ status, due_date }) =>
          status !== 'completed' && due_date !== null && Date.parse(due_date) < Date.now(),
      ),
      percent: tasks.length === 0 ? 0 : Math.floor((having('completed') * 100) / tasks.length),
      last_activity_at:
        tasks
          .map(({ updated_at }) => updated_at)
          .sort()
          .at(-1) ?? null,
    }
  }

  #withTasks(batch: any) {
    const tasks = this.#ofBatch(batch)
    return { ...batch, progress: this.#progress(tasks), tasks: tasks.map((task) => this.#view(task)) }
  }

  #newestFirst(session_id?: string) {
    const found = this.#batches.filter((batch) => session_id === undefined || batch.session_id === session_id)
    return sort(found, 'created_at', 'desc')
  }
}

const leaseOf = ({ token, lease_expires_at }: any) => ({ token, expires_at: lease_expires_at })

const isDeferred = ({ not_before }: any) => not_before !== null && Date.parse(not_before) > Date.now()

function rejectRepeated({ blocked_by = [] }: { blocked_by?: string[] }) {
  if (new Set(blocked_by).size < blocked_by.length) throw invalid()
}

/** RFC 7396, section 2. */
function merge(target: any, patch: any): any {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const merged = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name]
    else merged[name] = merge(merged[name], value)
  }
  return merged
}

/** Sorts by rank or value, null last, and by id where they are equal. */
function sort(rows: any[], sort_by: string, order: string) {
  const key = (row: any) => ranks[sort_by]?.indexOf(row[sort_by]) ?? row[sort_by]
  const compare = (a: any, b: any) => (a < b ? -1 : a > b ? 1 : 0) * (order === 'desc' ? -1 : 1)
  return [...rows].sort((a, b) => {
    if ((a[sort_by] === null) !== (b[sort_by] === null)) return a[sort_by] === null ? 1 : -1
    return compare(key(a), key(b)) || compare(a.id, b.id)
  })
}

/** The filters that are not equality. */
const passes: Record<string, (task: any, wanted: any) => boolean> = {
  status: ({ status }, wanted) => wanted.includes(status),
  priority: ({ priority }, wanted) => wanted.includes(priority),
  ready: ({ is_ready }, wanted) => is_ready === wanted,
  due_before: ({ due_date }, time) => due_date !== null && due_date < toUtc(time),
  due_after: ({ due_date }, time) => due_date !== null && due_date > toUtc(time),
  updated_since: ({ updated_at }, time) => updated_at >= toUtc(time),
  q: ({ title, description, result }, words) => {
    const text = [title, description, result].join(' ').toLowerCase()
    return words.split(' ').every((word: string) => text.includes(word.toLowerCase()))
  },
}

/** The fields of an item that were asked for, and its id. */
const chosen = (item: any, fields?: string[]) =>
  fields
    ? Object.fromEntries(Object.entries(item).filter(([name]) => name === 'id' || fields.includes(name)))
    : item

/** Only the cursor is taken from the actual response. */
function toPage(all: unknown[], page = 1, limit = 10, { next_cursor }: any) {
  const total_pages = Math.ceil(all.length / limit)
  const items = all.slice((page - 1) * limit, page * limit)
  return {
    items,
    next_cursor: page < total_pages ? String(next_cursor) : null,
    total: all.length,
    total_is_exact: true,
    page,
    limit,
    total_pages,
    has_next: page < total_pages,
    has_prev: page > 1,
  }
}

const toUtc = (time: string) =>
  new Date(/T.*(Z|[+-]\d\d:\d\d)$|^[^T]*$/.test(time) ? time : `${time}Z`).toISOString()
