/** What the client's tests share: the real service, and servers that misbehave. */

import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { buildApp } from '../../server/src/app.js'
import { openDatabase } from '../../server/src/db/open.js'
import { loadConfig, serviceOptions } from '../../server/src/start/config.js'

type App = Awaited<ReturnType<typeof buildApp>>

/** Starts the service with an embedded database on a free port, until the test ends. */
export async function startService(test: Test): Promise<{ app: App; baseUrl: string }> {
  const database = await openDatabase('memory://', {
    poolSize: 1,
    statementTimeout: 10_000,
    lockTimeout: 5_000,
    startTimeout: 10_000,
  })
  const app = await buildApp({ ...serviceOptions(loadConfig({})), database })
  test.teardown(async () => {
    app.server.closeAllConnections()
    await app.close()
    await database.close()
  })
  return { app, baseUrl: await app.listen({ host: '127.0.0.1', port: 0 }) }
}

/** Returns a fetch that calls the service without a network. */
export function inProcess(app: App) {
  return async (url: string, { method, headers, body }: RequestInit): Promise<Response> => {
    const { pathname, search } = new URL(url)
    const response = await app.inject({
      method: method as 'GET',
      url: pathname + search,
      headers: Object.fromEntries(new Headers(headers)),
      ...(body && { payload: body as string }),
    })
    const empty = response.statusCode === 204
    return new Response(empty ? null : response.body, {
      status: response.statusCode,
      headers: response.headers as Record<string, string>,
    })
  }
}

/** Starts a server that runs `listener` and records its requests. */
export async function startServer(test: Test, listener: RequestListener) {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    listener(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  test.teardown(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return { requests, server, baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Returns the error of a rejected promise; throws if it resolves or if the error is of another class. */
export async function failure<Kind extends Error>(
  promise: Promise<unknown>,
  Kind: abstract new (...input: any[]) => Kind,
): Promise<Kind> {
  try {
    await promise
  } catch (error) {
    if (error instanceof Kind) return error
    throw error
  }
  throw new Error(`expected a rejection with ${Kind.name}`)
}
