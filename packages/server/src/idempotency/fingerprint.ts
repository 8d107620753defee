/**
 * Fingerprints of requests that create: requests that mean the same have the same fingerprint, also when another version of
 * the service, with fields that this one does not have, made it.
 */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { TSchema } from '@sinclair/typebox'
import { toTimestamp } from '../http/timestamp.js'

type Normalize = (value: unknown) => unknown

/** How texts of these formats are written, where the same value can be written in several ways. */
const byFormat: Record<string, (text: string) => unknown> = {
  uuid: (text) => text.toLowerCase(),
  'date-time': toTimestamp,
}

/**
 * Returns a function that normalizes a valid body: fields in the order of their names, without those that are null or have
 * their default, since an omitted field means the same.
 *
 * @param find Returns a named component.
 */
export function normalizer(schema: TSchema, find: (id: string) => unknown): Normalize {
  if (schema.$ref !== undefined) return normalizer(find(schema.$ref) as TSchema, find)
  if (schema.items !== undefined) {
    const item = normalizer(schema.items, find)
    return (items) => (items as unknown[]).map(item)
  }
  if (schema.properties === undefined) {
    const write = byFormat[schema.format]
    return (value) => write?.(value as string) ?? value
  }
  const fields = Object.entries<TSchema>(schema.properties)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => ({ name, initial: field.default, normalize: normalizer(field, find) }))
  return (body) => {
    const normalized: Record<string, unknown> = {}
    for (const { name, initial, normalize } of fields) {
      const value = (body as Record<string, unknown>)[name]
      if (value != null && !isDeepStrictEqual(value, initial)) normalized[name] = normalize(value)
    }
    return normalized
  }
}

const VERSION = '2:'

/** @param operation The method and route of the request. */
export const fingerprintOf = (operation: string, normalized: unknown) =>
  VERSION + digest(operation, JSON.stringify(normalized))

/** Whether a fingerprint is one of {@link formerFingerprintOf}. */
export const isFormer = (fingerprint: string) => !fingerprint.startsWith(VERSION)

/** The fingerprint of version 0.1 of the service, which is stored with keys for up to a year. */
export const formerFingerprintOf = (operation: string, body: unknown) =>
  digest(operation, JSON.stringify(body, inOrder))

const inOrder = (_name: string, value: unknown) =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value

const digest = (operation: string, text: string) =>
  createHash('sha256').update(`${operation}\n${text}`).digest('base64')
