/** Rules between tasks that a request breaks, as errors for the caller. */
import { driverError } from '../db/failures.js'
import { ApiError, MAX_ERRORS, type OpenBlocker, type Problem, validationError } from '../http/problem.js'
import {
  DependencyCycle,
  MAX_WAITED_FOR,
  repeated,
  TooManyBlockers,
  UnknownBlockers,
} from './dependencies.js'

/** SQLSTATE of the trigger check_blockers. */
const BLOCKED = 'AK001'

/** The task that is blocked, with its open blockers, if that is the error. */
export function blockedTask(
  error: unknown,
): { id: string; title: string; open_blockers: OpenBlocker[] } | undefined {
  const { code, detail } = driverError(error)
  return code === BLOCKED ? JSON.parse(detail as string) : undefined
}

/** The error for the caller if a rule between tasks is broken; any other error as it is. */
export function explainRule(error: unknown, body: unknown): unknown {
  const blocked = blockedTask(error)
  if (blocked) {
    const { title, open_blockers } = blocked
    const names = open_blockers.map(({ title }) => `\`${title}\``)
    const tasks = names.length === 1 ? '1 task that is' : `${names.length} tasks that are`
    const detail = `\`${title}\` waits for ${tasks} not completed: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}. This request had no effect. Complete the tasks in \`open_blockers\` first, or remove them from \`blocked_by\`.`
    return new ApiError('task_blocked', detail, {}, { open_blockers })
  }
  if (error instanceof DependencyCycle) {
    const detail = `These tasks would block each other, so none could begin: ${spell(error.circle)}, where each is blocked by the next. Nothing was changed. Remove one of them from \`blocked_by\`.`
    return new ApiError('dependency_cycle', detail)
  }
  if (error instanceof UnknownBlockers) return validationError(unknownBlockers(error.ids, body as Body))
  if (error instanceof TooManyBlockers)
    return validationError([{ in: 'body', path: pathOf('blocked_by', body as Body), message: TOO_MANY }])
  const { code, constraint_name, constraint } = driverError(error)
  if (code === '23514' && (constraint_name ?? constraint) === 'tasks_metadata_size')
    return validationError([{ in: 'body', path: pathOf('metadata', body as Body), message: TOO_LARGE }])
  return error
}

const TOO_LARGE =
  'must have at most 8192 bytes as JSON together with what is stored. Remove members with null'

const TOO_MANY = `must not wait, directly or through others, for more than ${MAX_WAITED_FOR} tasks that wait themselves`

/** Most names of a circle that a text spells out. */
const MAX_SPELLED = 20

const spell = (circle: readonly string[]) =>
  (circle.length > MAX_SPELLED ? [...circle.slice(0, MAX_SPELLED - 2), '…', circle.at(-1)] : circle).join(
    ' → ',
  )

interface Part {
  blocked_by?: string[]
  metadata?: unknown
}
type Body = Part & { tasks?: Part[]; done?: Part }

/** The tasks in a body, each with the beginning of its paths. */
const parts = (body: Body): [path: string, part: Part][] => {
  if (body.tasks) return body.tasks.map((part, nth) => [`tasks[${nth}].`, part])
  return [body.done ? ['done.', body.done] : ['', body]]
}

/** Rejects a body whose `blocked_by` names a task twice. */
export function rejectRepeated(body: Body) {
  const errors = parts(body).flatMap(([path, { blocked_by }]) => repeated(blocked_by, path))
  if (errors.length > 0) throw validationError(errors.slice(0, MAX_ERRORS), errors.length)
}

function unknownBlockers(ids: readonly string[], body: Body): NonNullable<Problem['errors']> {
  const unknown = new Set(ids)
  return parts(body)
    .flatMap(([path, { blocked_by = [] }]) =>
      blocked_by.flatMap((id, place) =>
        unknown.has(id.toLowerCase()) ? [`${path}blocked_by[${place}]`] : [],
      ),
    )
    .slice(0, MAX_ERRORS)
    .map((path) => ({ in: 'body', path, message: 'must be the id of another task of the same session' }))
}

/** The first place in a body that has the field. */
const pathOf = (field: keyof Part, body: Body) =>
  `${parts(body).find(([, part]) => part[field])?.[0] ?? ''}${field}`
