/**
 * Checks input against the schemas and says what is wrong in words that a language model can act on: the
 * field, the rule, the names or values that exist, and the one it probably meant. Nothing is coerced and nothing
 * is dropped; the one exception are the numbers of a query, which arrive as text.
 */
import { type TSchema, Type } from '@sinclair/typebox'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { FastifyInstance } from 'fastify'
import { formatMessages, formats } from './formats.js'
import { suggest } from './suggest.js'

/** One thing that is wrong with the input. */
export interface Mistake {
  /** Where it is: `title`, `tasks[3].status`; empty for the whole. */
  path: string
  message: string
  /** The values or names that exist there. */
  allowed?: (string | null)[]
  /** The allowed one that was probably meant. Never applied by itself. */
  did_you_mean?: string
}

/** A compiler of schemas, to which the named components are known. */
export function createCompiler(components: object[]): (schema: object) => ValidateFunction {
  const ajv = new Ajv({
    allErrors: true,
    verbose: true, // errors carry the schema and the value, which the messages name
    useDefaults: true,
    allowUnionTypes: true,
    strict: true,
    strictTypes: false,
    formats,
    schemas: components,
  })
  return (schema) => ajv.compile(schema)
}

/** Reads the whole numbers of a query in place; what is no plain number is left for the check to refuse. */
export function readIntegers(schema: TSchema, query: Record<string, unknown>) {
  for (const [name, property] of Object.entries<TSchema>(schema.properties)) {
    const value = query[name]
    if (property.type === 'integer' && typeof value === 'string' && /^-?\d{1,15}$/.test(value))
      query[name] = Number(value)
  }
}

/**
 * What failed checks found: the first `most` places, a mistake each, and how many places there are. A request may be
 * wrong in half a million places: only those that are told are looked into.
 */
export function explain(
  errors: readonly ErrorObject[],
  most: number,
): { mistakes: Mistake[]; count: number } {
  const told: ErrorObject[] = []
  let count = 0
  let previous: ErrorObject | undefined
  for (const error of errors) {
    // What is wrong with one place stands together.
    const again = error.instancePath === previous?.instancePath && nameOf(error) === nameOf(previous)
    previous = error
    if (!again) {
      count++
      if (told.length < most) told.push(error)
    } else if (error.keyword === 'enum' && count === told.length) {
      // Where a value has the wrong type and is not in the enum either, the enum says more.
      told[count - 1] = error
    }
  }
  return { mistakes: told.map((error) => ({ path: placeOf(error), ...describe(error) })), count }
}

/** The name that an error is about, where it is about one that is there or missing. */
const nameOf = ({ params }: ErrorObject): string | undefined =>
  params.additionalProperty ?? params.missingProperty

/** Where an error is, the name included: `tasks[3].title` for `/tasks/3/title`. Only known names stand before the last. */
function placeOf(error: ErrorObject): string {
  const path = error.instancePath
    .slice(1)
    .replace(/\/?\b(\d+)\b/g, '[$1]')
    .replaceAll('/', '.')
  const name = nameOf(error)
  if (name === undefined) return path
  return path ? `${path}.${shorten(name)}` : shorten(name)
}

/** What is wrong, as the end of a sentence that begins with the place. */
function describe({ keyword, params, data, parentSchema = {} }: ErrorObject): Omit<Mistake, 'path'> {
  const { minimum, maximum, minItems, maxItems, properties } = parentSchema
  switch (keyword) {
    case 'additionalProperties': {
      const names = Object.keys(properties)
      return {
        message: `is not known; known: ${names.join(', ') || 'none'}`,
        ...among(params.additionalProperty, names),
      }
    }
    case 'required':
      return { message: 'is required' }
    case 'enum':
      return { message: `must be ${list(params.allowedValues)}`, ...among(data, params.allowedValues) }
    case 'type':
      if (params.type === 'integer')
        return { message: `must be a whole number from ${minimum} to ${maximum}` }
      return { message: `must be ${list([params.type].flat().map(article))}, not ${kind(data)}` }
    case 'minimum':
    case 'maximum':
      return { message: `must be a whole number from ${minimum} to ${maximum}` }
    case 'format':
      return { message: formatMessages[params.format as keyof typeof formats] }
    case 'pattern':
      return { message: 'must not be blank' }
    case 'minLength':
      return { message: 'must not be empty' }
    case 'maxLength':
      return { message: `must have at most ${params.limit} characters, has ${[...(data as string)].length}` }
    case 'minItems':
    case 'maxItems':
      return { message: `must have ${minItems} to ${maxItems} items, has ${(data as unknown[]).length}` }
    default:
      throw new Error(`no message for the keyword ${keyword}`)
  }
}

function among(given: unknown, allowed: (string | null)[]): Pick<Mistake, 'allowed' | 'did_you_mean'> {
  const names = allowed.filter((name) => name !== null)
  const did_you_mean = typeof given === 'string' ? suggest(given, names) : undefined
  return { allowed, ...(did_you_mean && { did_you_mean }) }
}

const shorten = (name: string) => (name.length > 100 ? `${name.slice(0, 100)}…` : name)

const list = (values: unknown[]) => {
  const words = values.map(String)
  const last = words.pop()
  return words.length > 0 ? `${words.join(', ')} or ${last}` : `${last}`
}

const article = (type: string) =>
  type === 'null' ? 'null' : /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`

const kind = (value: unknown) =>
  value === null ? 'null' : article(Array.isArray(value) ? 'array' : typeof value)

/** Makes the components known to the routes, and checks requests by the rules of validation.ts. */
export function validateStrictly(app: FastifyInstance, components: { $id?: string }[]) {
  for (const component of components) app.addSchema(component)
  const compile = createCompiler(components)
  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
    if (httpPart === 'headers') return compile(Type.Object(lowerCased(schema.properties)))
    const check = compile(schema)
    if (httpPart !== 'querystring') return check
    const checkQuery = (query: Record<string, unknown>) => {
      readIntegers(schema, query)
      const valid = check(query)
      checkQuery.errors = check.errors
      return valid
    }
    checkQuery.errors = check.errors
    return checkQuery
  })
}

/** Node tells the names of headers in lower case. */
const lowerCased = (properties: Record<string, TSchema>) =>
  Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name.toLowerCase(), schema]))
