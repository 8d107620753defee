/** JSON objects of any shape, whose size and content are limited. */
import { Type } from '@sinclair/typebox'

/** Limits of a free-form object. */
export interface FreeForm {
  /** Most bytes as compact JSON in UTF-8, where numbers are written without an exponent. */
  maxBytes: number
  /** Most characters of a name, at every level. */
  maxNameLength: number
}

/** The keyword in schemas, which the OpenAPI document keeps: a model reads the limits there. */
export const FREE_FORM = 'x-free-form'

/** Most levels of a value: PostgreSQL reads and merges JSON recursively. */
const MAX_DEPTH = 32

/** An object with any members. */
export const FreeFormObject = (
  limits: FreeForm,
  description: string,
  example: object,
  options: object = {},
) =>
  Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    [FREE_FORM]: limits,
    description,
    examples: [example],
    ...options,
  })

/** Why an object cannot be stored as it is, as the end of a sentence that begins with its place; undefined if it can. */
export function freeFormMistake(limits: FreeForm, value: unknown): string | undefined {
  const mistake = mistakeIn(value, limits, 1)
  if (mistake !== undefined) return mistake
  const bytes = storedBytes(JSON.stringify(value))
  if (bytes > limits.maxBytes) return `must have at most ${limits.maxBytes} bytes as JSON, has ${bytes}`
  return undefined
}

function mistakeIn(value: unknown, limits: FreeForm, depth: number): string | undefined {
  if (typeof value === 'string') return isStorable(value) ? undefined : TEXT
  if (typeof value === 'number') return isExact(value) ? undefined : NUMBER
  if (typeof value !== 'object' || value === null) return undefined
  if (depth > MAX_DEPTH) return `must have at most ${MAX_DEPTH} levels`
  for (const [name, member] of Object.entries(value)) {
    if (!Array.isArray(value)) {
      if (name.length > limits.maxNameLength)
        return `must have names of at most ${limits.maxNameLength} characters`
      if (!isStorable(name)) return TEXT
    }
    const mistake = mistakeIn(member, limits, depth + 1)
    if (mistake !== undefined) return mistake
  }
  return undefined
}

const isStorable = (text: string) => text.isWellFormed() && !text.includes('\0')
const TEXT = 'must not contain NUL characters or unpaired surrogates'

/** The bytes of compact JSON as PostgreSQL keeps it: 1.5e-90 has 93 there, because it writes numbers without an exponent. */
function storedBytes(json: string): number {
  let bytes = Buffer.byteLength(json)
  if (!/\de-\d/.test(json)) return bytes
  for (const [number, fraction = '', exponent] of json.replace(TEXTS, '').matchAll(SMALL_NUMBERS))
    bytes += '0.'.length + Number(exponent) + fraction.length - number.length
  return bytes
}
const TEXTS = /"(?:[^"\\]|\\.)*"/g
const SMALL_NUMBERS = /\d(?:\.(\d+))?e-(\d+)/g

/** JSON.parse has rounded larger integers, and made Infinity of what is beyond a double. PostgreSQL writes out all digits. */
const isExact = (value: number) =>
  Math.abs(value) <= Number.MAX_SAFE_INTEGER && (value === 0 || Math.abs(value) >= 1e-100)
const NUMBER = `must have numbers between -${Number.MAX_SAFE_INTEGER} and ${Number.MAX_SAFE_INTEGER}. Write other numbers as strings`
