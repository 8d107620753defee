/**
 * Reads the operations that the client offers from an OpenAPI document. No operation is named here: the tag is the
 * resource, and the operationId without the resource's noun is the method.
 */
import { resolve, type Schema } from './schemas.js'

export interface OpenApiDocument {
  info: { title: string; version: string }
  paths: Record<string, Record<string, RawOperation>>
  components: { schemas: Record<string, Schema> }
}

export interface Parameter {
  name: string
  in: 'path' | 'query' | 'header' | 'cookie'
  required?: boolean
  description?: string
  example?: unknown
  schema: Schema
}

interface Content {
  content?: Record<string, { schema: Schema; examples?: Record<string, unknown> }>
}

interface Body extends Content {
  required?: boolean
}

interface RawOperation {
  operationId: string
  tags: string[]
  summary: string
  description: string
  parameters?: (Parameter | { $ref: string })[]
  requestBody?: Body | { $ref: string }
  responses: Record<string, Content | { $ref: string }>
  /** The operationId that this operation is another name of. */
  'x-alias-of'?: string
}

interface Input {
  type: string
  optional: boolean
  schema: Schema
}

/** An operation as the client offers it. */
export interface Operation {
  id: string
  resource: string
  method: string
  http: string
  path: string
  summary: string
  description: string
  /** The error codes that it returns. */
  codes: string[]
  pathParameters: Parameter[]
  query: Input | undefined
  body: Input | undefined
  /** The only property of the body, if it is an array: the method then takes the array itself. */
  list: string | undefined
  /** The type of the response. */
  response: string
  /** The type of the items, if the response is a page. */
  item: string | undefined
  /** The query parameter that names where the next page begins, if the response is a page. */
  cursor: 'cursor' | 'after' | undefined
  /** The component whose fields the query parameter `fields` chooses. */
  chosen: string | undefined
  /** The options that its headers allow. */
  options: { type: string; names: string; isCreate: boolean }
}

/** What the files are generated from. */
export interface Contract {
  document: OpenApiDocument
  /** Every type on the wire by its name: the components, and the inline schemas named after their operation. */
  schemas: Record<string, Schema>
  operations: Operation[]
}

/** An operation that takes one of these headers has an option for it. */
const optionOfHeader: Record<string, string> = {
  'Idempotency-Key': 'idempotencyKey',
  'If-Match': 'ifUnchangedSince',
  'Lease-Token': 'leaseToken',
}

export function readContract(document: OpenApiDocument): Contract {
  const contract: Contract = { document, schemas: { ...document.components.schemas }, operations: [] }
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [http, raw] of Object.entries(methods)) {
      // One method for each operation: the client needs no second name for it.
      if (raw['x-alias-of'] !== undefined) continue
      const operation = readOperation(contract, http.toUpperCase(), path, raw)
      if (operation) contract.operations.push(operation)
    }
  }
  return contract
}

/** Reads one operation, and adds its inline schemas to those of the contract. */
function readOperation(
  { document, schemas }: Contract,
  http: string,
  path: string,
  raw: RawOperation,
): Operation | undefined {
  const { operationId: id, tags, summary, description } = raw
  const [resource] = tags
  if (!id || !resource) throw new Error(`${http} ${path} needs an operationId and a tag`)
  const responses = Object.entries(raw.responses).map(([status, response]) => ({
    status: Number(status),
    content: resolve<Content>(document, response).content,
  }))
  const success = responses.find(({ status }) => status >= 200 && status < 300)
  const responseSchema = success?.content?.['application/json']?.schema
  // The client has no methods for responses other than JSON, such as metrics.
  if (success?.content && !responseSchema) return undefined

  const parameters = (raw.parameters ?? []).map((parameter) => resolve<Parameter>(document, parameter))
  const querySchema = readQuery(id, parameters)
  const body = raw.requestBody && resolve<Body>(document, raw.requestBody)
  const bodySchema = body?.content?.['application/json']?.schema
  // A method has one parameter for them.
  if (querySchema && bodySchema) throw new Error(`${id} has query parameters and a body. Use one of them.`)
  const [property, ...otherProperties] = Object.entries(
    (bodySchema && resolve<Schema>(document, bodySchema).properties) ?? {},
  )
  // With `fields`, the response has fewer fields: its second schema.
  const chosen = componentOf(schemas, querySchema?.properties?.fields)
  const [full = responseSchema] = (chosen && responseSchema?.anyOf) || []
  const page = full && resolve<Schema>(document, full).properties
  const cursor = (['cursor', 'after'] as const).find((name) => querySchema?.properties?.[name])
  const isPage = page?.items && (page.next_cursor || page.next) && cursor

  const named = (suffix: string, optional: boolean, schema: Schema): Input => ({
    type: typeOf(schema, `${capitalized(id)}${suffix}`, schemas),
    optional,
    schema: resolve<Schema>(document, schema),
  })
  return {
    id,
    resource,
    method: withoutNoun(id, resource),
    http,
    path,
    summary,
    description,
    codes: responses.flatMap(({ content }) =>
      Object.keys(content?.['application/problem+json']?.examples ?? {}),
    ),
    pathParameters: [...path.matchAll(/\{(\w+)\}/g)].map(
      ([, name]) => parameters.find((parameter) => parameter.in === 'path' && parameter.name === name)!,
    ),
    query: querySchema && named('Query', querySchema.required!.length === 0, querySchema),
    body: bodySchema && named('Body', body.required !== true, bodySchema),
    list: property && otherProperties.length === 0 && property[1].type === 'array' ? property[0] : undefined,
    response: full ? typeOf(full, `${capitalized(id)}Response`, schemas) : 'void',
    item: isPage ? typeOf(page.items!.items!, `${capitalized(id)}Item`, schemas) : undefined,
    cursor,
    chosen,
    options: readOptions(parameters),
  }
}

/** The name of the component that has exactly the fields that a parameter lists. */
function componentOf(schemas: Record<string, Schema>, fields: Schema | undefined): string | undefined {
  const names = (fields?.items?.enum as string[] | undefined)?.join()
  if (names === undefined) return undefined
  return Object.keys(schemas).find((name) => Object.keys(schemas[name]!.properties ?? {}).join() === names)
}

function readOptions(parameters: Parameter[]): Operation['options'] {
  const own = parameters.flatMap(({ name }) => optionOfHeader[name] ?? [])
  const isCreate = own.includes('idempotencyKey')
  return {
    type: isCreate ? 'CreateOptions' : own.length > 0 ? 'ChangeOptions' : 'RequestOptions',
    names: [...own, 'timeout', 'signal', 'headers', 'retries'].join(', '),
    isCreate,
  }
}

function readQuery(id: string, parameters: Parameter[]): Schema | undefined {
  const inQuery = parameters.filter((parameter) => parameter.in === 'query')
  if (inQuery.length === 0) return undefined
  return { ...objectOf(inQuery), description: `Query parameters of ${id}.`, additionalProperties: false }
}

/** The schema of an object with a property for each parameter. */
function objectOf(parameters: Parameter[]): Schema {
  return {
    type: 'object',
    required: parameters.filter(({ required }) => required).map(({ name }) => name),
    properties: Object.fromEntries(
      parameters.map(({ name, schema, description, example }) => [
        name,
        { description, ...(example !== undefined && { examples: [example] }), ...schema },
      ]),
    ),
  }
}

/** `bulkUpdateTasks` of the resource `tasks` is `bulkUpdate`. */
function withoutNoun(id: string, resource: string): string {
  const plural = capitalized(resource)
  const singular = plural.replace(/(?<=ch|sh|s|x)es$|s$/, '')
  return id.replace(new RegExp(`(?<!^)(?:${plural}|${singular})(?![a-z])`), '')
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** The type of a schema; an inline schema gets the given name and is added to the schemas. */
function typeOf(schema: Schema, name: string, schemas: Record<string, Schema>): string {
  if (schema.$ref) return schema.$ref.split('/').at(-1)!
  if (schema.type === 'null') return 'null'
  if (schema.anyOf)
    return schema.anyOf.map((part, i) => typeOf(part, `${name}${i || ''}`, schemas)).join(' | ')
  schemas[name] = schema
  return name
}
