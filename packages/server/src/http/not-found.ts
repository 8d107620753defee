/** Paths and methods that do not exist: 404 and 405. */
import { METHODS } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { catalogue } from './catalogue.js'
import { ApiError } from './problem.js'
import { suggest } from './suggest.js'

/** A path with more segments is near no route. */
const MAX_SEGMENTS = 8

/** The segments of a path or route that tell it from others: without `/api/v1`, which callers forget. */
const segmentsOf = (path: string) =>
  path
    .split('/', MAX_SEGMENTS + 4)
    .filter((segment, place) => segment !== '' && !(place < 3 && /^(api|v\d{1,2})$/i.test(segment)))

const isParameter = (segment: string) => segment.startsWith(':')

/** The route that the caller of an unknown path probably meant: `/api/v1/tasks` for `/tasks`. */
export function nearestRoute(path: string, routes: readonly string[]): string | undefined {
  const given = segmentsOf(path)
  if (given.length === 0 || given.length > MAX_SEGMENTS) return undefined
  const names = [...new Set(routes.flatMap(segmentsOf).filter((segment) => !isParameter(segment)))]
  const meant = given.map((segment) => suggest(segment, names))
  const [nearest] = routes
    .map((route) => ({ route, segments: segmentsOf(route) }))
    .filter(({ segments }) => meant.some((name) => name !== undefined && segments.includes(name)))
    .map(({ route, segments }) => ({ route, edits: editsBetween(meant, segments) }))
    .sort((a, b) => a.edits - b.edits)
  return nearest && nearest.edits <= 2 ? nearest.route.replace(/:(\w+)/g, '{$1}') : undefined
}

/** How many segments must be added or removed; `meant` has undefined for what is no name, such as an id. */
function editsBetween(meant: readonly (string | undefined)[], segments: readonly string[]): number {
  let above = [0, ...segments.map((_, n) => n + 1)]
  for (const name of meant) {
    const row = [above[0]! + 1]
    for (const [n, segment] of segments.entries()) {
      const replaced = isParameter(segment) ? Number(name !== undefined) : name === segment ? 0 : 2
      row.push(Math.min(above[n]! + replaced, above[n + 1]! + 1, row[n]! + 1))
    }
    above = row
  }
  return above.at(-1)!
}

/**
 * Rejects unknown paths with 404 before the body is read, so that its media type does not matter. Returns a function that
 * adds 405 for the other methods of all known paths (RFC 9110, section 15.5.6); call it after all routes are registered.
 */
export function rejectUnknownRoutes(app: FastifyInstance) {
  const visible = new Set<string>()
  const notFound = (request: FastifyRequest) => {
    const route = nearestRoute(request.url.split('?', 1)[0]!, [...visible])
    if (route === undefined) return new ApiError('route_not_found')
    const { detail } = catalogue.route_not_found
    return new ApiError('route_not_found', detail.replace('path.', `path. Did you mean \`${route}\`?`))
  }
  app.addHook('onRequest', (request, _reply, done) => {
    done(request.is404 ? notFound(request) : undefined)
  })
  app.setNotFoundHandler((request) => {
    throw notFound(request)
  })

  for (const method of METHODS) {
    if (!app.supportedMethods.includes(method) && method !== 'CONNECT') app.addHttpMethod(method)
  }
  const methods = new Map<string, string[]>()
  app.addHook('onRoute', ({ url, method, schema }) => {
    if (schema?.operationId !== undefined) visible.add(url)
    methods.set(url, [...(methods.get(url) ?? []), ...[method].flat()])
  })
  return function rejectOtherMethods() {
    for (const [url, allowed] of [...methods]) {
      const names = allowed.sort().join(', ')
      app.route({
        url,
        method: app.supportedMethods.filter((method) => !allowed.includes(method)),
        schema: { hide: true },
        onRequest: (request) => {
          throw new ApiError(
            'method_not_allowed',
            `${request.method} is not allowed on this path. Allowed: ${names}.`,
            { allow: names },
          )
        },
        handler: () => {},
      })
    }
  }
}
