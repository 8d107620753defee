/** JSON schemas as an OpenAPI document has them. */

export interface Schema {
  $ref?: string
  type?: string | string[]
  format?: string
  description?: string
  enum?: unknown[]
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  anyOf?: Schema[]
  maximum?: number
  [keyword: string]: unknown
}

/** Standard formats. All others are defined by the server's validator. */
const WIRE_FORMATS = ['uuid', 'date-time', 'uri']

/** Returns what a `$ref` refers to, and anything else as it is. */
export function resolve<T>(document: object, value: T | { $ref: string }): T {
  const { $ref } = value as { $ref?: string }
  if (!$ref) return value as T
  const names = $ref.slice('#/'.length).split('/')
  const found = names.reduce<unknown>((inner, name) => (inner as Record<string, unknown>)[name], document)
  return resolve(document, found as T)
}

/** Changes a schema and all schemas in it, the outer ones first, and removes what only the server knows. */
export function mapSchema(schema: Schema, change: (schema: Schema) => Schema): Schema {
  const { format, ...known } = change(schema)
  const changed: Schema = Object.fromEntries(Object.entries(known).filter(([name]) => !name.startsWith('x-')))
  return {
    ...changed,
    ...(format && WIRE_FORMATS.includes(format) && { format }),
    ...(changed.properties && { properties: mapSchemas(changed.properties, change) }),
    ...(changed.items && { items: mapSchema(changed.items, change) }),
    ...(changed.anyOf && { anyOf: changed.anyOf.map((part) => mapSchema(part, change)) }),
  }
}

export function mapSchemas(
  schemas: Record<string, Schema>,
  change: (schema: Schema) => Schema,
): Record<string, Schema> {
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, mapSchema(schema, change)]),
  )
}
