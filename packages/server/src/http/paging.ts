/** Lists, a page at a time: their parameters, their schema and how a page is put together. */
import { type TSchema, Type } from '@sinclair/typebox'
import type { Json } from '../db/json.js'
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
      description: 'Which page, from 1. A page past the end is empty and still reports the total.',
    }),
  ),
  limit: Defaulted(
    Type.Integer({ minimum: 1, maximum: 100, default: 10, description: 'Items a page, from 1 to 100.' }),
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
      items: Type.Array(ref(item), { description: 'The items of this page, in the order asked for.' }),
      total: Type.Integer({
        minimum: 0,
        description: 'How many items there are on all pages together.',
        examples: [4],
      }),
      page: Type.Integer({ minimum: 1, description: 'The page that was asked for.', examples: [1] }),
      limit: Type.Integer({ minimum: 1, description: 'Items a page, as asked for.', examples: [10] }),
      total_pages: Type.Integer({
        minimum: 0,
        description: 'How many pages there are; 0 when there are no items.',
        examples: [1],
      }),
      has_next: Type.Boolean({ description: 'Whether a later page has items.', examples: [false] }),
      has_prev: Type.Boolean({ description: 'Whether this page is not the first.', examples: [false] }),
    },
    {
      $id: `${item.$id}Page`,
      description: `One page of a list: ${item.$id} items and where the page stands.`,
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

/** The page around some items, from what was asked for and the total. */
export function pageOf<T>(
  { items, total }: { items: Json<T[]>; total: number },
  { page, limit }: { page: number; limit: number },
): Json<Page<T>> {
  const total_pages = Math.ceil(total / limit)
  const place = { total, page, limit, total_pages, has_next: page < total_pages, has_prev: page > 1 }
  return `{"items":${items},${JSON.stringify(place).slice(1)}`
}
