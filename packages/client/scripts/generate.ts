/**
 * Writes what the client has from the contract, packages/server/openapi.json (or another one, into another folder:
 * `generate.ts openapi.json folder`):
 *
 * - schema.ts, the types that go over the wire;
 * - operations.ts, a documented method for each operation;
 * - tools.ts, the operations as a language model is told of them.
 *
 * With `--check`, only says whether they are current. Nothing here knows an operation by its name: the tag is the
 * resource, and the operationId without the resource's noun is the method.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import openapiTS, { astToString, type SchemaObject } from 'openapi-typescript'
import ts from 'typescript'

interface Schema {
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

interface Parameter {
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

interface RawOperation {
  operationId: string
  tags: string[]
  summary: string
  description: string
  parameters?: (Parameter | { $ref: string })[]
  requestBody?: (Content & { required?: boolean }) | { $ref: string }
  responses: Record<string, Content | { $ref: string }>
}

/** An operation as the client offers it. */
interface Operation {
  id: string
  resource: string
  method: string
  http: string
  path: string
  summary: string
  description: string
  /** The error codes that it answers. */
  codes: string[]
  pathParameters: Parameter[]
  query: { type: string; optional: boolean; schema: Schema } | undefined
  body: { type: string; optional: boolean; schema: Schema } | undefined
  /** The one property of the body, where that is an array: then the method takes the array itself. */
  list: string | undefined
  answer: string
  /** Where the answer is a page: the type of its items. */
  item: string | undefined
  /** The type of the options, by the headers that it takes, and what they are. */
  options: { type: string; names: string; isCreate: boolean }
}

const OPTIONS = 'timeout, signal, headers, retries'

/** The operations that take these headers have options that set them. */
const optionsByHeader: Record<string, Operation['options']> = {
  'Idempotency-Key': { type: 'CreateOptions', names: `idempotencyKey, ${OPTIONS}`, isCreate: true },
  'If-Match': { type: 'ChangeOptions', names: `ifUnchangedSince, ${OPTIONS}`, isCreate: false },
}
const plainOptions = { type: 'RequestOptions', names: OPTIONS, isCreate: false }

const HEADER =
  '// GENERATED from packages/server/openapi.json by packages/client/scripts/generate.ts. Do not edit.\n'
const WIRE_FORMATS = ['uuid', 'date-time', 'uri']

const { values: flags, positionals } = parseArgs({
  options: { check: { type: 'boolean' } },
  allowPositionals: true,
})
const [
  contract = fileURLToPath(new URL('../../server/openapi.json', import.meta.url)),
  folder = fileURLToPath(new URL('../src/generated', import.meta.url)),
] = positionals

const document = JSON.parse(readFileSync(contract, 'utf8'))
/** Every type of the wire: the components, and the queries under a name made of their operation's. */
const schemas: Record<string, Schema> = structuredClone(document.components.schemas)

const operations = Object.entries<Record<string, RawOperation>>(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).flatMap(([http, raw]) => readOperation(http.toUpperCase(), path, raw) ?? []),
)

const files = {
  'schema.ts': await writeTypes(),
  'operations.ts': writeOperations(),
  'tools.ts': writeTools(),
}
for (const [name, text] of Object.entries(files)) {
  const file = join(folder, name)
  if (!flags.check) {
    writeFileSync(file, text)
  } else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
    process.stderr.write(`${file} is stale: run pnpm generate and commit it\n`)
    process.exitCode = 1
  }
}

function readOperation(http: string, path: string, raw: RawOperation): Operation | undefined {
  const { operationId: id, tags, summary, description } = raw
  const [resource] = tags
  if (!id || !resource) throw new Error(`${http} ${path} needs an operationId and a tag to be called by`)
  const responses = Object.entries(raw.responses).map(([status, response]) => ({
    status: Number(status),
    content: resolve<Content>(response).content,
  }))
  const success = responses.find(({ status }) => status >= 200 && status < 300)
  const answer = success?.content?.['application/json']?.schema
  // What answers something else than JSON is not for the callers of this client.
  if (success?.content && !answer) return undefined

  const parameters = (raw.parameters ?? []).map((parameter) => resolve<Parameter>(parameter))
  const inQuery = parameters.filter((parameter) => parameter.in === 'query')
  const body = raw.requestBody && resolve<Content & { required?: boolean }>(raw.requestBody)
  const bodySchema = body?.content?.['application/json']?.schema
  const [property, ...otherProperties] = Object.entries(
    (bodySchema && resolve<Schema>(bodySchema).properties) ?? {},
  )
  const pageSchema = answer && resolve<Schema>(answer).properties
  const isPage = pageSchema?.items && pageSchema.page && pageSchema.has_next

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
    query:
      inQuery.length > 0
        ? named(`${capitalized(id)}Query`, !inQuery.some(({ required }) => required), {
            type: 'object',
            description: `What ${id} is asked with.`,
            additionalProperties: false,
            required: inQuery.filter(({ required }) => required).map(({ name }) => name),
            properties: Object.fromEntries(
              inQuery.map(({ name, schema, description, example }) => [
                name,
                { description, ...(example !== undefined && { examples: [example] }), ...schema },
              ]),
            ),
          })
        : undefined,
    body: bodySchema && named(`${capitalized(id)}Body`, body.required !== true, bodySchema),
    list: property && otherProperties.length === 0 && property[1].type === 'array' ? property[0] : undefined,
    answer: answer ? typeOf(answer, `${capitalized(id)}Answer`) : 'void',
    options:
      parameters.map(({ name }) => optionsByHeader[name]).find((options) => options !== undefined) ??
      plainOptions,
    item: isPage ? typeOf(pageSchema.items!.items!, `${capitalized(id)}Item`) : undefined,
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

function resolve<T>(value: T | { $ref: string }): T {
  if (!(value as { $ref?: string }).$ref) return value as T
  const names = (value as { $ref: string }).$ref.slice('#/'.length).split('/')
  return resolve(names.reduce((found, name) => found[name], document))
}

function named(name: string, optional: boolean, schema: Schema) {
  return { type: typeOf(schema, name), optional, schema: resolve<Schema>(schema) }
}

/** The type of a schema; one that has no name gets the given one. */
function typeOf(schema: Schema, name: string): string {
  if (schema.$ref) return schema.$ref.split('/').at(-1)!
  if (schema.type === 'null') return 'null'
  if (schema.anyOf) return schema.anyOf.map((part, i) => typeOf(part, `${name}${i || ''}`)).join(' | ')
  schemas[name] = schema
  return name
}

// schema.ts

async function writeTypes(): Promise<string> {
  const inputs = operations.flatMap(({ body, query }) => [body?.type ?? [], query?.type ?? []].flat())
  const asInput = reachable(inputs)
  const asAnswer = reachable([...operations.flatMap(({ answer }) => answer.split(' | ')), 'Problem'])
  const both = [...asInput].find((name) => asAnswer.has(name) && hasTimes(name))
  // Times go in as Date or text and come out as text.
  if (both) throw new Error(`${both} has times and is input and answer: give each a schema of its own`)

  const DATE = ts.factory.createTypeReferenceNode('Date')
  const STRING = ts.factory.createKeywordTypeNode(ts.SyntaxKind.StringKeyword)
  const NULL = ts.factory.createLiteralTypeNode(ts.factory.createNull())
  const types = await openapiTS(
    {
      openapi: '3.1.0',
      info: document.info,
      paths: {},
      components: { schemas: mapSchemas(schemas, documented) as Record<string, SchemaObject> },
    },
    {
      // A field with a default may be left out.
      defaultNonNullable: false,
      transform({ format, type }, { path }) {
        const [, name] = /^#\/components\/schemas\/(\w+)/.exec(path ?? '') ?? []
        if (format !== 'date-time' || !asInput.has(name!)) return undefined
        const orNull = ([type].flat() as unknown[]).includes('null')
        return ts.factory.createUnionTypeNode([STRING, DATE, ...(orNull ? [NULL] : [])])
      },
    },
  )
  const text = astToString(declarations(types)).replace(/components\["schemas"\]\["(\w+)"\]/g, '$1')
  return `${HEADER}${text}`
}

/** Every schema as a declaration of its own: then an editor shows its name and not all that is in it. */
function declarations(types: ts.Node[]): ts.Node[] {
  const components = types.find(
    (node): node is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(node) && node.name.text === 'components',
  )
  const schemas = components!.members.find((member) => (member.name as ts.Identifier).text === 'schemas')
  const { members } = (schemas as ts.PropertySignature).type as ts.TypeLiteralNode
  const exported = [ts.factory.createModifier(ts.SyntaxKind.ExportKeyword)]
  return members.map((member) => {
    const { name, type } = member as ts.PropertySignature & { name: ts.Identifier }
    const declaration = ts.isTypeLiteralNode(type!)
      ? ts.factory.createInterfaceDeclaration(exported, name, undefined, undefined, type.members)
      : ts.factory.createTypeAliasDeclaration(exported, name, undefined, type!)
    return ts.setSyntheticLeadingComments(declaration, ts.getSyntheticLeadingComments(member))
  })
}

function reachable(names: string[]): Set<string> {
  const found = new Set<string>()
  const visit = (name: string) => {
    if (found.has(name) || !schemas[name]) return
    found.add(name)
    for (const [, next] of JSON.stringify(schemas[name]).matchAll(/"#\/components\/schemas\/(\w+)"/g))
      visit(next!)
  }
  for (const name of names) visit(name)
  return found
}

function hasTimes(name: string): boolean {
  return JSON.stringify(schemas[name]).includes('"date-time"')
}

/** Prepares a schema for the editor's hover: plain text first, then the limits. */
function documented({ description, ...schema }: Schema): Schema {
  const limits = ['minLength', 'maxLength', 'minimum', 'maximum', 'minItems', 'maxItems']
  const tags = limits.filter((name) => schema[name] !== undefined).map((name) => `@${name} ${schema[name]}`)
  return {
    ...schema,
    ...(description && { title: [description, ...tags].join('\n') }),
    // With the type already nullable, a null among the values would be one too many.
    ...(schema.enum && { enum: schema.enum.filter((value) => value !== null) }),
  }
}

/** The schemas, each changed by a function, from the outside in; and without formats that are the server's own. */
function mapSchemas(value: unknown, change: (schema: Schema) => Schema): unknown {
  return Object.fromEntries(
    Object.entries(value as Record<string, Schema>).map(([name, schema]) => [
      name,
      mapSchema(schema, change),
    ]),
  )
}

function mapSchema(schema: Schema, change: (schema: Schema) => Schema): Schema {
  const { format, ...changed } = change(schema)
  return {
    ...changed,
    ...(format && WIRE_FORMATS.includes(format) && { format }),
    ...(changed.properties && {
      properties: mapSchemas(changed.properties, change) as Record<string, Schema>,
    }),
    ...(changed.items && { items: mapSchema(changed.items, change) }),
    ...(changed.anyOf && { anyOf: changed.anyOf.map((part) => mapSchema(part, change)) }),
  }
}

// operations.ts

function writeOperations(): string {
  const resources = [...new Set(operations.map(({ resource }) => resource))]
  const methods = operations.map(({ resource, method }) => `${resource}.${method}`)
  const twice = methods.find((name, i) => methods.indexOf(name) !== i)
  if (twice) throw new Error(`${twice} would be two operations: give one another operationId`)

  const used = operations.flatMap(({ query, body, answer, item }) =>
    [query?.type, body?.type, answer, item].flatMap((type) => type?.split(' | ') ?? []),
  )
  const types = [...new Set(used)].filter((type) => schemas[type]).sort()
  return `${HEADER}import { eachItem } from '../pages.js'
import type { ChangeOptions, CreateOptions, RequestOptions, Send } from '../transport.js'
import type { ${types.join(', ')} } from './schema.js'

/** The operations by resource. \`scope\` goes along with every one that takes a session_id. */
export function createOperations(send: Send, scope: { session_id?: string }) {
${resources.map(writeResource).join('\n')}
  return { ${resources.join(', ')} }
}

export type Operations = ReturnType<typeof createOperations>
`
}

function writeResource(resource: string): string {
  const own = operations.filter((operation) => operation.resource === resource)
  const methods = own.flatMap((operation) =>
    operation.item ? [writeMethod(operation), writeEach(operation)] : [writeMethod(operation)],
  )
  return `  const ${resource} = {\n${methods.join('\n')}  }\n`
}

function writeMethod(operation: Operation): string {
  const { http, path, method, answer, query, body, list, pathParameters, options } = operation
  const input = [
    ...(pathParameters.length > 0
      ? [`params: { ${pathParameters.map(({ name }) => name).join(', ')} }`]
      : []),
    ...(query ? [scoped('query', query.schema)] : []),
    ...(body ? [list ? `body: { ${list} }` : scoped('body', body.schema)] : []),
    ...(options.isCreate ? ['once: true'] : []),
  ]
  return `${comment(operation, operation.description)}    ${method}: (${signature(operation).join(', ')}): Promise<${answer}> =>
      send('${http}', '${path}', ${input.length > 0 ? `{ ${input.join(', ')} }` : '{}'}, options),
`
}

/** The arguments of a method, with their types. */
function signature({ pathParameters, query, body, list, options }: Operation): string[] {
  return [
    ...pathParameters.map(({ name }) => `${name}: string`),
    ...(query ? [query.optional ? `query: ${query.type} = {}` : `query: ${query.type}`] : []),
    ...(body
      ? [list ? `${list}: ${body.type}['${list}']` : `body${body.optional ? '?' : ''}: ${body.type}`]
      : []),
    `options?: ${options.type}`,
  ]
}

/** The session's id stands last: nothing in the input takes a call out of its session. */
function scoped(name: string, schema: Schema): string {
  return schema.properties?.session_id ? `${name}: { ...${name}, ...scope }` : name
}

function writeEach(operation: Operation): string {
  const { resource, method, item, query } = operation
  const limit = query!.schema.properties!.limit?.maximum
  const description = `Goes through all pages, for \`for await\`. All are read before the first item comes, so that the loop may change what it goes through.`
  return `${comment(operation, description)}    each: (query: Omit<${query!.type}, 'page'> = {}, options?: RequestOptions): AsyncGenerator<${item}, void, undefined> =>
      eachItem((page) => ${resource}.${method}({ ${limit ? `limit: ${limit}, ` : ''}...query, page }, options)),
`
}

/** What the editor shows at a method. */
function comment(operation: Operation, description: string): string {
  const { summary, http, path, pathParameters, query, body, list, codes, options } = operation
  const [example] = (body?.schema.examples as object[] | undefined) ?? []
  const given = example && JSON.stringify(list ? (example as Record<string, unknown>)[list] : example)
  const lines = [
    `${summary}.`,
    '',
    ...description.split('\n'),
    '',
    `\`${http} ${path}\``,
    '',
    ...pathParameters.map((parameter) => `@param ${parameter.name} ${parameter.description}`),
    ...(query ? ['@param query Which, and in what order. Nothing needs to be given.'] : []),
    ...(body
      ? [
          `@param ${list ?? 'body'} ${list ? body.schema.properties![list]!.description : body.schema.description}`,
        ]
      : []),
    `@param options For this call only: ${options.names}.`,
    ...(codes.length > 0 ? [`@throws {AklpError} with the code ${codes.join(', ')}.`] : []),
    ...(given
      ? [
          '@example',
          `aklp.${operation.resource}.${operation.method}(${[...pathParameters.map(({ example }) => `'${example}'`), given].join(', ')})`,
        ]
      : []),
  ]
  const text = lines.map((line) => `     * ${line.replaceAll('*/', '*\\/')}`.trimEnd()).join('\n')
  return `    /**\n${text}\n     */\n`
}

// tools.ts

function writeTools(): string {
  const tools = operations.map((operation) => ({
    name: operation.id,
    description: `${operation.summary}. ${operation.description}`,
    parameters: inputOf(operation),
  }))
  return `${HEADER}import type { Tool } from '../tools.js'
import type { ChangeOptions, CreateOptions } from '../transport.js'
import type { Operations } from './operations.js'

/** Every operation as a tool, called as in the OpenAPI document. */
export const tools: Tool[] = ${JSON.stringify(tools, null, 2)}

/** The input is a model's: the service checks it. */
type Call = (client: Operations, input: any, options?: CreateOptions & ChangeOptions) => Promise<unknown>

/** How each tool is called with its input. */
export const calls: Record<string, Call> = {
${operations.map(writeCall).join('\n')}
}
`
}

/** The input of an operation as one object: the parameters of path and query, and the fields of the body. */
function inputOf({ id, pathParameters, query, body }: Operation): Schema {
  const parts: Schema[] = [
    {
      properties: Object.fromEntries(
        pathParameters.map(({ name, description, example, schema }) => [
          name,
          { description, ...(example !== undefined && { examples: [example] }), ...schema },
        ]),
      ),
      required: pathParameters.map(({ name }) => name),
    },
    query?.schema ?? {},
    body?.schema ?? {},
  ]
  const names = parts.flatMap(({ properties = {} }) => Object.keys(properties))
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice) throw new Error(`${id} has two parameters or fields called ${twice}: rename one`)
  const input: Schema = {
    type: 'object',
    properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
    required: parts.flatMap(({ required = [] }) => required),
    additionalProperties: false,
  }
  // A tool's schema stands alone: what it refers to is put in its place.
  return mapSchema(input, (schema) => resolve<Schema>(schema as { $ref: string }))
}

function writeCall({ id, resource, method, pathParameters, query, body, list }: Operation): string {
  const parameters = pathParameters.map(({ name }) => name)
  const rest = query ? 'query' : 'body'
  const taken = list ? [...parameters, list] : [...parameters, ...(query || body ? [`...${rest}`] : [])]
  const given = [...parameters, ...(list ? [list] : query || body ? [rest] : [])]
  const input = taken.length === 0 ? '_' : taken[0]!.startsWith('...') ? rest : `{ ${taken.join(', ')} }`
  return `  ${id}: (client, ${input}, options) => client.${resource}.${method}(${[...given, 'options'].join(', ')}),`
}
