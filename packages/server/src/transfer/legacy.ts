/**
 * Reads the database of the Python service that this one replaces: the tables task_batches and tasks, as SQLAlchemy and
 * Alembic created them. Rows are read as JSON, so it does not matter whether ids are uuid or text, timestamps have a time
 * zone, and statuses are an enum or text.
 */

import { within } from '../db/database.js'
import { connect, type PostgresError, type Sql } from '../db/driver.js'
import { locationOf } from '../db/postgres.js'
import type { Source } from './copy.js'
import type { GivenRow } from './rows.js'

const PAGE = 500

/** The database cannot be read as that of the Python service; the message says why, in one line. */
class LegacyError extends Error {}

export const isPostgres = (url: string) => /^postgres(ql)?(\+\w+)?:\/\//.test(url)

/**
 * Opens it for reading a snapshot. Throws {@link LegacyError}.
 *
 * @param url The URL of SQLAlchemy, `postgresql+asyncpg://user:password@host/database`, with or without the driver.
 * @param timeout How many milliseconds to wait for it, at the start.
 */
export async function openLegacy(
  url: string,
  timeout: number,
): Promise<Source & { close: () => Promise<void> }> {
  const target = url.replace(/^postgres(ql)?(\+\w+)?:/, 'postgres:')
  const client = openClient(target)
  const close = () => client.end({ timeout: 0 })
  try {
    // There is one connection, so all statements run in this transaction.
    await within(timeout, client`begin isolation level repeatable read, read only`)
    const [total] = await client<[Source['total']]>`
      select (select count(*)::int from task_batches) as batches, (select count(*)::int from tasks) as tasks`
    return { total, rows: readRows(client), close }
  } catch (error) {
    await close()
    const { code, message } = error as PostgresError
    const reason =
      code === '42P01' ? 'it lacks the tables task_batches and tasks of the Python service' : message || code
    throw new LegacyError(`cannot read ${locationOf(target)}: ${reason}`)
  }
}

function openClient(url: string) {
  try {
    // With a / in the password, what comes before it would be read as host and port, and named in errors.
    if (/^postgres:\/\/[^@/?]*(?:\?.*|\/[^?]*)@/.test(url)) throw new Error()
    return connect(url, {
      max: 1,
      connect_timeout: 5,
      fetch_types: false,
      onnotice: () => {},
      // The transaction is idle while rows are written. Timestamps with a time zone are returned in this one.
      connection: {
        application_name: 'aklp-task-server',
        idle_in_transaction_session_timeout: '0' as unknown as number,
        TimeZone: 'UTC',
      },
    })
  } catch {
    throw new LegacyError(
      'the URL to import from is malformed. In user and password, write %23 for #, %25 for %, %2F for / and %3F for ?.',
    )
  }
}

async function* readRows(client: Sql): Source['rows'] {
  const batches = readPages<{ row: GivenRow }>(client, 'select row_to_json(b) as row from task_batches b')
  for await (const { row } of batches) yield { table: 'batches', row: toBatch(row) }
  // The service stored no order of a batch: tasks are in the order of their creation. If all have the time of their
  // transaction, they are in the order of their places in the table. A changed task moved to another place: those come
  // first, the earliest change first, since a plan is worked through from its beginning.
  const tasks = readPages<{ row: GivenRow; position: number; has_batch: boolean }>(
    client,
    `select row_to_json(t) as row, b.id is not null as has_batch,
            (row_number() over (partition by t.batch_id
                                order by t.created_at, t.xmin = b.xmin, age(t.xmin) desc, t.ctid) - 1)::int as position
     from tasks t left join task_batches b on b.id::text = t.batch_id::text`,
  )
  for await (const { row, has_batch, position } of tasks) {
    const isLost = row.batch_id != null && !has_batch
    yield {
      table: 'tasks',
      row: { ...toTask(row), ...(has_batch ? { position } : { batch_id: null }) },
      repaired: isLost ? ['its batch does not exist: batch_id cleared'] : [],
    }
  }
}

/** Reads through an SQL cursor: the driver's own cursor ends without an error when its connection closes. */
async function* readPages<Row>(client: Sql, statement: string): AsyncGenerator<Row> {
  try {
    await client.unsafe(`declare page no scroll cursor for ${statement}`)
    for (let last = false; !last; ) {
      const rows = await client.unsafe<Row[] & object[]>(`fetch ${PAGE} from page`)
      last = rows.length < PAGE
      yield* rows
    }
    await client.unsafe('close page')
  } catch (error) {
    // On a new connection there is no transaction and no cursor.
    const isNewConnection = ['25P01', '34000'].includes((error as PostgresError).code)
    throw isNewConnection ? new LegacyError('the connection to the old database was closed') : error
  }
}

const toBatch = (row: GivenRow): GivenRow => ({
  id: toUuid(row.id),
  session_id: toUuid(row.session_id),
  reason: row.reason ?? null,
  created_at: toTime(row.created_at),
})

const toTask = (row: GivenRow): GivenRow => ({
  id: toUuid(row.id),
  session_id: toUuid(row.session_id),
  batch_id: toUuid(row.batch_id),
  position: 0,
  title: row.title,
  description: row.description ?? null,
  status: toLowerCase(row.status),
  priority: toLowerCase(row.priority),
  due_date: toTime(row.due_date),
  completed_at: toTime(row.completed_at),
  created_at: toTime(row.created_at),
  updated_at: toTime(row.updated_at),
})

/** SQLAlchemy stores the names of an enum’s members, which are in upper case. */
const toLowerCase = (value: unknown) => (typeof value === 'string' ? value.toLowerCase() : (value ?? null))

/** As text, a UUID may lack hyphens: SQLAlchemy stores it so on databases without the type. */
function toUuid(value: unknown): unknown {
  if (typeof value !== 'string') return value ?? null
  if (value === '') return null
  return value.toLowerCase().replace(/^(\w{8})(\w{4})(\w{4})(\w{4})(\w{12})$/, '$1-$2-$3-$4-$5')
}

/** asyncpg stores Python’s datetime.min and datetime.max as infinity. */
function toTime(value: unknown): unknown {
  if (value === 'infinity') return '9999-12-31T23:59:59.999Z'
  if (value === '-infinity') return '0001-01-01T00:00:00.000Z'
  return value ?? null
}
