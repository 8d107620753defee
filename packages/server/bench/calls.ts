/** The calls that are measured, each as the requests that a load goes through in turn. */
import { description, reason, type Session, statusAt, TASKS_PER_BATCH, title } from './data.js'

export interface Request {
  method: string
  path: string
  body?: object
}

export interface Call {
  name: string
  /** Whether it is about one session, batch or task, and so should not grow with the database. */
  bound: boolean
  /** Whether it leaves rows behind, dead or alive. */
  writes: boolean
  /** The request for a session; `turn` says which of its batches and tasks. */
  request(session: Session, turn: number): Request
}

const pick = <T>(items: T[], turn: number) => items[turn % items.length]!

/** A change that leaves the status as the fill made it: the lists by status stay as long as they were. */
const change = ({ tasks }: Session, turn: number) => ({
  id: pick(tasks, turn),
  status: statusAt(turn % tasks.length),
  description: `${description} (${turn})`,
})

const newTask = (position: number) => ({ title: title(position), description, priority: 'high' })

const read = (name: string, path: (session: Session, turn: number) => string, bound = true): Call => ({
  name,
  bound,
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
  bound: true,
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
    (session, turn) => ({ tasks: Array.from({ length: 20 }, (_, nth) => change(session, turn + nth)) }),
  ),
  write(
    'create batch of 10',
    'POST',
    () => '/batches',
    ({ id }) => ({
      session_id: id,
      reason: `${reason} (2)`,
      tasks: Array.from({ length: TASKS_PER_BATCH }, (_, position) => newTask(position)),
    }),
  ),
  listAll,
]

/** Enough requests that none repeats soon: every session once, each at another of its tasks. */
export const requestsOf = (call: Call, sessions: Session[]): Request[] =>
  sessions.map((session, turn) => call.request(session, turn * 7))
