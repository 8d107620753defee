/**
 * Generators of requests for fast-check, made from the OpenAPI document of the service. FC_RUNS sets the number of runs of
 * each property. A failure prints its seed.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import type { TestResponse } from './support.js'

export const numRuns = Number(process.env.FC_RUNS ?? 40)
export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export const isSuccess = ({ status }: TestResponse) => status < 400

/** Asserts what holds for every problem but cannot be part of its schema. */
export function assertProblem({ status, headers, body, text }: TestResponse) {
  const shown = `${status}: ${text}`
  assert.match(headers['content-type']!, /^application\/problem\+json/, shown)
  assert.equal(body.status, status, shown)
  assert.equal(body.type, `urn:aklp:problem:${body.error_code}`, shown)
  assert.equal(body.request_id, headers['x-request-id'], shown)
  assert.equal(status === 422, body.error_code === 'validation_error', shown)
  assert.equal(status === 405, headers.allow !== undefined, shown)
  assert.ok(body.detail.length > 0 && body.detail.length < 5000, shown)
  if (status !== 422) return
  assert.ok(body.errors.length > 0 && body.errors.length <= 20, shown)
  assert.equal(body.errors.length, Math.min(body.error_count, 20), shown)
  for (const { path, message, allowed, did_you_mean } of body.errors) {
    // Only errors of the whole body, and of a field or parameter with an empty name, have an empty path.
    assert.ok(
      path !== '' || /^(must be an object|must have at most|unknown (field|parameter))/.test(message),
      shown,
    )
    assert.ok(did_you_mean === undefined || allowed.includes(did_you_mean), shown)
  }
}

/** An operation of the OpenAPI document: the schemas of its parameters and body, with references resolved. */
export interface Operation {
  operationId: string
  method: string
  path: string
  params: any
  query: any
  body?: any
}

export function readOperations(document: any): Operation[] {
  const resolve = (node: any): any => {
    if (typeof node !== 'object' || node === null) return node
    if (node.$ref) return resolve(document.components.schemas[node.$ref.split('/').at(-1)])
    if (Array.isArray(node)) return node.map(resolve)
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, resolve(value)]))
  }
  // Probes return plain text, and a stream does not end.
  const isOther = ({ responses: { 200: ok } }: any) =>
    ['text/plain', 'text/event-stream'].some((type) => ok?.content?.[type] !== undefined)
  return Object.entries<any>(document.paths).flatMap(([path, methods]) =>
    Object.entries<any>(methods).flatMap(([method, operation]) => {
      if (isOther(operation)) return []
      const { operationId, parameters = [], requestBody } = operation
      const schemaOf = (location: string) => {
        const located = parameters.filter((parameter: any) => parameter.in === location)
        return {
          type: 'object',
          additionalProperties: false,
          required: located.filter(({ required }: any) => required).map(({ name }: any) => name),
          properties: Object.fromEntries(located.map(({ name, schema }: any) => [name, schema])),
        }
      }
      return {
        operationId,
        method: method.toUpperCase(),
        path,
        params: schemaOf('path'),
        query: schemaOf('query'),
        body: requestBody && resolve(requestBody.content['application/json'].schema),
      }
    }),
  )
}

export const uuid = fc.tuple(fc.uuid(), fc.boolean()).map(([id, upper]) => (upper ? id.toUpperCase() : id))

/** Times in every accepted format, except at the ends of the calendar, which an offset could cross. */
const time = fc
  .tuple(
    fc.date({
      min: new Date('0001-01-02T00:00:00Z'),
      max: new Date('9999-12-30T00:00:00Z'),
      noInvalidDate: true,
    }),
    fc.constantFrom('date', '', 'Z', '+09:00', '-00:30'),
  )
  .map(([date, form]) =>
    form === 'date' ? date.toISOString().slice(0, 10) : date.toISOString().slice(0, -1) + form,
  )

const textOf = ({ minLength, maxLength, pattern = '' }: any) =>
  fc
    .oneof(
      { weight: 9, arbitrary: fc.string({ unit: 'binary', minLength }) },
      { weight: 1, arbitrary: fc.constantFrom('a', '한', '\u{10ffff}').map((c) => c.repeat(maxLength)) },
    )
    .map((text) => text.replaceAll('\0', '0'))
    .filter((text) => new RegExp(pattern, 'u').test(text))

const event = fc.stringMatching(/^[0-9a-f]{24}$/)

const key = fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/)

/** Small objects without numbers, with nulls: enough to merge. */
const freeForm = fc.letrec((tie) => ({
  object: fc.dictionary(
    fc.constantFrom('a', 'b', '한'),
    fc.oneof(
      { maxDepth: 2 },
      fc.constant(null),
      fc.boolean(),
      textOf({ maxLength: 10 }),
      tie('object'),
      fc.array(tie('object'), { maxLength: 2 }),
    ),
    { maxKeys: 3 },
  ),
}))

/** Values that match a schema, with `id` as its UUIDs. */
export function valid(schema: any, id: fc.Arbitrary<unknown> = uuid): fc.Arbitrary<any> {
  const { type, format, properties, required, items, minItems, maxItems = 5, minimum, maximum } = schema
  if (schema.oneOf) return fc.oneof(...schema.oneOf.map((one: any) => valid(one, id)))
  if (schema['x-free-form']) return freeForm.object
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (Array.isArray(type)) return fc.oneof(valid({ ...schema, type: type[0] }, id), fc.constant(null))
  if (type === 'array')
    return fc.array(valid(items, id), { minLength: minItems, maxLength: Math.min(maxItems, 5) })
  if (type === 'boolean') return fc.boolean()
  if (type === 'integer') return fc.integer({ min: minimum, max: maximum })
  if (type === 'string') return ({ uuid: id, 'date-time': time, key, event } as any)[format] ?? textOf(schema)
  const fields = Object.entries(properties).map(([name, field]) => [name, valid(field, id)])
  return fc.record(Object.fromEntries(fields), { requiredKeys: required ?? [] })
}

/** Names of fields and parameters, most of them unknown. */
const names = fc.oneof(
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'titel',
    'dueDate',
    'Status',
    '',
    ' ',
    '\0',
    '\ud800',
  ),
  fc.string({ unit: 'binary', maxLength: 200, size: 'max' }),
)

export const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

/** Values that are invalid for most schemas. */
const junk: fc.Arbitrary<any> = fc.oneof(
  fc.constantFrom(null, true, 0, -1, 1.5, 101, 2 ** 31, 2 ** 53, 1e308, -5e-324),
  fc.constantFrom(
    '',
    ' ',
    '\u3000\ufeff',
    'a\0',
    '\ud800',
    '\udc00a',
    'done',
    'PENDING',
    '😀'.repeat(10_001),
  ),
  fc.constantFrom(
    '2025-02-30',
    '2025-12-31T24:00',
    '2016-12-31T23:59:60Z',
    '12/31/2025',
    'now',
    'infinity',
    '-1-01-01',
  ),
  fc.constantFrom(
    '0000-12-31',
    '0001-01-01T00:00+01:00',
    '9999-12-31T23:59:59-01:00',
    '+012025-12-31',
    '２０２５-12-31',
  ),
  fc.constantFrom(
    'nil',
    '550e8400e29b41d4a716446655440001',
    ` ${randomUUID()}`,
    `{${randomUUID()}}`,
    `${randomUUID()}0`,
  ),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.string({ unit: 'binary' }),
  fc.jsonValue(),
  fc.dictionary(names, fc.boolean()),
  fc.nat(1000).map((depth) => JSON.parse(deep(depth + 1))),
)

/** Values that match a schema except in one or two places. By chance they may match there as well. */
function nearlyValid(schema: any): fc.Arbitrary<any> {
  const value = valid(schema)
  if (schema.type === 'array') {
    const wrong = nearlyValid(schema.items)
    const one = fc.tuple(value, wrong).map(([items, item]) => [...items, item])
    return fc.oneof(one, fc.array(wrong, { maxLength: 30, size: 'max' }), junk)
  }
  if (schema.type !== 'object' || Object.keys(schema.properties ?? {}).length === 0) return junk
  const field = fc.constantFrom(...Object.keys(schema.properties))
  const changed = field.chain((name) =>
    fc
      .tuple(value, nearlyValid(schema.properties[name]))
      .map(([object, wrong]) => ({ ...object, [name]: wrong })),
  )
  const unknown = fc.tuple(value, names, junk).map(([object, name, wrong]) => ({ ...object, [name]: wrong }))
  const without = fc.tuple(value, field).map(([object, name]) => ({ ...object, [name]: undefined }))
  return fc.oneof({ weight: 4, arbitrary: changed }, unknown, without, junk)
}

/** The parts of a request. The query is an object, or a list of pairs if a name can occur twice. */
export type Request = Record<'params' | 'query' | 'body', any>

const noBody = fc.constant(undefined)

export function toRequest({ path }: Operation, { params, query, body }: Request) {
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(params[name]))
  const search = new URLSearchParams(query).toString()
  return { url: search ? `${filled}?${search}` : filled, body: JSON.stringify(body) }
}

/** Requests that match the document, with `id` as its UUIDs. */
export const validRequest = ({ params, query, body }: Operation, id: fc.Arbitrary<unknown> = uuid) =>
  fc.record({
    params: valid(params, id),
    query: valid(query, id),
    body: body ? valid(body, id) : noBody,
  })

const validator = new Ajv2020({
  strict: false,
  formats: {
    event: /^[0-9a-f]{24}$/,
    uuid: UUID,
    text: (text: string) => text.isWellFormed() && !text.includes('\0'),
    key: /^[A-Za-z0-9_.-]{1,64}$/,
    'date-time': true,
  },
})

/**
 * Requests most of which do not match the document. `isValid` is the verdict of a validator that is configured independently
 * of the service.
 */
export function nearlyValidRequest(operation: Operation) {
  const text = fc.oneof(
    fc.constantFrom(
      '',
      '0',
      '-1',
      '007',
      '1e1',
      '+1',
      ' 1',
      '1.0',
      '٣',
      '2147483648',
      '1'.repeat(400),
      'null',
    ),
    fc.string({ unit: 'binary' }),
  )
  const inPath = text.filter((text) => !/^\.{0,2}$/.test(text))
  const params = fc.record(
    Object.fromEntries(
      Object.keys(operation.params.properties).map((name) => [
        name,
        fc.oneof({ weight: 3, arbitrary: uuid }, inPath),
      ]),
    ),
  )
  const name = fc.oneof(names, fc.constantFrom('page', ...Object.keys(operation.query.properties)))
  const pair = (name: string, value: unknown): [string, string] => [name.toWellFormed(), String(value)]
  const parameter = fc.tuple(name, text).map(([name, text]) => pair(name, text))
  const query = fc
    .tuple(valid(operation.query), fc.array(parameter, { maxLength: 2 }))
    .map(([values, more]) => [...Object.entries(values).map(([name, value]) => pair(name, value)), ...more])
  const body = operation.body
    ? fc.oneof(valid(operation.body), { weight: 4, arbitrary: nearlyValid(operation.body) })
    : noBody

  const isParamsValid = validator.compile(operation.params)
  const isQueryValid = validator.compile(operation.query)
  const isBodyValid = validator.compile(operation.body ?? true)
  const read = (pairs: [string, string][]) =>
    Object.fromEntries(
      pairs.map(([name, value]) => {
        const all = pairs.flatMap(([other, value]) => (other === name ? [value] : []))
        const { type } = operation.query.properties[name] ?? {}
        if (type === 'array') return [name, all.length > 1 ? all : value.split(',')]
        if (all.length > 1) return [name, 'more than one']
        if (type === 'boolean') return [name, value === 'true' || (value === 'false' ? false : value)]
        return [name, type === 'integer' && /^-?\d+$/.test(value) ? Number(value) : value]
      }),
    )
  return fc.record({ params, query, body }).map((request) => {
    const sent = toRequest(operation, request)
    const readBody = sent.body && JSON.parse(sent.body)
    return {
      ...sent,
      isValid: isParamsValid(request.params) && isQueryValid(read(request.query)) && isBodyValid(readBody),
    }
  })
}
