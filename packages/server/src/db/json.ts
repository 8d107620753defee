/** JSON on its way from the database to the answer. */

/**
 * A value as JSON that the database wrote. It goes into the answer as it is: to read and write it again would cost
 * about as much as all else that a request takes.
 */
export type Json<T> = string & { readonly value?: T }

/** A task or batch as it was at one moment: `version` changes whenever the task does. */
export interface Versioned<T> {
  json: Json<T>
  version: string
}

/** How an answer that is such JSON is declared. */
export const JSON_TYPE = 'application/json; charset=utf-8'

/** An array of values. */
export const jsonArray = <T>(items: Json<T>[]): Json<T[]> => `[${items.join(',')}]`

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
