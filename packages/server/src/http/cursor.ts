/** Cursors: where a walk through a list goes on. They hold the sort key and the id of an item that the caller has seen. */
import { hash } from 'node:crypto'
import { UUID } from './formats.js'

/** A place in a list: after the item with this sort key and id. */
export interface Position {
  /** The sort key as text; null if the item has none. */
  key: string | null
  id: string
}

/** @param list What identifies the list: the caller, filters and sort. A cursor is valid only for that one. */
export function toCursor({ key, id }: Position, list: unknown): string {
  return Buffer.from(JSON.stringify([digest(key, id, list), key, id])).toString('base64url')
}

/** The position in a list that a cursor stands for; undefined if it was changed, or made for another list. */
export function fromCursor(cursor: string, list: unknown): Position | undefined {
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
  if (!Array.isArray(parts) || parts.length !== 3) return undefined
  const [checksum, key, id] = parts
  if ((typeof key !== 'string' && key !== null) || typeof id !== 'string' || !UUID.test(id)) return undefined
  return checksum === digest(key, id, list) ? { key, id } : undefined
}

/** Detects mistakes, and is no protection: with a forged cursor, a caller still sees only what its filters find. */
const digest = (...parts: unknown[]) => hash('sha256', JSON.stringify(parts), 'base64url').slice(0, 16)
