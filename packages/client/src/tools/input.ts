/** Checks the input of a tool, and explains each mistake so that a model can correct it. */

/** The part of JSON Schema that the inputs of the tools use. */
export interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly enum?: readonly (string | null)[]
  readonly format?: string
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly default?: unknown
  readonly items?: JsonSchema
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean
}

/** A mistake in an input: the rule that is broken, as a phrase that begins with the place. */
export interface Mistake {
  path: (string | number)[]
  /** Only for those that are shown: an input can have thousands, and finding what a name may mean takes time. */
  describe: () => string
}

/** Most mistakes that a model is shown. */
export const MOST_SHOWN = 10

/** Words that models use for the names and values of the tools, as {@link simplify} returns them. */
const SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  name: ['title', 'key'],
  content: ['title'],
  task: ['title', 'task_id', 'tasks'],
  details: ['description'],
  dependson: ['blocked_by'],
  dependencies: ['blocked_by'],
  deps: ['blocked_by'],
  after: ['blocked_by', 'cursor'],
  goal: ['reason'],
  steps: ['tasks'],
  todos: ['tasks'],
  items: ['tasks'],
  plan: ['tasks', 'batch_id'],
  planid: ['batch_id'],
  id: ['task_id', 'key'],
  lease: ['token', 'lease_seconds'],
  leasetoken: ['token'],
  timeout: ['lease_seconds'],
  output: ['result'],
  summary: ['result', 'reason'],
  comment: ['note'],
  message: ['note'],
  retryat: ['not_before'],
  deadline: ['due_date'],
  state: ['status'],
  search: ['q'],
  query: ['q'],
  text: ['q', 'title'],
  todo: ['pending'],
  open: ['pending'],
  new: ['pending'],
  doing: ['in_progress'],
  started: ['in_progress'],
  active: ['in_progress'],
  wip: ['in_progress'],
  done: ['completed'],
  complete: ['completed'],
  finished: ['completed'],
  closed: ['completed'],
  urgent: ['high'],
  critical: ['high'],
  normal: ['medium'],
  moderate: ['medium'],
  minor: ['low'],
}

/** Without case and separators: `dueDate`, `due-date` and `DUE_DATE` are the same. */
const simplify = (word: string) => word.toLowerCase().replace(/[\s_-]/g, '')

/** The one of `candidates` that `word` probably stands for; undefined if none is near. */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  const simple = simplify(word)
  const same = candidates.find((name) => simplify(name) === simple)
  if (same || simple.length > 40) return same
  const meant = Object.hasOwn(SYNONYMS, simple) ? SYNONYMS[simple]! : []
  const synonym = meant.find((name) => candidates.includes(name))
  if (synonym) return synonym
  const near = candidates
    .map((name) => ({ name, edits: editsBetween(simple, simplify(name)) }))
    .sort((a, b) => a.edits - b.edits)[0]
  return near && near.edits <= (simple.length < 3 ? 0 : simple.length < 5 ? 1 : 2) ? near.name : undefined
}

function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + Number(a[i - 1] !== b[j - 1]))
    row = next
  }
  return row[b.length]!
}

/** Finds the mistakes of a value: of each object all, of each other value one. */
export function check(schema: JsonSchema, value: unknown, path: Mistake['path'] = []): Mistake[] {
  const at = (phrase: () => string): Mistake[] => [{ path, describe: () => `${placeOf(path)} ${phrase()}` }]
  const types = [schema.type ?? []].flat()
  if (schema.enum) {
    const values = schema.enum.filter((allowed) => allowed !== null)
    if (schema.enum.includes(value as string)) return []
    return at(() => {
      const meant = typeof value === 'string' ? suggest(value, values) : undefined
      return `must be ${list(values)}, not ${shown(value)}${meant ? ` (did you mean ${meant}?)` : ''}`
    })
  }
  const type = types.find((type) => isOf(type, value))
  if (type === undefined) return at(() => `must be ${list(types.map(named))}, not ${shown(value)}`)
  if (type === 'object' && schema.properties) return checkObject(schema, value as object, path)
  if (type === 'array') {
    const items = value as unknown[]
    const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema
    if (items.length < minItems || items.length > maxItems)
      return at(() => `must have ${minItems} to ${maxItems} items, not ${items.length}`)
    return items.flatMap((item, nth) => check(schema.items!, item, [...path, nth]))
  }
  if (type === 'integer' || type === 'number') {
    const { minimum, maximum } = schema
    const isIn = (value as number) >= (minimum ?? -Infinity) && (value as number) <= (maximum ?? Infinity)
    return isIn ? [] : at(() => `must be a whole number from ${minimum} to ${maximum}, not ${shown(value)}`)
  }
  return type === 'string' ? checkText(schema, value as string, at) : []
}

function checkText(schema: JsonSchema, text: string, at: (phrase: () => string) => Mistake[]): Mistake[] {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern, format } = schema
  if (format === 'uuid' && !UUID.test(text)) return at(() => `must be an id (a UUID), not ${shown(text)}`)
  const characters = [...text].length
  if (characters < minLength || characters > maxLength)
    return at(() => `must have ${minLength} to ${maxLength} characters, not ${characters}`)
  if (pattern && !new RegExp(pattern).test(text)) return at(() => 'must not be only whitespace')
  return []
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function checkObject(
  { properties = {}, required = [] }: JsonSchema,
  value: object,
  path: Mistake['path'],
): Mistake[] {
  const names = Object.keys(properties)
  const unknown = Object.keys(value).filter((name) => !Object.hasOwn(properties, name))
  const missing = required.filter((name) => !Object.hasOwn(value, name))
  return [
    ...unknown.map((name) => ({
      path: [...path, name],
      describe: () => {
        const meant = suggest(name, names)
        const hint = meant ? ` (did you mean ${meant}?)` : ''
        return `${placeOf([...path, name])} is unknown${hint}, allowed: ${names.join(', ') || 'nothing'}`
      },
    })),
    ...missing.map((name) => ({
      path: [...path, name],
      describe: () => `${placeOf([...path, name])} is required`,
    })),
    ...Object.entries(value).flatMap(([name, inner]) => {
      const schema = Object.hasOwn(properties, name) ? properties[name]! : undefined
      return schema ? check(schema, inner, [...path, name]) : []
    }),
  ]
}

/**
 * Removes null from optional fields that cannot be null: models fill in what they leave out. Returns a copy if there is one.
 */
export function withoutNulls<T>(schema: JsonSchema, value: T): T {
  if (Array.isArray(value))
    return schema.items ? (value.map((item) => withoutNulls(schema.items!, item)) as T) : value
  const { properties, required = [] } = schema
  if (!properties || typeof value !== 'object' || value === null) return value
  const isKept = ([name, inner]: [string, unknown]) =>
    inner !== undefined &&
    (inner !== null ||
      required.includes(name) ||
      !Object.hasOwn(properties, name) ||
      check(properties[name]!, null).length === 0)
  return Object.fromEntries(
    Object.entries(value)
      .filter(isKept)
      .map(([name, inner]) => [
        name,
        Object.hasOwn(properties, name) ? withoutNulls(properties[name]!, inner) : inner,
      ]),
  ) as T
}

const isOf = (type: string, value: unknown): boolean => {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  return typeof value === type
}

const named = (type: string) =>
  ({
    integer: 'a whole number',
    boolean: 'true or false',
    array: 'a list',
    object: 'an object',
    string: 'a text',
  })[type] ?? type

/** `tasks[3].title` for its path. */
const placeOf = (path: Mistake['path']) =>
  path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${shortened(part, 40)}`))
    .join('')
    .replace(/^\./, '') || 'the input'

const list = (values: readonly string[]) => values.join(', ').replace(/, ([^,]*)$/, ' or $1')

const shown = (value: unknown) => shortened(JSON.stringify(value) ?? String(value), 60)

const shortened = (text: string, most: number) => (text.length > most ? `${text.slice(0, most)}…` : text)
