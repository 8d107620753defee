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
    const modelled = operations.filter(({ operationId }) => operationId !== 'getHealth')
    const sequences = fc.array(fc.oneof(...modelled.map(modelRequest)), { maxLength: 30, size: 'max' })
    await fc.assert(
      fc.asyncProperty(sequences, async (sequence) => {
        await clear()
        const model = new Model()
        for (const { operation, request: withNumbers } of sequence) {
          const request = model.withIds(withNumbers)
          const { url, body } = toRequest(operation, request)
          const response = await call(operation.method, url, body)
          const [status, expected] = model[operation.operationId](request, response.body)
          assert.equal(response.status, status, response.text)
          if (status !== 404) assert.deepEqual(response.body, expected)
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
  const { page, limit, ...filters } = operation.query.properties
  const few = page && { page: { ...page, maximum: 3 }, limit: { ...limit, maximum: 5 } }
  const query = { ...operation.query, properties: { ...filters, ...few } }
  return validRequest({ ...operation, query }, fc.nat(9)).map((request) => ({ operation, request }))
}

/**
 * The rules of the contract, on two arrays. Each operation has a method that returns the expected response. Only new ids
 * and times are taken from the actual response.
 */
class Model {
  #tasks: any[] = []
  #batches: any[] = [];

  [operationId: string]: any

  /** Replaces the numbers of a request with ids of existing tasks and batches, and with unknown ones. */
  withIds(request: Request): Request {
    const pick = (rows: any[], n: number) => rows[n % (rows.length + 1)]?.id ?? randomUUID()
    return JSON.parse(JSON.stringify(request), (name, value) => {
      if (typeof value !== 'number' || name === 'page' || name === 'limit') return value
      if (name === 'session_id') return sessions[value % sessions.length]
      return pick(name === 'batch_id' ? this.#batches : this.#tasks, value)
    })
  }

  createTask({ body }: Request, response: any): Expected {
    return [201, this.#add(body, response)]
  }

  createBatch({ body }: Request, response: any): Expected {
    const { session_id = null, reason = null } = body
    const batch = { id: response.id, session_id, reason, created_at: response.created_at }
    this.#batches.push(batch)
    body.tasks.forEach((task: object, i: number) => {
      this.#add({ ...task, session_id, batch_id: batch.id }, response.tasks[i])
    })
    return [201, this.#withTasks(batch)]
  }

  getTask({ params }: Request): Expected {
    const task = this.#find(params.task_id)
    return task ? [200, task] : [404]
  }

  updateTask({ params, body }: Request, response: any): Expected {
    const task = this.#find(params.task_id)
    return task ? [200, this.#change(task, body, response)] : [404]
  }

  bulkUpdateTasks({ body }: Request, response: any): Expected {
    const updated = new Set()
    const not_found = new Set()
    for (const { id, ...changes } of body.tasks) {
      const task = this.#find(id)
      if (task)
        updated.add(
          this.#change(
            task,
            changes,
            response.updated.find((task: any) => task.id === id),
          ),
        )
      else not_found.add(id)
    }
    return [200, { updated: [...updated], not_found: [...not_found] }]
  }

  deleteTask({ params }: Request): Expected {
    return this.#delete(params.task_id) ? [204, undefined] : [404]
  }

  bulkDeleteTasks({ body }: Request): Expected {
    const ids: string[] = [...new Set<string>(body.ids)]
    const not_found = ids.filter((id) => !this.#delete(id))
    return [200, { deleted_count: ids.length - not_found.length, not_found }]
  }

  listTasks({ query }: Request): Expected {
    const { page, limit, sort_by = 'updated_at', order = 'desc', ...filters } = query
    const found = this.#tasks.filter((task) =>
      Object.keys(filters).every((name) => task[name] === filters[name]),
    )
    return [200, toPage(sort(found, sort_by, order), page, limit)]
  }

  listBatches({ query }: Request): Expected {
    return [200, toPage(this.#newestFirst(query.session_id), query.page, query.limit)]
  }

  latestBatch({ query }: Request): Expected {
    return [200, this.#newestFirst(query.session_id)[0] ?? null]
  }

  getBatch({ params }: Request): Expected {
    const batch = this.#batches.find(({ id }) => id === params.batch_id)
    return batch ? [200, this.#withTasks(batch)] : [404]
  }

  #find(id: string) {
    return this.#tasks.find((task) => task.id === id)
  }

  #add(fields: object, { id, created_at }: any) {
    const defaults = { session_id: null, batch_id: null, description: null, priority: null, due_date: null }
    const task = { id, ...defaults, status: 'pending', completed_at: null, created_at }
    this.#tasks.push(task)
    return this.#change(task, fields, { updated_at: created_at })
  }

  #change(task: any, changes: any, { updated_at }: any) {
    if (Object.keys(changes).length === 0) return task
    Object.assign(task, changes, { updated_at })
    if (changes.due_date) task.due_date = toUtc(changes.due_date)
    task.completed_at = task.status === 'completed' ? (task.completed_at ?? updated_at) : null
    return task
  }

  #delete(id: string) {
    const before = this.#tasks.length
    this.#tasks = this.#tasks.filter((task) => task.id !== id)
    return this.#tasks.length < before
  }

  #withTasks(batch: any) {
    return { ...batch, tasks: this.#tasks.filter((task) => task.batch_id === batch.id) }
  }

  #newestFirst(session_id?: string) {
    const found = this.#batches.filter((batch) => session_id === undefined || batch.session_id === session_id)
    return sort(found, 'created_at', 'desc').map((batch) => this.#withTasks(batch))
  }
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

function toPage(all: unknown[], page = 1, limit = 10) {
  const total_pages = Math.ceil(all.length / limit)
  const items = all.slice((page - 1) * limit, page * limit)
  return {
    items,
    total: all.length,
    page,
    limit,
    total_pages,
    has_next: page < total_pages,
    has_prev: page > 1,
  }
}

const toUtc = (time: string) =>
  new Date(/T.*(Z|[+-]\d\d:\d\d)$|^[^T]*$/.test(time) ? time : `${time}Z`).toISOString()
