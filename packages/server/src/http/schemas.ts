/** What the features' schemas share: how a component is named and referred to, and the types of the wire. */
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import type { Json } from '../db/json.js'

/** A reference to a named component; the type stays that of the component. */
export const ref = <T extends TSchema>(schema: T) => Type.Unsafe<Static<T>>(Type.Ref(schema.$id!))

/** A reference to a named component, or null. */
export const refOrNull = <T extends TSchema>(schema: T) =>
  Type.Unsafe<Static<T> | null>({ anyOf: [Type.Ref(schema.$id!), Type.Null()] })

/** One of some strings, as a single `enum` (a union of literals would become an `anyOf`). */
export const OneOf = <const T extends readonly string[]>(values: T, options: object = {}) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: [...values], ...options })

/** The schema, or null. Written as a type array: it serialises faster than an `anyOf` and reads better. */
export const Nullable = <T extends TSchema>(schema: T) => {
  const { type, enum: values, ...rest } = schema
  return Type.Unsafe<Static<T> | null>({
    ...rest,
    type: [type, 'null'],
    ...(values && { enum: [...values, null] }),
  })
}

/** A field that a caller may leave out and a handler always finds, since the schema has a default. */
export const Defaulted = <T extends TSchema>(schema: T) => Type.Optional(schema) as unknown as T

/** An object that refuses fields it does not know, so that a misspelt one is told and not lost. */
export const Strict = <T extends Parameters<typeof Type.Object>[0]>(properties: T, options: object = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options })

/** A UUID in its usual form of 36 characters, read in either case and written in lower case (RFC 9562, section 4). */
export const Uuid = (description: string, example: string) =>
  Type.String({ format: 'uuid', description, examples: [example] })

/** A UUID in a query. It has no example, since Swagger UI would fill that in, and so filter by what is not there. */
export const UuidFilter = (description: string) =>
  Type.String({ format: 'uuid', description: `${description} A UUID.` })

/** Text of at most `maxLength` code points, without the characters that no UTF-8 database stores. */
export const Text = (maxLength: number, description: string, example: string, options: object = {}) =>
  Type.String({ format: 'text', maxLength, description, examples: [example], ...options })

/** A text as it is answered: what holds for it was checked when it came in. */
export const answered = ({ description, examples }: TSchema) => Type.String({ description, examples })

/** A time as it is answered: RFC 3339 in UTC with milliseconds. */
export const Timestamp = (description: string, example: string) =>
  Type.String({ format: 'date-time', description, examples: [example] })

/** A time as it is read; {@link toTimestamp} says what else than RFC 3339 is understood. */
export const TimestampInput = (description: string, example: string) =>
  Type.String({
    format: 'date-time',
    description: `${description} RFC 3339; without an offset it is taken as UTC, and a date alone as its midnight in UTC.`,
    examples: [example],
  })

const TIMESTAMP =
  /^(\d{4}-\d\d-\d\d)(?:[Tt ]((?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d|60)(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)?)?$/

/**
 * Reads RFC 3339 (section 5.6, leap seconds included), the same without an offset (taken as UTC), or a date
 * alone (midnight UTC). Answers UTC in milliseconds, finer digits cut off; undefined for anything else, for days
 * that no calendar has, and for times outside the years 0001 to 9999.
 */
export function toTimestamp(text: string): string | undefined {
  const [matched, date, minute = '00:00', second = '00', fraction = '', offset = 'Z'] =
    TIMESTAMP.exec(text) ?? []
  if (matched === undefined) return undefined
  const midnight = new Date(`${date}T00:00:00Z`)
  // Date rolls 30 February over into March; a real day survives the round trip.
  if (Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(`${date}T`)) return undefined

  const leap = second === '60'
  const time = new Date(
    `${date}T${minute}:${leap ? '59' : second}${fraction.slice(0, 4)}${offset.toUpperCase()}`,
  )
  if (leap) {
    // RFC 3339 knows a leap second at the end of a UTC day only; it reads as the first moment of the next.
    if (time.getUTCHours() !== 23 || time.getUTCMinutes() !== 59) return undefined
    time.setUTCSeconds(60, 0)
  }
  const utc = time.toISOString()
  // Years before 0001 and after 9999 are written with a sign, or as 0000.
  return /^(?!0000)\d{4}-/.test(utc) ? utc : undefined
}

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

/** A success: its description, its JSON body and its headers, beside the one that every answer carries. */
export const answer = <T extends TSchema>(description: string, schema: T, headers: object = {}) =>
  Type.Unsafe<Json<Static<T>>>({
    description,
    headers: { ...responseHeaders, ...headers },
    content: { 'application/json': { schema } },
  })

/** A success without a body. */
export const noContent = (description: string, headers: object = {}) =>
  Type.Unsafe<string | undefined>({ description, headers: { ...responseHeaders, ...headers }, type: 'null' })

/** The headers that every answer carries. */
export const responseHeaders = {
  'X-Request-ID': {
    type: 'string',
    description: 'The request’s id: the one sent, or a new one. It names the request in the logs.',
  },
}
