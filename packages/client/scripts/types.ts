/** Writes schema.ts: the types that go over the wire. */
import openapiTS, { astToString, type SchemaObject } from 'openapi-typescript'
// TypeScript 5: version 7, which checks and builds, has no API, and openapi-typescript needs this one.
import ts from 'typescript'
import type { Contract } from './read.js'
import { mapSchemas, type Schema } from './schemas.js'

const STRING = ts.factory.createKeywordTypeNode(ts.SyntaxKind.StringKeyword)
const DATE = ts.factory.createTypeReferenceNode('Date')
const NULL = ts.factory.createLiteralTypeNode(ts.factory.createNull())

/** @throws when a schema with date-time fields is used in requests and in responses. */
export async function writeTypes({ document, schemas, operations }: Contract): Promise<string> {
  const inputs = operations.flatMap(({ body, query }) => [body?.type ?? [], query?.type ?? []].flat())
  const asInput = reachable(inputs, schemas)
  const queries = new Set(operations.map(({ query }) => query?.type))
  const responses = operations.flatMap(({ response }) => response.split(' | '))
  const asResponse = reachable([...responses, 'Problem'], schemas)
  const both = [...asInput].find((name) => asResponse.has(name) && hasTimes(schemas[name]!))
  // An input accepts a Date or a string, a response has a string.
  if (both)
    throw new Error(`${both} has date-time fields and is used in requests and responses. Use two schemas.`)

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
      transform({ format, type, ...schema }, { path }) {
        const [, name] = /^#\/components\/schemas\/(\w+)/.exec(path ?? '') ?? []
        // A list in a query may be a single value.
        const { items } = schema as Schema
        if (queries.has(name!) && type === 'array' && items?.enum) {
          const values = items.enum.map((value) =>
            ts.factory.createLiteralTypeNode(ts.factory.createStringLiteral(value as string)),
          )
          const one = ts.factory.createUnionTypeNode(values)
          return ts.factory.createUnionTypeNode([one, ts.factory.createArrayTypeNode(one)])
        }
        if (format !== 'date-time' || !asInput.has(name!)) return undefined
        const orNull = ([type].flat() as unknown[]).includes('null')
        return ts.factory.createUnionTypeNode([STRING, DATE, ...(orNull ? [NULL] : [])])
      },
    },
  )
  return astToString(declarations(types)).replace(/components\["schemas"\]\["(\w+)"\]/g, '$1')
}

/** Every schema as a declaration of its own: an editor then shows its name instead of all its fields. */
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

/** The given names, and those of the schemas that they refer to. */
function reachable(names: string[], schemas: Record<string, Schema>): Set<string> {
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

function hasTimes(schema: Schema): boolean {
  return JSON.stringify(schema).includes('"date-time"')
}

/** Prepares a schema for the editor's hover: plain text first, then the limits. */
function documented({ description, ...schema }: Schema): Schema {
  const limits = ['minLength', 'maxLength', 'minimum', 'maximum', 'minItems', 'maxItems']
  const tags = limits.filter((name) => schema[name] !== undefined).map((name) => `@${name} ${schema[name]}`)
  return {
    ...schema,
    ...(description && { title: [description, ...tags].join('\n') }),
    // An object whose fields are not listed may have any.
    ...(schema.type === 'object' && !schema.properties && { additionalProperties: true }),
    // The type is nullable already: a null among the values would be listed twice.
    ...(schema.enum && { enum: schema.enum.filter((value) => value !== null) }),
  }
}
