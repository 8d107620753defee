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
  const simplified = candidates.map(simplify)
  const same = simplified.indexOf(simple)
  if (same !== -1) return candidates[same]

  const meant = Object.hasOwn(synonyms, simple) ? synonyms[simple]! : []
  const synonym = meant.find((name) => candidates.includes(name))
  if (synonym !== undefined) return synonym

  // Two swapped letters count as two edits.
  const allowed = simple.length < 3 ? 0 : simple.length < 5 ? 1 : 2
  let nearest: string | undefined
  let fewest = allowed + 1
  for (const [nth, other] of simplified.entries()) {
    // So many letters must be added or removed. Comparing them takes much longer.
    if (Math.abs(other.length - simple.length) >= fewest) continue
    const edits = distance(simple, other)
    if (edits < fewest) [nearest, fewest] = [candidates[nth], edits]
  }
  return nearest
}
