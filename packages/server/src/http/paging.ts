/** Pagination: the parameters, schema and JSON of a page. */
import { type TSchema, Type } from '@sinclair/typebox'
import { type Json, jsonObject, toJson } from '../db/json.js'
import { Defaulted, ref } from './schemas.js'
import type { Synonyms } from './suggest.js'

const MAX_INTEGER = 2 ** 31 - 1

/** The parameters of every list. */
export const pageParameters = {
  page: Defaulted(
    Type.Integer({
      minimum: 1,
      maximum: MAX_INTEGER,
      default: 1,
      description: 'The page to return, from 1. A page after the last one has no items, but has the `total`.',
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
}

/** Other words for these parameters. */
export const pageSynonyms: Synonyms = {
  perpage: ['limit'],
  pagesize: ['limit'],
  size: ['limit'],
  count: ['limit'],
}

/** A named page of a named component. */
export const PageOf = <T extends TSchema>(item: T) =>
  Type.Object(
    {
      items: Type.Array(ref(item), { description: 'The items of this page, in the requested order.' }),
      total: Type.Integer({
        minimum: 0,
        description: 'The number of items on all pages.',
        examples: [4],
      }),
      page: Type.Integer({ minimum: 1, description: 'The requested page.', examples: [1] }),
      limit: Type.Integer({
        minimum: 1,
        description: 'The requested maximum number of items per page.',
        examples: [10],
      }),
      total_pages: Type.Integer({
        minimum: 0,
        description: 'The number of pages; 0 if there are no items.',
        examples: [1],
      }),
      has_next: Type.Boolean({ description: 'Whether there is a next page with items.', examples: [false] }),
      has_prev: Type.Boolean({
        description: 'Whether there is a previous page, that is, this is not page 1.',
        examples: [false],
      }),
    },
    {
      $id: `${item.$id}Page`,
      description: `One page of a list of ${item.$id} items, with its position in the list.`,
    },
  )

interface Page<T> {
  items: T[]
  total: number
  page: number
  limit: number
  total_pages: number
  has_next: boolean
  has_prev: boolean
}

/** The page of the given items. */
export function pageOf<T>(
  { items, total }: { items: Json<T[]>; total: number },
  { page, limit }: { page: number; limit: number },
): Json<Page<T>> {
  const total_pages = Math.ceil(total / limit)
  return jsonObject<Page<T>>({
    items,
    total: toJson(total),
    page: toJson(page),
    limit: toJson(limit),
    total_pages: toJson(total_pages),
    has_next: toJson(page < total_pages),
    has_prev: toJson(page > 1),
  })
}
