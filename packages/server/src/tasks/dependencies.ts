/** What blocks a task: the keys of a plan, checks of the tasks that are named, and circles. */
import { type Placeholder, type SQL, sql } from 'drizzle-orm'
import type { StoreDb } from '../db/database.js'
import { isOwn, type Visible, visibleTo } from '../db/sql.js'
import { qb, statement } from '../db/statement.js'
import { tasks } from '../db/tables.js'
import type { Caller } from '../http/caller.js'
import { UUID } from '../http/formats.js'
import { MAX_ERRORS, type Problem, validationError } from '../http/problem.js'
import { suggest } from '../http/suggest.js'
import type { TaskPlan } from './schemas.js'

/** Tasks in `blocked_by` that do not exist in the session of the task, or are the task itself. */
export class UnknownBlockers extends Error {
  constructor(readonly ids: readonly string[]) {
    super()
  }
}

/** A change would make tasks block each other. Names them in a circle: each is blocked by the next. */
export class DependencyCycle extends Error {
  constructor(readonly circle: readonly string[]) {
    super()
  }
}

/** A change would make a task wait, directly or through others, for more tasks than {@link MAX_WAITED_FOR}. */
export class TooManyBlockers extends Error {}

/** Most tasks with blockers of their own that a change of `blocked_by` looks at, to find circles. */
export const MAX_WAITED_FOR = 5000

/** Most keys that one error lists. */
const MAX_LISTED = 50

type FieldErrors = NonNullable<Problem['errors']>

/** Collects errors in a body. Only those that a response has are described: finding what a name may mean takes time. */
class Mistakes {
  readonly #errors: FieldErrors = []
  #count = 0

  add(describe: () => Omit<FieldErrors[number], 'in'>) {
    if (++this.#count <= MAX_ERRORS) this.#errors.push({ in: 'body', ...describe() })
  }

  throwIfAny() {
    if (this.#count > 0) throw validationError(this.#errors, this.#count)
  }
}

/**
 * The blockers of each task of a plan by id. Throws if a key is used twice, a blocker is neither a key nor an id, or tasks
 * block each other. Ids of other tasks are not checked: see {@link assertDependencies}.
 *
 * @param plan The new tasks.
 * @param ids Their ids.
 * @param existing The ids of tasks that are in the batch already, by key.
 */
export function resolveBlockers(
  plan: readonly TaskPlan[],
  ids: readonly string[],
  existing: ReadonlyMap<string, string> = new Map(),
): string[][] {
  const mistakes = new Mistakes()
  const byKey = new Map(existing)
  for (const [nth, { key }] of plan.entries()) {
    if (key == null) continue
    if (byKey.has(key)) {
      mistakes.add(() => ({
        path: `tasks[${nth}].key`,
        message:
          'is the key of another task of the batch. Keys must be unique: change it, or omit it if no task names it in blocked_by',
      }))
    } else byKey.set(key, ids[nth]!)
  }
  const keys = [...byKey.keys()]
  const resolved = plan.map(({ key, blocked_by = [] }, nth) =>
    blocked_by.map((given, place) => {
      const id = byKey.get(given) ?? (UUID.test(given) ? given.toLowerCase() : undefined)
      if (id !== undefined && id !== ids[nth]) return id
      mistakes.add(() => ({
        path: `tasks[${nth}].blocked_by[${place}]`,
        ...(id === undefined
          ? unknownKey(
              given,
              keys.filter((other) => other !== key),
            )
          : { message: 'must not be the task itself' }),
      }))
      return given
    }),
  )
  // Before names are compared with each other: 25 000 that are unknown take long enough.
  mistakes.throwIfAny()
  for (const [nth, blockers] of resolved.entries())
    for (const error of repeated(blockers, `tasks[${nth}].`)) mistakes.add(() => error)
  mistakes.throwIfAny()
  const byId = new Map(ids.map((id, nth) => [id, nth]))
  const circle = findCircle(ids, (id) => {
    const nth = byId.get(id)
    return nth === undefined ? [] : resolved[nth]!
  })
  if (circle) throw new DependencyCycle(circle.map((id) => nameOf(plan[byId.get(id)!]!)))
  return resolved
}

/** The error of a name that is neither a key nor an id. */
function unknownKey(given: string, keys: string[]) {
  const allowed = keys.slice(0, MAX_LISTED)
  const did_you_mean = suggest(given, keys)
  const listed = allowed.length > 0 ? `Keys: ${allowed.join(', ')}` : 'No other task has a key'
  return {
    message: `must be the key of a task of this batch or the id of an existing task. ${listed}`,
    allowed,
    ...(did_you_mean !== undefined && { did_you_mean }),
  }
}

/** The errors of a list that names a task twice. */
export function repeated(blockers: readonly string[] = [], parent = ''): FieldErrors {
  const seen = new Set<string>()
  return blockers.flatMap((given, place) => {
    const id = given.toLowerCase()
    if (!seen.has(id)) {
      seen.add(id)
      return []
    }
    return [
      { in: 'body' as const, path: `${parent}blocked_by[${place}]`, message: 'must not be named twice' },
    ]
  })
}

const nameOf = ({ key, title }: { key?: string | null; title: string }) => key ?? title

/** Nodes that form a circle, the first one again at the end; undefined if there is none. Looks at each edge once. */
function findCircle(
  nodes: Iterable<string>,
  blockersOf: (node: string) => readonly string[],
): string[] | undefined {
  const finished = new Set<string>()
  for (const start of nodes) {
    // The way from the start to where the search is, with the blockers that are still to be visited. Not recursive: a plan
    // can be thousands of tasks deep.
    const way: { node: string; rest: Iterator<string> }[] = []
    const onWay = new Map<string, number>()
    const enter = (node: string) => {
      onWay.set(node, way.length)
      way.push({ node, rest: blockersOf(node)[Symbol.iterator]() })
    }
    if (!finished.has(start)) enter(start)
    while (way.length > 0) {
      const { node, rest } = way.at(-1)!
      const next = rest.next()
      if (next.done) {
        finished.add(node)
        onWay.delete(node)
        way.pop()
      } else if (onWay.has(next.value)) {
        return [...way.slice(onWay.get(next.value)).map(({ node }) => node), next.value]
      } else if (!finished.has(next.value)) enter(next.value)
    }
  }
  return undefined
}

const arrayOf = (ids: readonly string[]) => `{${ids}}`
const isOneOf = (ids: Placeholder): SQL => sql`${tasks.id} = any(${ids}::uuid[])`

const lockSessions = statement<{ ids: string } & Visible, { locked: string }>(($) => {
  const sessions = qb
    .selectDistinct({ session_id: tasks.session_id })
    .from(tasks)
    .where(sql`${isOneOf($.ids)}${$.own_sessions && sql` and ${isOwn(tasks.session_id, $.own_sessions)}`}`)
    .orderBy(tasks.session_id)
    .as('sessions')
  return qb
    .select({
      locked:
        sql<string>`pg_advisory_xact_lock(hashtextextended(coalesce(session_id::text, ''), 0))::text`.as(
          'locked',
        ),
    })
    .from(sessions)
})

/** Locks the sessions of tasks whose blockers are about to change: two changes could close a circle together. */
export const lockDependencies = async (transaction: StoreDb, caller: Caller, ids: readonly string[]) => {
  await lockSessions(transaction, { ids: arrayOf(ids), ...visibleTo(caller) })
}

/** Locks the blockers, so that none is deleted until the dependents are committed: a delete removes itself from them. */
const selectUnknown = statement<{ ids: string }, { id: string }>(($) =>
  qb.select({ id: sql<string>`wanted.id`.as('id') }).from(sql`(
      with wanted as (
        select distinct blocker as id, ${tasks.session_id} as session_id, blocker = ${tasks.id} as is_itself
        from ${tasks}, unnest(${tasks.blocked_by}) as blocker where ${isOneOf($.ids)}
      ), locked as (
        select ${tasks.id} as id, ${tasks.session_id} as session_id from ${tasks}
        where ${tasks.id} = any(array(select id from wanted)) order by ${tasks.id} for key share
      )
      select id from wanted where is_itself or not exists (
        select from locked where locked.id = wanted.id and locked.session_id is not distinct from wanted.session_id)
    ) as wanted`),
)

interface Node {
  id: string
  key: string | null
  title: string
  blocked_by: string[]
}

/**
 * The tasks and all that they wait for, as far as these have blockers: {@link MAX_WAITED_FOR} and one more at most. One at a time by its
 * id: in a join, PostgreSQL compares each with all tasks, which takes five seconds for a line of 5000.
 */
const selectGraph = statement<{ ids: string }, { nodes: string }>(($) =>
  qb.select({ nodes: sql<string>`coalesce(json_agg(node), '[]')::text`.as('nodes') }).from(sql`(
      with recursive node as (
        select id, key, title, blocked_by from ${tasks} where ${isOneOf($.ids)}
        union
        select blocker.id, blocker.key, blocker.title, blocker.blocked_by
        from node, unnest(node.blocked_by) as wanted (id), lateral (
          select * from ${tasks} where ${tasks.id} = wanted.id and ${tasks.blocked_by} <> '{}' limit 1) as blocker
      ) select * from node limit ${sql.raw(String(MAX_WAITED_FOR + 1))}) as node`),
)

/**
 * Checks the blockers of tasks that were written in this transaction. Throws {@link UnknownBlockers}, and for `mayClose`, tasks
 * that others can wait for already, {@link DependencyCycle} or {@link TooManyBlockers}.
 */
export async function assertDependencies(
  transaction: StoreDb,
  ids: readonly string[],
  { mayClose = false } = {},
): Promise<void> {
  const unknown = await selectUnknown(transaction, { ids: arrayOf(ids) })
  if (unknown.length > 0) throw new UnknownBlockers(unknown.map(({ id }) => id))
  if (!mayClose) return
  const [graph] = await selectGraph(transaction, { ids: arrayOf(ids) })
  const nodes = new Map((JSON.parse(graph!.nodes) as Node[]).map((node) => [node.id, node]))
  if (nodes.size > MAX_WAITED_FOR) throw new TooManyBlockers()
  const circle = findCircle(nodes.keys(), (id) => nodes.get(id)?.blocked_by ?? [])
  if (circle) throw new DependencyCycle(circle.map((id) => nameOf(nodes.get(id)!)))
}
