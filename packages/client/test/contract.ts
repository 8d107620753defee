/** The operations of the service's OpenAPI document that the client offers. */
import { readFileSync } from 'node:fs'

const { paths } = JSON.parse(readFileSync(new URL('../../server/openapi.json', import.meta.url), 'utf8'))

/** All operations but aliases and those that return no JSON: the probes of a load balancer, and the stream of events. */
export const operations = Object.entries<Record<string, any>>(paths).flatMap(([path, methods]) =>
  Object.entries(methods)
    .filter(([, { responses }]) => {
      const content = responses['200']?.content
      return content === undefined || 'application/json' in content
    })
    .filter(([, operation]) => operation['x-alias-of'] === undefined)
    .map(([method, { operationId }]) => ({
      operationId: operationId as string,
      /** Matches the method and path of a request for this operation. */
      pattern: new RegExp(`^${method.toUpperCase()} ${path.replace(/\{\w+\}/g, '[0-9a-f-]{36}')}$`),
    })),
)
