/**
 * Validates input against the schemas and explains each error so that a language model can correct it: the field, the rule,
 * the allowed names or values, and the one that was probably meant. Nothing is coerced and nothing is dropped, except that
 * the integers, booleans and lists of a query, which arrive as text, are parsed.
 */
import { type TSchema, Type } from '@sinclair/typebox'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { FastifyInstance } from 'fastify'
import { formatMessages, formats } from './formats.js'
import { FREE_FORM, type FreeForm, freeFormMistake } from './free-form.js'
import { type Synonyms, suggest } from './suggest.js'
import { type Components, createTrim, givenLength, type Unknown } from './trim.js'

/** One error in the input. */
export interface FieldError {
  /** Where it is: `title`, `tasks[3].status`; empty for the whole input. */
  path: string
  message: string
  /** The allowed values or names. */
  allowed?: (string | null)[]
  /** The allowed value or name that was probably meant. Never applied by itself. */
  did_you_mean?: string
}

/** Why a value is invalid. */
export interface Invalid {
  errors: ErrorObject[]
  /** How many more unknown fields there are, for which `errors` has no entry. */
  omitted: number
  synonyms: Synonyms
}

/** A compiled schema: returns why the value is invalid, or undefined. It fills in defaults in place. */
export type Check = (value: unknown) => Invalid | undefined

/** A part of a request is invalid. */
export class InvalidPart extends Error {
  /** Which part: set by Fastify. */
  declare validationContext: 'params' | 'querystring' | 'headers' | 'body'

  constructor(readonly invalid: Invalid) {
    super()
  }
}

/**
 * A compiler of schemas that may refer to the named components. Compiling throws for a keyword that has no message.
 * `synonyms` are other words for the names and values in the schemas.
 */
export function createCompiler(components: TSchema[], synonyms: Synonyms = {}): (schema: TSchema) => Check {
  const ajv = new Ajv({
    allErrors: true,
    verbose: true, // errors carry the schema and the value, which the messages name
    useDefaults: true,
    allowUnionTypes: true,
    strict: true,
    strictTypes: false,
    formats,
    schemas: components,
    // The types of TypeBox keep the schemas valid. Compiling the schema of schemas would take longer than compiling them.
    meta: false,
    validateSchema: false,
  })
  ajv.addKeyword({
    keyword: FREE_FORM,
    type: 'object',
    errors: false,
    validate: (limits: FreeForm, value: object) => freeFormMistake(limits, value) === undefined,
  })
  const byId: Components = new Map(components.map((component) => [component.$id, component]))
  return (schema) => {
    assertMessages(schema, byId)
    // By the first value: to compile all schemas would take a sixth of the start.
    let compiled: { validate: ValidateFunction; trim: ReturnType<typeof createTrim> } | undefined
    return (value) => {
      compiled ??= { validate: ajv.compile(schema), trim: createTrim(schema, byId) }
      const { validate, trim } = compiled
      const unknown: Unknown = { kept: 0, omitted: 0 }
      if (validate(trim === undefined ? value : trim(value, unknown))) return undefined
      const errors = validate.errors!
      // It refers to the value, which may be large.
      validate.errors = null
      return { errors, omitted: unknown.omitted, synonyms }
    }
  }
}

/**
 * Parses the integers, booleans and lists of a query in place; the check rejects what is not a plain one. A list is separated by
 * commas, or is a parameter that is repeated.
 */
export function readQuery(schema: TSchema, query: Record<string, unknown>) {
  for (const [name, property] of Object.entries<TSchema>(schema.properties)) {
    const value = query[name]
    if (typeof value !== 'string') continue
    if (property.type === 'integer') {
      if (/^-?\d{1,15}$/.test(value)) query[name] = Number(value)
    } else if (property.type === 'boolean') {
      if (value === 'true' || value === 'false') query[name] = value === 'true'
    } else if (property.type === 'array') query[name] = value.split(',')
  }
}

/**
 * Explains why a value is invalid: the first `most` places, with one error each, and the number of all places. `noun` is
 * what a name in the input is called.
 */
export function explain(
  { errors: all, omitted, synonyms }: Invalid,
  most: number,
  noun: 'field' | 'parameter' = 'field',
): { errors: FieldError[]; count: number } {
  const reported: ErrorObject[] = []
  let count = 0
  let previous: ErrorObject | undefined
  for (const error of all) {
    // The errors of one place follow each other.
    const again = error.instancePath === previous?.instancePath && nameOf(error) === nameOf(previous)
    previous = error
    if (!again) {
      count++
      if (reported.length < most) reported.push(error)
    } else if (error.keyword === 'enum' && count === reported.length) {
      // For a value of the wrong type that is not in the enum either, the enum says more.
      reported[count - 1] = error
    }
  }
  const errors = reported.map((error) => {
    const broken = rules[error.keyword]!.explain(error, noun)
    return { path: placeOf(error), ...broken, ...meant(error, broken.allowed, synonyms) }
  })
  return { errors, count: count + omitted }
}

/** Whether the error is an unknown name, and not a wrong value. */
export const isUnknown = ({ message }: FieldError) => message.startsWith('unknown ')

/** An error as one phrase: `PORT must be …`, or `session: unknown field; …`. */
export const phrase = (error: FieldError) => `${error.path}${isUnknown(error) ? ':' : ''} ${error.message}`

/** The name that an error is about: an unknown or a missing one. */
const nameOf = ({ params }: ErrorObject): string | undefined =>
  params.additionalProperty ?? params.missingProperty

/** Where an error is, including its name: `tasks[3].title` for `/tasks/3/title`. Only known names precede the last one. */
function placeOf(error: ErrorObject): string {
  const path = error.instancePath
    .slice(1)
    .replace(/\/?\b(\d+)\b/g, '[$1]')
    .replaceAll('/', '.')
  const name = nameOf(error)
  if (name === undefined) return path
  return path ? `${path}.${shorten(name)}` : shorten(name)
}

interface Rule {
  /** Why the message would be wrong for this schema, if it would. */
  unfit?: (schema: TSchema) => string | false
  /** The rule that is broken, as the end of a sentence that begins with the place. */
  explain: (error: ErrorObject, noun: string) => Pick<FieldError, 'message' | 'allowed'>
}

const isInteger = (type: unknown) => [type].flat().includes('integer')

const range: Rule = {
  unfit: ({ type, minimum, maximum }) =>
    (!isInteger(type) || minimum === undefined || maximum === undefined) &&
    'needs an integer with minimum and maximum',
  explain: ({ parentSchema: { minimum, maximum } = {} }) => ({
    message: `must be a whole number from ${minimum} to ${maximum}`,
  }),
}

const itemCount: Rule = {
  unfit: ({ minItems, maxItems }) =>
    (minItems === undefined || maxItems === undefined) && 'needs both minItems and maxItems',
  explain: ({ data, parentSchema: { minItems, maxItems } = {} }) => ({
    message: `must have ${minItems} to ${maxItems} items, has ${givenLength(data as unknown[])}`,
  }),
}

/** The keywords that a schema may use, with their messages. */
const rules: Record<string, Rule> = {
  additionalProperties: {
    unfit: ({ additionalProperties }) => additionalProperties !== false && 'must be false',
    explain: ({ parentSchema: { properties } = {} }, noun) => {
      const allowed = Object.keys(properties)
      const names = allowed.length > 0 ? `allowed: ${allowed.join(', ')}` : 'none are allowed'
      return { message: `unknown ${noun}; ${names}`, allowed }
    },
  },
  required: { explain: () => ({ message: 'is required' }) },
  enum: {
    explain: ({ params }) => ({
      message: `must be ${list(params.allowedValues)}`,
      allowed: params.allowedValues,
    }),
  },
  type: {
    unfit: (schema) => isInteger(schema.type) && range.unfit!(schema),
    explain: (error, noun) =>
      error.params.type === 'integer'
        ? range.explain(error, noun)
        : { message: `must be ${list([error.params.type].flat().map(article))}, not ${kind(error.data)}` },
  },
  minimum: range,
  maximum: range,
  format: {
    unfit: ({ format }) => !Object.hasOwn(formatMessages, format) && `no message for the format ${format}`,
    explain: ({ params }) => ({ message: formatMessages[params.format as keyof typeof formats] }),
  },
  pattern: {
    unfit: ({ pattern }) => pattern !== NOT_BLANK && `has a message only for ${NOT_BLANK}`,
    explain: () => ({ message: 'must not be blank' }),
  },
  minLength: {
    unfit: ({ minLength }) => minLength !== 1 && 'has a message only for 1',
    explain: () => ({ message: 'must not be empty' }),
  },
  maxLength: {
    explain: ({ params, data }) => ({
      message: `must have at most ${params.limit} characters, has ${lengthOf(data as string)}`,
    }),
  },
  minItems: itemCount,
  maxItems: itemCount,
  [FREE_FORM]: {
    explain: ({ data, schema }) => ({ message: freeFormMistake(schema as FreeForm, data)! }),
  },
}

/** The number of code points. */
function lengthOf(text: string): number {
  let length = 0
  for (const _ of text) length++
  return length
}

/** The only pattern with a message; other rules are formats. */
const NOT_BLANK = '\\S'

/** Keywords that reject nothing by themselves. */
const annotations = new Set([
  '$id',
  '$ref',
  'title',
  'description',
  'default',
  'examples',
  'properties',
  'items',
])

/** Throws when a schema could reject a value without a message for it. */
function assertMessages(schema: TSchema, components: Components, place = '') {
  for (const keyword of Object.keys(schema)) {
    if (annotations.has(keyword)) continue
    const rule = Object.hasOwn(rules, keyword) ? rules[keyword]! : undefined
    const reason = rule === undefined ? 'no message for this keyword' : rule.unfit?.(schema)
    if (typeof reason === 'string') throw new Error(`${place || 'the schema'}: ${keyword}: ${reason}`)
  }
  const parts: [name: string, part: TSchema][] = [
    ...Object.entries<TSchema>(schema.properties ?? {}),
    ...(schema.items ? [['[]', schema.items] as [string, TSchema]] : []),
    ...(schema.$ref ? [[schema.$ref, components.get(schema.$ref)!] as [string, TSchema]] : []),
  ]
  for (const [name, part] of parts) assertMessages(part, components, place ? `${place}.${name}` : name)
}

/** The allowed name or value that was probably meant, if one is near. */
function meant(
  { params, data }: ErrorObject,
  allowed: FieldError['allowed'] = [],
  synonyms: Synonyms,
): Pick<FieldError, 'did_you_mean'> {
  const given = params.additionalProperty ?? data
  if (typeof given !== 'string') return {}
  const did_you_mean = suggest(
    given,
    allowed.filter((name) => name !== null),
    synonyms,
  )
  return did_you_mean === undefined ? {} : { did_you_mean }
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

/** Registers the named components, and validates every request as described above. */
export function validateStrictly(app: FastifyInstance, components: TSchema[], synonyms: Synonyms) {
  for (const component of components) app.addSchema(component)
  const compile = createCompiler(components, synonyms)
  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
    const check = compile(httpPart === 'headers' ? Type.Object(lowerCased(schema.properties)) : schema)
    return (value) => {
      if (httpPart === 'querystring') readQuery(schema, value)
      const invalid = check(value)
      return invalid === undefined || { error: new InvalidPart(invalid) }
    }
  })
}

/** Node reports the names of headers in lower case. */
const lowerCased = (properties: Record<string, TSchema>) =>
  Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name.toLowerCase(), schema]))
