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

/** How an answer that is such JSON is declared. */
export const JSON_TYPE = 'application/json; charset=utf-8'

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
