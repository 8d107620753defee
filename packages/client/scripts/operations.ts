/** Writes operations.ts: a documented method for each operation. */
import type { Contract, Operation } from './read.js'
import type { Schema } from './schemas.js'

/** @throws when two operations would have the same method. */
export function writeOperations({ schemas, operations }: Contract): string {
  const resources = [...new Set(operations.map(({ resource }) => resource))]
  const methods = operations.map(({ resource, method }) => `${resource}.${method}`)
  const twice = methods.find((name, i) => methods.indexOf(name) !== i)
  if (twice) throw new Error(`Two operations are named ${twice}. Give one of them a different operationId.`)

  const used = operations.flatMap(({ query, body, response, item }) =>
    [query?.type, body?.type, response, item].flatMap((type) => type?.split(' | ') ?? []),
  )
  const types = [...new Set(used)].filter((type) => schemas[type]).sort()
  const own = (resource: string) => operations.filter((operation) => operation.resource === resource)
  return `import { eachItem } from '../pages.js'
import type { ChangeOptions, CreateOptions, RequestOptions, Send } from '../transport.js'
import type { ${types.join(', ')} } from './schema.js'

/** The operations by resource. \`scope\` is sent with every operation that takes a session_id. */
export function createOperations(send: Send, scope: { session_id?: string }) {
${resources.map((resource) => writeResource(resource, own(resource))).join('\n')}
  return { ${resources.join(', ')} }
}

export type Operations = ReturnType<typeof createOperations>
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
  return `${comment(operation, operation.description)}    ${method}: (${signature(operation).join(', ')}): Promise<${response}> =>
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

/** The session's id comes last, so the input cannot override it. */
function scoped(name: string, schema: Schema): string {
  return schema.properties?.session_id ? `${name}: { ...${name}, ...scope }` : name
}

function writeEach(operation: Operation): string {
  const { resource, method, item, query } = operation
  const limit = query!.schema.properties!.limit?.maximum
  const description = `Iterates over the items of all pages with \`for await\`. All pages are read before the first item is yielded, so the loop may change or delete the items.`
  return `${comment(operation, description)}    each: (query: Omit<${query!.type}, 'page'> = {}, options?: RequestOptions): AsyncGenerator<${item}, void, undefined> =>
      eachItem((page) => ${resource}.${method}({ ${limit ? `limit: ${limit}, ` : ''}...query, page }, options)),
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
