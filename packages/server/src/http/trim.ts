/** Bounds what the validation has to report: a body of 1 MiB can be wrong in half a million places. */
import type { TSchema } from '@sinclair/typebox'

/** The named components. */
export type Components = Map<string | undefined, TSchema>

/** The unknown fields of objects that have too many: how many were passed on to the validation, and how many were not. */
export interface Unknown {
  kept: number
  omitted: number
}
const MOST_KEPT = 20

/** How many items the arrays had that were trimmed. */
const givenLengths = new WeakMap<object, number>()

/** How many items an array had before it was trimmed. */
export const givenLength = (items: unknown[]) => givenLengths.get(items) ?? items.length

/**
 * Returns a function that removes most of the items and unknown fields that are too many, so that a value cannot have more
 * errors than the validation reports in a few milliseconds. What is left is invalid, too. Undefined if nothing can be too many.
 */
export function createTrim(
  schema: TSchema,
  components: Components,
): ((value: unknown, unknown: Unknown) => unknown) | undefined {
  if (schema.$ref) return createTrim(components.get(schema.$ref)!, components)
  if (schema.items) {
    const trimItem = createTrim(schema.items, components)
    const { maxItems = Number.POSITIVE_INFINITY } = schema
    return (value, unknown) => {
      if (!Array.isArray(value)) return value
      const items = value.length > maxItems ? value.slice(0, maxItems + 1) : value
      if (items !== value) givenLengths.set(items, value.length)
      if (trimItem) for (let nth = 0; nth < items.length; nth++) items[nth] = trimItem(items[nth], unknown)
      return items
    }
  }
  if (!schema.properties) return undefined
  const known = Object.keys(schema.properties)
  const parts = known.flatMap((name) => {
    const trim = createTrim(schema.properties[name], components)
    return trim ? [{ name, trim }] : []
  })
  return (value, unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    let fields = value as Record<string, unknown>
    const names = Object.keys(fields)
    if (names.length > known.length && schema.additionalProperties === false) {
      const trimmed = Object.create(null)
      for (const name of names) {
        if (known.includes(name)) trimmed[name] = fields[name]
        else if (unknown.kept++ < MOST_KEPT) trimmed[name] = fields[name]
        else unknown.omitted++
      }
      fields = trimmed
    }
    for (const { name, trim } of parts) {
      if (fields[name] !== undefined) fields[name] = trim(fields[name], unknown)
    }
    return fields
  }
}
