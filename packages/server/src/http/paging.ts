/** Pagination: the parameters, schema and JSON of a page. */
import { type TObject, type TSchema, Type } from '@sinclair/typebox'
import { type Json, jsonObject, toJson } from '../db/json.js'
import type { Caller } from './caller.js'
import { fromCursor, type Position, toCursor } from './cursor.js'
import { validationError } from './problem.js'
import { Defaulted, ListOf, ref } from './schemas.js'
import type { Synonyms } from './suggest.js'

const MAX_INTEGER = 2 ** 31 - 1

/** The largest exact `total`, and the last item that `page` reaches. */
export const MAX_COUNTED = 10_000

/** The parameters of every list. */
export const pageParameters = {
  page: Defaulted(
    Type.Integer({
      minimum: 1,
      maximum: MAX_INTEGER,
      default: 1,
      description: `The page to return, from 1. \`page\` × \`limit\` can be up to ${MAX_COUNTED}; use \`cursor\` to go further. A page after the last one has no items, but has the \`total\`.`,
    }),
  ),
  limit: Defaulted(
    Type.Integer({
      minimum: 1,
      maximum: 100,
      default: 10,
      description: 'The maximum number of items per page, from 1 to 100.',
    }),
  ),
  cursor: Type.Optional(
    Type.String({
      maxLength: 500,
      description:
        'The `next_cursor` of the page before, sent with the same filters and sort: returns the items that follow. Unlike with `page`, no item is skipped or repeated when others are created, changed or deleted meanwhile.',
    }),
  ),
}

/** The parameter for the fields of the items, such as these: `id` is always among them. */
export const fieldsParameter = <T extends string>(names: readonly T[], some: readonly T[]) =>
  Type.Optional(
    ListOf(names, {
      description: `The fields to return of each item, separated by commas, such as \`${some}\`; \`id\` is always included. By default all. Ask only for what you need: responses get much smaller.`,
    }),
  )

/** Other words for these parameters. */
export const pageSynonyms: Synonyms = {
  perpage: ['limit'],
  pagesize: ['limit'],
  size: ['limit'],
  count: ['limit'],
  after: ['cursor'],
  nextcursor: ['cursor'],
  pagetoken: ['cursor'],
  select: ['fields'],
  columns: ['fields'],
  include: ['fields'],
}

const position = {
  total: Type.Integer({
    minimum: 0,
    maximum: MAX_COUNTED,
    description: `The number of items on all pages, up to ${MAX_COUNTED}.`,
    examples: [4],
  }),
  total_is_exact: Type.Boolean({
    description: `Whether there are exactly \`total\` items; false if there are more than ${MAX_COUNTED}.`,
    examples: [true],
  }),
  page: Type.Integer({ minimum: 1, description: 'The requested page.', examples: [1] }),
  limit: Type.Integer({
    minimum: 1,
    description: 'The requested maximum number of items per page.',
    examples: [10],
  }),
  total_pages: Type.Integer({
    minimum: 0,
    description: 'The number of pages for `total` items; 0 if there are no items.',
    examples: [1],
  }),
  has_next: Type.Boolean({ description: 'Whether there is a next page with items.', examples: [false] }),
  has_prev: Type.Boolean({
    description: 'Whether there is a previous page: this is not page 1, or `cursor` was sent.',
    examples: [false],
  }),
  next_cursor: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    description: 'Send it as `cursor` to get the items that follow; null if there are none.',
    examples: [null],
  }),
}

/** A named page of a named component. */
export const PageOf = <T extends TSchema>(item: T) =>
  Type.Object(
    {
      items: Type.Array(ref(item), { description: 'The items of this page, in the requested order.' }),
      ...position,
    },
    {
      $id: `${item.$id}Page`,
      description: `One page of a list of ${item.$id} items, with its position in the list.`,
    },
  )

/** Some fields of a component, of which `id` is always there. */
export const SomeFieldsOf = (item: TObject) => {
  const { id, ...others } = item.properties
  const fields = Object.entries(others).map(([name, field]) => [name, Type.Optional(field)])
  return Type.Object({ id: id!, ...Object.fromEntries(fields) })
}

/** A named page of items that have some fields of a component. */
export const FieldsPageOf = (item: TObject) =>
  Type.Object(
    {
      items: Type.Array(SomeFieldsOf(item), {
        description: `The items of this page, in the requested order, with the fields of ${item.$id} that \`fields\` names.`,
      }),
      ...position,
    },
    { $id: `${item.$id}FieldsPage`, description: `A ${item.$id}Page when \`fields\` is sent.` },
  )

/** What a list was asked for. */
export interface ListQuery {
  page: number
  limit: number
  cursor?: string
  fields?: string[]
}

/** What identifies the list that a cursor belongs to: the caller, the filters and the sort. */
const listOf = (caller: Caller, { page, limit, cursor, fields, ...list }: ListQuery) => [
  caller.name,
  // In one order: that of the parameters in the URL makes no difference.
  Object.entries(list).sort(([a], [b]) => (a < b ? -1 : 1)),
]

/**
 * Where the page begins. Throws a validation error if that is too deep, or the cursor is not one of this list.
 *
 * @param isKey Whether a text can be a sort key of the list.
 */
export function positionOf(
  caller: Caller,
  query: ListQuery,
  isKey: (key: string | null) => boolean,
): Position | undefined {
  const { page, limit, cursor } = query
  if (cursor === undefined) {
    if (page * limit > MAX_COUNTED) throw validationError([TOO_DEEP])
    return undefined
  }
  if (page > 1) throw validationError([BOTH])
  const position = fromCursor(cursor, listOf(caller, query))
  if (position === undefined || !isKey(position.key)) throw validationError([UNKNOWN_CURSOR])
  return position
}

const TOO_DEEP = {
  in: 'query' as const,
  path: 'page',
  message: `must not reach beyond item ${MAX_COUNTED}. To go further, start at page 1 and send the next_cursor of each response as cursor`,
}
const BOTH = {
  in: 'query' as const,
  path: 'page',
  message: 'must be 1 with a cursor. Remove page',
}
const UNKNOWN_CURSOR = {
  in: 'query' as const,
  path: 'cursor',
  message:
    'must be the next_cursor of a response to the same filters and sort, unchanged. Start again without cursor',
}

interface Page<T> {
  items: T[]
  total: number
  total_is_exact: boolean
  page: number
  limit: number
  total_pages: number
  has_next: boolean
  has_prev: boolean
  next_cursor: string | null
}

/** The items that a list has found. */
export interface Found<T> {
  items: Json<T[]>
  /** How many there are in all; more than {@link MAX_COUNTED} are not counted. */
  total: number
  /** The last item of the page, if others follow. */
  last: Position | undefined
}

/** The page of the given items. */
export function pageOf<T>({ items, total, last }: Found<T>, caller: Caller, query: ListQuery): Json<Page<T>> {
  const { page, limit, cursor } = query
  const counted = Math.min(total, MAX_COUNTED)
  return jsonObject<Page<T>>({
    items,
    total: toJson(counted),
    total_is_exact: toJson(total <= MAX_COUNTED),
    page: toJson(page),
    limit: toJson(limit),
    total_pages: toJson(Math.ceil(counted / limit)),
    has_next: toJson(last !== undefined),
    has_prev: toJson(page > 1 || cursor !== undefined),
    next_cursor: toJson(last === undefined ? null : toCursor(last, listOf(caller, query))),
  })
}
