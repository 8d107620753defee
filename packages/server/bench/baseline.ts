/**
 * The baseline: the service's SQL as prepared statements behind node:http, with JSON.stringify. No framework, validation,
 * logs or error handling: the difference to it is the overhead of the service. Reads DATABASE_URL and PORT, and implements
 * only the measured calls.
 */
import { createServer, type IncomingMessage } from 'node:http'
import postgres from 'postgres'
import { newId } from '../src/db/ids.js'

interface Row {
  id: string
  [column: string]: unknown
}

interface Body {
  session_id: string
  reason: string
  tasks: Row[]
}

const sql = postgres(process.env.DATABASE_URL!, { max: 10, fetch_types: false })

/** Runs a prepared statement; values for jsonb are passed as JSON text. */
const run = (text: string, parameters: unknown[]) =>
  sql.unsafe<Row[]>(text, parameters as string[], { prepare: true })
sql.options.serializers[3802] = (json) => json

const time = (table: string, column: string) =>
  `to_char(${table}.${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${column}`

const taskColumns = `tasks.id, tasks.session_id, tasks.batch_id, tasks.title, tasks.description, tasks.status, tasks.priority,
  ${time('tasks', 'due_date')}, ${time('tasks', 'completed_at')}, ${time('tasks', 'created_at')}, ${time('tasks', 'updated_at')}`

const selectTask = `select ${taskColumns} from tasks where id = $1`

// Sort columns are qualified: unqualified, they would refer to the formatted text of the select list.
const selectPage = (filter: string, parameters: number) => `
  select (select count(*) from tasks ${filter})::int as total, coalesce(json_agg(page), '[]') as items
  from (select ${taskColumns} from tasks ${filter} order by tasks.updated_at desc, tasks.id desc
        limit $${parameters + 1} offset $${parameters + 2}) page`

const selectAll = selectPage('', 0)
const selectSession = selectPage('where session_id = $1', 1)
const selectSessionByStatus = selectPage('where status = $1 and session_id = $2', 2)

const batchColumns = `batches.id, batches.session_id, batches.reason, ${time('batches', 'created_at')},
  (select coalesce(json_agg(plan), '[]')
   from (select ${taskColumns} from tasks where tasks.batch_id = batches.id order by position, tasks.id) plan) as tasks`
const selectBatch = `select ${batchColumns} from batches where id = $1`
const selectLatest = `
  select ${batchColumns} from batches where session_id = $1 order by batches.created_at desc, batches.id desc limit 1`

const insertion = (parameter: number) => `
  insert into tasks (id, session_id, batch_id, position, title, description, status, priority, due_date, completed_at,
                     created_at, updated_at)
  select id, session_id, batch_id, position, title, description, status, priority, due_date,
         case when status = 'completed' then now() end, now(), now()
  from jsonb_populate_recordset(null::tasks, $${parameter}::jsonb)
  returning ${taskColumns}`
const insertTask = insertion(1)
const insertBatch = `
  with new_batch as (insert into batches (id, session_id, reason) values ($1, $2, $3) returning id) ${insertion(4)}`

const now = `greatest(now(), (target.new).updated_at + interval '1 millisecond')`
const update = (patch: string, chosen: string) => `
  target as (
    select tasks.id, jsonb_populate_record(tasks, ${patch}) as new, ${patch} <> '{}' as changed
    from tasks where ${chosen} order by tasks.id for update
  )
  update tasks
  set title = (target.new).title, description = (target.new).description, status = (target.new).status,
      priority = (target.new).priority, due_date = (target.new).due_date,
      completed_at = case when (target.new).status = 'completed' then coalesce((target.new).completed_at, ${now}) end,
      updated_at = case when target.changed then ${now} else (target.new).updated_at end
  from target where tasks.id = target.id
  returning ${taskColumns}`
const updateOne = `with ${update('$2::jsonb', 'tasks.id = $1')}`
const updateMany = `with given as (select $1::jsonb as patches), ${update(
  '(select patches from given) -> tasks.id::text',
  'tasks.id = any(array(select jsonb_object_keys(patches)::uuid from given))',
)}`

const LIMIT = 10

async function page(statement: string, filters: string[]) {
  const [found] = await run(statement, [...filters, LIMIT, 0])
  const total = found!.total as number
  const total_pages = Math.ceil(total / LIMIT)
  return {
    items: found!.items,
    total,
    page: 1,
    limit: LIMIT,
    total_pages,
    has_next: total_pages > 1,
    has_prev: false,
  }
}

async function createTask(task: object) {
  const row = { status: 'pending', ...task, id: newId(), position: 0 }
  const [created] = await run(insertTask, [JSON.stringify([row])])
  return created
}

async function updateTask(id: string, changes: object) {
  const [updated] = await run(updateOne, [id, JSON.stringify(changes)])
  return updated
}

async function bulkUpdate({ tasks }: Body) {
  const patches: Record<string, object> = {}
  for (const { id, ...changes } of tasks) patches[id] = changes
  const byId = new Map<string, Row>()
  for (const row of await run(updateMany, [JSON.stringify(patches)])) byId.set(row.id, row)
  const updated: Row[] = []
  const not_found: string[] = []
  for (const { id } of tasks) {
    const row = byId.get(id)
    if (row === undefined) not_found.push(id)
    else updated.push(row)
  }
  return { updated, not_found }
}

async function createBatch({ session_id, reason, tasks }: Body) {
  const id = newId()
  const rows: object[] = []
  for (const task of tasks) {
    rows.push({ status: 'pending', ...task, id: newId(), position: rows.length, session_id, batch_id: id })
  }
  const created = await run(insertBatch, [id, session_id, reason, JSON.stringify(rows)])
  return { id, session_id, reason, created_at: created[0]!.created_at, tasks: created }
}

const TASKS = '/api/v1/tasks'
const BATCHES = '/api/v1/batches'

/** The response body, or undefined for an unknown call. */
async function handle(request: IncomingMessage): Promise<unknown> {
  const { method, url } = request as { method: string; url: string }
  const mark = url.indexOf('?')
  const path = mark === -1 ? url : url.slice(0, mark)
  if (method === 'GET') {
    const query = new URLSearchParams(mark === -1 ? '' : url.slice(mark))
    const session = query.get('session_id')
    const status = query.get('status')
    if (path === TASKS) {
      if (session === null) return page(selectAll, [])
      return status === null ? page(selectSession, [session]) : page(selectSessionByStatus, [status, session])
    }
    if (path === `${BATCHES}/latest`) return (await run(selectLatest, [session]))[0] ?? null
    const id = path.slice(path.lastIndexOf('/') + 1)
    return (await run(path.startsWith(TASKS) ? selectTask : selectBatch, [id]))[0]
  }
  const body = await bodyOf(request)
  if (method === 'POST') return path === TASKS ? createTask(body) : createBatch(body)
  if (path === `${TASKS}/bulk`) return bulkUpdate(body)
  return updateTask(path.slice(path.lastIndexOf('/') + 1), body)
}

function bodyOf(request: IncomingMessage): Promise<Body> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('error', reject)
    request.on('end', () =>
      resolve(JSON.parse((chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString())),
    )
  })
}

createServer((request, response) => {
  handle(request).then(
    (value) => {
      const json = JSON.stringify(value)
      response.writeHead(request.method === 'POST' ? 201 : 200, {
        'content-type': 'application/json; charset=utf-8',
        'content-length': Buffer.byteLength(json),
      })
      response.end(json)
    },
    (error) => {
      response.writeHead(500).end(String(error))
    },
  )
}).listen(Number(process.env.PORT), '127.0.0.1')
