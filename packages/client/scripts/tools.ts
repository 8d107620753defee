/** Writes tools.ts: the operations as tools for a language model. */
import { type Contract, type Operation, objectOf } from './read.js'
import { mapSchema, resolve, type Schema } from './schemas.js'

/** @throws when two parameters or fields of an operation have the same name: a tool's input is one object. */
export function writeTools({ document, operations }: Contract): string {
  const tools = operations.map((operation) => ({
    name: operation.id,
    description: `${operation.summary}. ${operation.description}`,
    // A tool's schema stands alone: references are replaced by what they refer to.
    parameters: mapSchema(leanByDefault(inputOf(operation)), (schema) =>
      resolve(document, schema as { $ref: string }),
    ),
  }))
  return `import type { Tool } from '../tools.js'
import type { ChangeOptions, CreateOptions } from '../transport.js'
import type { Operations } from './operations.js'

/** Every operation as a tool, named by its operationId. */
export const tools: Tool[] = ${JSON.stringify(tools, null, 2)}

/** The input comes from a model; the service validates it. */
type Call = (client: Operations, input: any, options?: CreateOptions & ChangeOptions) => Promise<unknown>

/** Calls the operation of a tool with the tool's input. */
export const calls: Record<string, Call> = {
${operations.map(writeCall).join('\n')}
}
`
}

/** The input of an operation as one object: the parameters of path and query, and the fields of the body. */
function inputOf({ id, pathParameters, query, body }: Operation): Schema {
  const parts: Schema[] = [objectOf(pathParameters), query?.schema ?? {}, body?.schema ?? {}]
  const names = parts.flatMap(({ properties = {} }) => Object.keys(properties))
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice) throw new Error(`Two parameters or fields of ${id} are named ${twice}. Rename one of them.`)
  return {
    type: 'object',
    properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
    required: parts.flatMap(({ required = [] }) => required),
    additionalProperties: false,
  }
}

/** The input with a default for `fields`: a model pays for each field with its context. */
function leanByDefault(input: Schema): Schema {
  const { fields, ...others } = input.properties!
  if (fields?.['x-lean'] === undefined) return input
  const description =
    'The fields to return of each item; `id` is always included. Ask for others only when you need them.'
  return {
    ...input,
    properties: { ...others, fields: { ...fields, description, default: fields['x-lean'] } },
  }
}

function writeCall({ id, resource, method, pathParameters, query, body, list }: Operation): string {
  const parameters = pathParameters.map(({ name }) => name)
  const rest = query ? 'query' : 'body'
  const taken = list ? [...parameters, list] : [...parameters, ...(query || body ? [`...${rest}`] : [])]
  const lean = query?.schema.properties?.fields?.['x-lean'] as string[] | undefined
  const last = lean ? `{ fields: ['${lean.join("', '")}'], ...${rest} }` : rest
  const given = [...parameters, ...(list ? [list] : query || body ? [last] : [])]
  const input = taken.length === 0 ? '_' : taken[0]!.startsWith('...') ? rest : `{ ${taken.join(', ')} }`
  return `  ${id}: (client, ${input}, options) => client.${resource}.${method}(${[...given, 'options'].join(', ')}),`
}
