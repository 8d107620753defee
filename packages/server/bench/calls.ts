/** The measured calls. Each makes the requests that a load run sends in turn. */
import { description, reason, type Session, statusAt, TASKS_PER_BATCH, title } from './data.js'

export interface Request {
  method: string
  path: string
  body?: object
  headers?: Record<string, string>
}

export interface Call {
  name: string
  /** Whether it reads or writes one session, batch or task only: its cost should not grow with the database. */
  scoped: boolean
  /** Whether it leaves rows behind, live or dead. */
  writes: boolean
  /** The request for a session; `turn` selects one of its batches and tasks. */
  request(session: Session, turn: number): Request
}

const pick = <T>(items: T[], turn: number) => items[turn % items.length]!

/** Keeps the status that `fill` set, so that the lists by status keep their length. */
const change = ({ tasks }: Session, turn: number) => ({
  id: pick(tasks, turn),
  status: statusAt(turn % tasks.length),
  description: `${description} (${turn})`,
})

const newTask = (position: number) => ({ title: title(position), description, priority: 'high' })

const read = (name: string, path: (session: Session, turn: number) => string, scoped = true): Call => ({
  name,
  scoped,
  writes: false,
  request: (session, turn) => ({ method: 'GET', path: `/api/v1${path(session, turn)}` }),
})

const write = (
  name: string,
  method: string,
  path: (session: Session, turn: number) => string,
  body: (session: Session, turn: number) => object,
): Call => ({
  name,
  scoped: true,
  writes: true,
  request: (session, turn) => ({ method, path: `/api/v1${path(session, turn)}`, body: body(session, turn) }),
})

export const getTask = read('get task', ({ tasks }, turn) => `/tasks/${pick(tasks, turn)}`)
export const listSession = read('list session', ({ id }) => `/tasks?session_id=${id}`)
export const listAll = read('list everything', () => '/tasks', false)
export const updateTask = write(
  'update task',
  'PUT',
  ({ tasks }, turn) => `/tasks/${pick(tasks, turn)}`,
  (session, turn) => {
    const { id: _, ...changes } = change(session, turn)
    return changes
  },
)

export const createBatch = write(
  'create batch of 10',
  'POST',
  () => '/batches',
  ({ id }) => ({
    session_id: id,
    reason: `${reason} (2)`,
    tasks: Array.from({ length: TASKS_PER_BATCH }, (_, position) => newTask(position)),
  }),
)

export const calls: Call[] = [
  getTask,
  listSession,
  read('list session by status', ({ id }) => `/tasks?session_id=${id}&status=pending`),
  read('latest batch of session', ({ id }) => `/batches/latest?session_id=${id}`),
  read('get batch', ({ batches }, turn) => `/batches/${pick(batches, turn)}`),
  write(
    'create task',
    'POST',
    () => '/tasks',
    ({ id }, turn) => ({ ...newTask(turn % TASKS_PER_BATCH), session_id: id }),
  ),
  updateTask,
  write(
    'bulk update of 20',
    'PUT',
    () => '/tasks/bulk',
    (session, turn) => ({ tasks: Array.from({ length: 20 }, (_, n) => change(session, turn + n)) }),
  ),
  createBatch,
  listAll,
]

/** One request for each session, each for another of its tasks, so that none repeats soon. */
export const requestsOf = (call: Call, sessions: Session[]): Request[] =>
  sessions.map((session, turn) => call.request(session, turn * 7))
