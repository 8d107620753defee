/** Shared by the schemas of the features: references to named components, and the types in requests and responses. */
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import type { Json } from '../db/json.js'

/** A reference to a named component; the type stays that of the component. */
export const ref = <T extends TSchema>(schema: T) => Type.Unsafe<Static<T>>(Type.Ref(schema.$id!))

/** A reference to one of two named components. */
export const oneOf = <A extends TSchema, B extends TSchema>(first: A, second: B) =>
  Type.Unsafe<Static<A> | Static<B>>({ anyOf: [Type.Ref(first.$id!), Type.Ref(second.$id!)] })

/** A reference to a named component, or null. */
export const refOrNull = <T extends TSchema>(schema: T) =>
  Type.Unsafe<Static<T> | null>({ anyOf: [Type.Ref(schema.$id!), Type.Null()] })

/** One of some strings, as a single `enum` (a union of literals would become an `anyOf`). */
export const OneOf = <const T extends readonly string[]>(values: T, options: object = {}) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: [...values], ...options })

/** Some of these strings in a query, separated by commas. */
export const ListOf = <const T extends readonly string[]>(values: T, options: object = {}) =>
  Type.Array(OneOf(values), {
    minItems: 1,
    maxItems: values.length,
    ...options,
  })

/** The schema, or null. As a type array, which is faster to serialize and easier to read than an `anyOf`. */
export const Nullable = <T extends TSchema>(schema: T) => {
  const { type, enum: values, ...rest } = schema
  return Type.Unsafe<Static<T> | null>({
    ...rest,
    type: [type, 'null'],
    ...(values && { enum: [...values, null] }),
  })
}

/** A field that is optional for callers and always set for handlers, since the schema has a default. */
export const Defaulted = <T extends TSchema>(schema: T) => Type.Optional(schema) as unknown as T

/** An object that rejects unknown fields: a misspelled field is reported and not ignored. */
export const Strict = <T extends Parameters<typeof Type.Object>[0]>(properties: T, options: object = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options })

/** A UUID of 36 characters, accepted in either case and returned in lower case (RFC 9562, section 4). */
export const Uuid = (description: string, example: string) =>
  Type.String({ format: 'uuid', description, examples: [example] })

/** A UUID in a query. It has no example: Swagger UI would filter by it, and find nothing. */
export const UuidFilter = (description: string) =>
  Type.String({ format: 'uuid', description: `${description} A UUID.` })

/** Text of at most `maxLength` code points, without the characters that no UTF-8 database stores. */
export const Text = (maxLength: number, description: string, example: string, options: object = {}) =>
  Type.String({ format: 'text', maxLength, description, examples: [example], ...options })

/** A text in a response. Its rules were checked when it was received. */
export const returned = ({ description, examples }: TSchema) => Type.String({ description, examples })

/** A time in a response: RFC 3339 in UTC with milliseconds. */
export const Timestamp = (description: string, example: string) =>
  Type.String({ format: 'date-time', description, examples: [example] })

/** A time in a request; {@link toTimestamp} defines the formats that are accepted besides RFC 3339. */
export const TimestampInput = (description: string, example: string) =>
  Type.String({
    format: 'date-time',
    description: `${description} RFC 3339. A time without an offset is UTC, and a date alone is midnight UTC.`,
    examples: [example],
  })

/** The media type of JSON responses. */
export const JSON_TYPE = 'application/json; charset=utf-8'

/** A successful response with its description, JSON body and headers, in addition to those of every response. */
export const success = <T extends TSchema>(description: string, schema: T, headers: object = {}) =>
  Type.Unsafe<Json<Static<T>>>({
    description,
    headers: { ...responseHeaders, ...headers },
    content: { 'application/json': { schema } },
  })

/** A successful response without a body. */
export const noContent = (description: string, headers: object = {}) =>
  Type.Unsafe<string | undefined>({ description, headers: { ...responseHeaders, ...headers }, type: 'null' })

/** The headers of every response. */
export const responseHeaders = {
  'X-Request-ID': {
    type: 'string',
    description:
      'The id of the request: the one that was sent, or a new one. It identifies the request in the logs.',
  },
}
