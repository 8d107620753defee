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

/** An array of values. */
export const jsonArray = <T>(items: Json<T>[]): Json<T[]> => `[${items.join(',')}]`
