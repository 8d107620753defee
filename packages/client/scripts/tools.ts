/** Writes tools.ts: the fields of the inputs, from which tools/table.ts makes the inputs of its tools. */
import type { Contract } from './read.js'
import { mapSchema, type Schema } from './schemas.js'

export function writeInputs({ schemas, operations }: Contract): string {
  const inputs = reachable(
    operations.flatMap(({ body, query }) => [body?.type ?? [], query?.type ?? []].flat()),
  )
  // A constant for each, so that a bundler leaves out the others.
  const constants = inputs.map((name) => {
    const { properties } = mapSchema(schemas[name]!, standalone)
    return `export const ${name} = ${JSON.stringify(properties, null, 2)} as const\n`
  })
  return `/** The fields of each input, as JSON Schema. */\n${constants.join('\n')}`

  /** The objects among these schemas, and those that they refer to, in a fixed order. */
  function reachable(names: string[]): string[] {
    const found = new Set<string>()
    const visit = (name: string) => {
      const schema = schemas[name]
      if (found.has(name) || !schema?.properties) return
      found.add(name)
      for (const [, next] of JSON.stringify(schema).matchAll(/"#\/components\/schemas\/(\w+)"/g)) visit(next!)
    }
    for (const name of names) visit(name)
    return [...found].sort()
  }
}

/** Without examples, which a model would pay for, and without references: what they refer to has an entry of its own. */
const standalone = ({ $ref, examples, ...schema }: Schema): Schema => schema
