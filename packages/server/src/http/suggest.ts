/**
 * What a caller may have meant. Language models guess names: by another spelling (`dueDate`), with a typing
 * error (`titel`), or with another word for the same thing (`deadline`, `done`).
 */
import { distance } from 'fastest-levenshtein'

/** Other words for the names and values of the API. Keys are written as {@link simplify} leaves them. */
const synonyms: Record<string, string[]> = {
  // fields
  name: ['title'],
  subject: ['title'],
  summary: ['title'],
  task: ['title', 'tasks'],
  text: ['title', 'description'],
  content: ['description', 'title'],
  body: ['description'],
  detail: ['description'],
  details: ['description'],
  note: ['description'],
  notes: ['description'],
  deadline: ['due_date'],
  due: ['due_date'],
  dueat: ['due_date'],
  dueby: ['due_date'],
  state: ['status'],
  completed: ['status'],
  done: ['status', 'completed'],
  importance: ['priority'],
  urgency: ['priority'],
  session: ['session_id'],
  batch: ['batch_id'],
  why: ['reason'],
  goal: ['reason'],
  todos: ['tasks'],
  items: ['tasks'],
  updates: ['tasks'],
  taskid: ['id', 'task_id', 'ids'],
  taskids: ['ids'],
  uuid: ['id'],
  // query parameters
  perpage: ['limit'],
  pagesize: ['limit'],
  size: ['limit'],
  count: ['limit'],
  sort: ['sort_by'],
  orderby: ['sort_by'],
  direction: ['order'],
  sortorder: ['order'],
  // values
  todo: ['pending', 'tasks'],
  open: ['pending'],
  new: ['pending'],
  notstarted: ['pending'],
  planned: ['pending'],
  대기: ['pending'],
  doing: ['in_progress'],
  started: ['in_progress'],
  active: ['in_progress'],
  ongoing: ['in_progress'],
  running: ['in_progress'],
  wip: ['in_progress'],
  진행중: ['in_progress'],
  complete: ['completed'],
  finished: ['completed'],
  closed: ['completed'],
  resolved: ['completed'],
  완료: ['completed'],
  urgent: ['high'],
  critical: ['high'],
  important: ['high'],
  높음: ['high'],
  normal: ['medium'],
  moderate: ['medium'],
  보통: ['medium'],
  minor: ['low'],
  optional: ['low'],
  낮음: ['low'],
  updated: ['updated_at'],
  created: ['created_at'],
  ascending: ['asc'],
  descending: ['desc'],
}

/** The longest word worth comparing: longer than any name there is, with room for a slip. */
const LONGEST = 40

/** Without case and separators: `dueDate`, `due-date` and `DUE_DATE` are the same. */
const simplify = (word: string) => word.toLowerCase().replace(/[\s_-]/g, '')

/** The one of `candidates` that `word` probably stands for, or undefined when none is near. */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > LONGEST) return undefined
  const simple = simplify(word)
  const same = candidates.find((candidate) => simplify(candidate) === simple)
  if (same !== undefined) return same

  const meant = Object.hasOwn(synonyms, simple) ? synonyms[simple]! : []
  const synonym = meant.find((name) => candidates.includes(name))
  if (synonym !== undefined) return synonym

  const [nearest] = candidates
    .map((candidate) => ({ candidate, edits: distance(simple, simplify(candidate)) }))
    .sort((a, b) => a.edits - b.edits)
  // Two letters swapped are two edits.
  const allowed = simple.length < 3 ? 0 : simple.length < 5 ? 1 : 2
  return nearest !== undefined && nearest.edits <= allowed ? nearest.candidate : undefined
}
