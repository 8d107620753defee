/**
 * Suggests what a caller may have meant. Language models guess names: with another spelling (`dueDate`), with a typing
 * error (`titel`), or with another word for the same thing (`deadline`, `done`).
 */
import { distance } from 'fastest-levenshtein'

/** Names or values of the API by other words for them, which are written as {@link simplify} returns them. */
export type Synonyms = Readonly<Record<string, readonly string[]>>

/** The longest word that is compared: longer than any name of the API, with room for a typing error. */
const LONGEST = 40

/** Without case and separators: `dueDate`, `due-date` and `DUE_DATE` are the same. */
const simplify = (word: string) => word.toLowerCase().replace(/[\s_-]/g, '')

/** The one of `candidates` that `word` probably stands for, or undefined when none is near. */
export function suggest(
  word: string,
  candidates: readonly string[],
  synonyms: Synonyms = {},
): string | undefined {
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
  // Two swapped letters count as two edits.
  const allowed = simple.length < 3 ? 0 : simple.length < 5 ? 1 : 2
  return nearest !== undefined && nearest.edits <= allowed ? nearest.candidate : undefined
}
