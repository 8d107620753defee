/** Writes operations.ts: a documented method for each operation. */
import type { Contract, Operation } from './read.js'
import type { Schema } from './schemas.js'

/** @throws when two operations would have the same method. */
export function writeOperations({ schemas, operations }: Contract): string {
  const resources = [...new Set(operations.map(({ resource }) => resource))]
  const methods = operations.map(({ resource, method }) => `${resource}.${method}`)
  const twice = methods.find((name, i) => methods.indexOf(name) !== i)
  if (twice) throw new Error(`Two operations are named ${twice}. Give one of them a different operationId.`)

  const used = operations.flatMap(({ query, body, response, item, chosen }) =>
    [query?.type, body?.type, response, item, chosen].flatMap((type) => type?.split(' | ') ?? []),
  )
  const types = [...new Set(used)].filter((type) => schemas[type]).sort()
  const own = (resource: string) => operations.filter((operation) => operation.resource === resource)
  return `import { type Chosen, eachItem, type Without } from '../pages.js'
import type { ChangeOptions, CreateOptions, RequestOptions, Send } from '../transport.js'
import type { ${types.join(', ')} } from './schema.js'

/**
 * The operations by resource. \`scope\` is sent with every operation that takes a session_id; \`S\` names what callers need not
 * send for that.
 */
export function createOperations<S extends string = never>(send: Send, scope: { session_id?: string }) {
${resources.map((resource) => writeResource(resource, own(resource))).join('\n')}
  return { ${resources.join(', ')} }
}

export type Operations<S extends string = never> = ReturnType<typeof createOperations<S>>
`
}

function writeResource(resource: string, operations: Operation[]): string {
  const methods = operations.flatMap((operation) =>
    operation.item ? [writeMethod(operation), writeEach(operation)] : [writeMethod(operation)],
  )
  return `  const ${resource} = {\n${methods.join('\n')}  }\n`
}

function writeMethod(operation: Operation): string {
  const { http, path, method, response, query, body, list, pathParameters, options } = operation
  const input = [
    ...(pathParameters.length > 0
      ? [
          `params: { ${pathParameters.map(({ name }) => name + (name === 'session_id' ? ', ...scope' : '')).join(', ')} }`,
        ]
      : []),
    ...(query ? [scoped('query', query.schema)] : []),
    ...(body ? [list ? `body: { ${list} }` : scoped('body', body.schema)] : []),
    ...(options.isCreate ? ['once: true'] : []),
  ]
  return `${comment(operation, operation.description)}    ${method}: ${generic(operation)}(${signature(operation).join(', ')}): Promise<${responseOf(operation, response)}> =>
      send('${http}', '${path}', ${input.length > 0 ? `{ ${input.join(', ')} }` : '{}'}, options),
`
}

/** The fields that a caller chooses are a type parameter. */
const generic = ({ chosen }: Operation) => (chosen ? `<F extends keyof ${chosen} = keyof ${chosen}>` : '')

const responseOf = ({ chosen }: Operation, type: string) => (chosen ? `Chosen<${type}, ${chosen}, F>` : type)

/** The arguments of a method, with their types. */
function signature(operation: Operation): string[] {
  const { pathParameters, query, body, list, options } = operation
  return [
    ...pathParameters.map(({ name }) => `${name}: string`),
    ...(query ? [`query${query.optional ? '?' : ''}: ${queryType(operation, [])}`] : []),
    ...(body
      ? [list ? `${list}: ${body.type}['${list}']` : `body${body.optional ? '?' : ''}: ${typeWithout(body)}`]
      : []),
    `options?: ${options.type}`,
  ]
}

/** The type of the query without some parameters. */
function queryType({ query, chosen }: Operation, omitted: string[]): string {
  const names = [...omitted, ...(chosen ? ['fields'] : [])].map((name) => `'${name}'`)
  const type = typeWithout(query!)
  const rest = names.length > 0 ? `Omit<${type}, ${names.join(' | ')}>` : type
  return chosen ? `${rest} & { fields?: readonly F[] }` : rest
}

/** The type of an input, without the session_id in a session. */
const typeWithout = ({ type, schema }: { type: string; schema: Schema }) =>
  schema.properties?.session_id ? `Without<${type}, S>` : type

/** The session's id comes last, so the input cannot override it. */
function scoped(name: string, schema: Schema): string {
  const given = name === 'query' ? 'query: { ...query }' : name
  return schema.properties?.session_id ? `${name}: { ...${name}, ...scope }` : given
}

function writeEach(operation: Operation): string {
  const { resource, method, item, query, cursor } = operation
  const { properties } = query!.schema
  const { limit, sort_by } = properties!
  // A caller can begin after an event, but not at a page.
  const omitted = ['page', 'cursor', 'wait'].filter((name) => properties![name])
  const byCreation = (sort_by?.enum ?? []).includes('created_at')
  const defaults = [
    ...(limit?.maximum ? [`limit: ${limit.maximum}`] : []),
    ...(byCreation ? [`sort_by: 'created_at'`] : []),
  ]
  const description = `Iterates over the items of all pages with \`for await\`, reading a page at a time${byCreation ? ', the newest item first unless a sort is given' : ''}. The loop may change, delete or create items: it meets each item once that keeps its place in the sort.`
  return `${comment(operation, description)}    each: ${generic(operation)}(query?: ${queryType(operation, omitted)}, options?: RequestOptions): AsyncGenerator<${responseOf(operation, item!)}, void, undefined> =>
      eachItem('${cursor}', (next) => ${resource}.${method}${operation.chosen ? '<any>' : ''}({ ${[...defaults, '...query', '...next'].join(', ')} } as any, options)),
`
}

const REPLAY =
  '@returns What was created. If `idempotencyKey` was used before, the first response: it may be out of date, so read it again before a change with `ifUnchangedSince`.'

/** The method's JSDoc, which editors show on hover. */
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
    ...(query ? [`@param query Query parameters${query.optional ? ', all optional' : ''}.`] : []),
    ...(body
      ? [
          `@param ${list ?? 'body'} ${list ? body.schema.properties![list]!.description : body.schema.description}`,
        ]
      : []),
    `@param options Options for this call: ${options.names}.`,
    ...(options.isCreate ? [REPLAY] : []),
    ...(codes.length > 0 ? [`@throws {AklpError} with one of these codes: ${codes.join(', ')}.`] : []),
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
