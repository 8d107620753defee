/** Generators of malformed and hostile requests, for fast-check. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  type IncomingMessage,
  METHODS,
  type OutgoingHttpHeaders,
  type RequestOptions,
  request as sendHttp,
} from 'node:http'
import fc from 'fast-check'
import { deep, type Operation, valid } from './generators.js'
import type { TestResponse } from './support.js'

/** Bodies that a parser of JSON may handle wrong. */
export const hostileTexts = [
  '',
  ' ',
  'null',
  '[]',
  '1e999',
  'NaN',
  '{"title":"a","title":"b"}',
  '{"title":"a"}}',
  '\ufeff{"title":"a"}',
  '{"title":"\\ud800"}',
  '{"title":"\\u0000"}',
  '{"__proto__":{}}',
  '{"\\u005f_proto__":{}}',
  '{"title":"a","constructor":{"prototype":{}}}',
  deep(100_000),
  '{"a":'.repeat(50_000),
  `{"tasks":${deep(100_000)}}`,
  `{"tasks":[${'{},'.repeat(100_000)}{}]}`,
  `{"ids":[${'0,'.repeat(200_000)}0]}`,
]

/** The bytes of a body: arbitrary ones, or those of a valid body with some of them replaced. */
export function hostileBytes(operation: Operation) {
  const damaged = fc
    .tuple(valid(operation.body), fc.nat(), fc.uint8Array({ maxLength: 3 }))
    .map(([body, offset, damage]) => {
      const bytes = Buffer.from(JSON.stringify(body))
      const at = offset % bytes.length
      return Buffer.concat([bytes.subarray(0, at), damage, bytes.subarray(at + 1)])
    })
  return fc.oneof(
    damaged,
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  )
}

const character = (min: number, max: number) =>
  fc.integer({ min, max }).map((code) => String.fromCharCode(code))
const visible = character(0x21, 0x7e)
/** Every value that a header can have. */
const header = fc.string({ unit: fc.oneof(visible, character(0xa0, 0xff), fc.constantFrom(' ', '\t')) })

const segment = fc.oneof(
  fc.constantFrom(
    '',
    'tasks',
    'batches',
    'bulk',
    'latest',
    'static',
    '*',
    ':task_id',
    '.',
    '..',
    '%2e%2e',
    '%2f',
  ),
  fc.constantFrom('%', '%zz', '%00', '%c0%af', '%F0%9F%98%80', randomUUID(), 'a'.repeat(3_000)),
  // Clients never send a fragment.
  fc.string({ unit: visible }).map((text) => text.replaceAll('#', '')),
)

/** HTTP requests with any method, path, headers and body. */
export const hostileRequest = fc.record({
  method: fc.oneof(
    fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD'),
    fc.constantFrom(...METHODS.filter((method) => method !== 'CONNECT')),
  ),
  path: fc
    .tuple(
      fc.constantFrom('/api/v1/tasks', '/api/v1/batches', '/api', '/health', '/docs', '/openapi.json', ''),
      fc.array(segment, { maxLength: 3 }),
      fc.option(segment),
    )
    .map(([root, segments, query]) => {
      const path = [root, ...segments].join('/') || '/'
      return query === null ? path : `${path}?${query}`
    }),
  headers: fc.record(
    {
      'x-request-id': fc.oneof(
        fc.string({ unit: visible, minLength: 1 }),
        header,
        fc.constantFrom('a'.repeat(128), 'a'.repeat(129)),
      ),
      'content-type': fc.oneof(
        fc.constantFrom('application/json', 'APPLICATION/JSON; charset=latin1', 'application/problem+json'),
        fc.constantFrom(
          'application/jsonx',
          'application/json, a/b',
          'text/plain',
          'multipart/form-data',
          '*/*',
          '',
        ),
        header,
      ),
      'content-encoding': fc.constantFrom('gzip', 'identity'),
      accept: header,
      authorization: header,
    },
    { requiredKeys: [] },
  ),
  payload: fc.oneof(
    fc.constantFrom('{"title": "a"}', ...hostileTexts),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  ),
})

/** Sends a request to a server and returns the response. Fails after 10 s without one. */
export async function send(
  options: RequestOptions & { headers?: OutgoingHttpHeaders },
  payload: string | Buffer,
): Promise<TestResponse> {
  // Without it, Node sends no Content-Length for GET and other methods that rarely have a body.
  const given = { ...options.headers, 'content-length': Buffer.byteLength(payload) }
  const request = sendHttp({ ...options, headers: given, timeout: 10_000 })
  request.once('timeout', () => request.destroy(new Error('no response within the timeout')))
  request.end(payload)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const text = Buffer.concat(await response.toArray()).toString()
  const headers = response.headers as TestResponse['headers']
  const isJson = /\bjson\b/.test(headers['content-type'] ?? '') && text !== ''
  return { status: response.statusCode!, headers, text, body: isJson ? JSON.parse(text) : undefined }
}
