/** A client of a server that fails in a given way. */
import type { ServerResponse } from 'node:http'
import type { Test } from 'tap'
import { type Client, type ClientOptions, createClient, type Retry } from '../src/index.js'
import { startServer } from './support.js'

export const id = '019b0f3e-7c00-7000-8000-000000000001'

/** Writes a response, or part of one. */
export type Reply = (response: ServerResponse) => void

export const json =
  (status: number, body: unknown, headers = {}): Reply =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
export const success = json(200, { id })
export const disconnect: Reply = (response) => response.destroy()
export const disconnectInBody: Reply = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 })
  response.write('{"id":', () => response.destroy())
}
export const hang: Reply = () => {}
export const hangInBody: Reply = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 })
  response.write('{"id":')
}

/** A client of a server that sends these replies in order, and repeats the last one. */
export async function faulty(t: Test, replies: Reply[], options: Partial<ClientOptions> = {}) {
  const left = [...replies]
  const { requests, baseUrl } = await startServer(t, (request, response) => {
    const reply = left.length > 1 ? left.shift()! : left[0]!
    request.resume().on('end', () => reply(response))
  })
  const retries: Retry[] = []
  const aklp = createClient({ baseUrl, onRetry: (retry) => retries.push(retry), ...options })
  return { aklp, requests, retries }
}

/** Makes the random delay before each retry of the tests in `t` as short as possible. */
export function withoutDelays(t: Test) {
  const { random } = Math
  t.beforeEach(() => {
    Math.random = () => 0
  })
  t.teardown(() => {
    Math.random = random
  })
}

export const read = (aklp: Client) => aklp.tasks.get(id)
export const update = (aklp: Client) => aklp.tasks.update(id, { status: 'completed' })
export const remove = (aklp: Client) => aklp.tasks.delete(id)
export const create = (aklp: Client) => aklp.tasks.create({ title: 'a' })
