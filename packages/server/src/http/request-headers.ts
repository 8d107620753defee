/** Checks of the headers that concern every request, whatever its route. */
import { isIP } from 'node:net'
import fp from 'fastify-plugin'
import { ApiError } from './problem.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route responds whatever the header Host is, also if {@link RequestHeadersOptions.localNamesOnly} is set. */
    anyHost?: true
  }
}

export interface RequestHeadersOptions {
  /**
   * Whether to reject requests whose Host is neither an IP address nor `localhost`. A browser that was led to a loopback address
   * by a DNS record sends the name of the page (DNS rebinding); without authentication, that page could read and change all tasks.
   */
  localNamesOnly: boolean
}

const ONE_HOST = 'The header Host is required once (RFC 9112, section 3.2).'

/** The most header lines of a request: names and values of thousands take fifty times the bytes that were sent. */
const MOST_HEADERS = 200
const TOO_MANY_HEADERS = `The request has more than ${MOST_HEADERS} headers. Send fewer headers.`

export const requestHeaders = fp<RequestHeadersOptions>(
  async (app, { localNamesOnly }) => {
    // Nearly every request has the Host of the one before.
    let accepted: string | undefined
    const isAccepted = (host: string) => {
      if (host !== accepted && isLocalName(host)) accepted = host
      return host === accepted
    }
    app.addHook('onRequest', (request, _reply, done) => {
      const { host, expect } = request.headers
      const { rawHeaders } = request.raw
      if (rawHeaders.length > 2 * MOST_HEADERS)
        return done(new ApiError('headers_too_large', TOO_MANY_HEADERS, { connection: 'close' }))
      if (host === undefined ? request.raw.httpVersion === '1.1' : hasTwoHosts(rawHeaders))
        return done(new ApiError('bad_request', ONE_HOST, { connection: 'close' }))
      if (localNamesOnly && host !== undefined && !request.routeOptions.config.anyHost && !isAccepted(host))
        return done(new ApiError('host_not_allowed'))
      if (expect !== undefined && expect.toLowerCase() !== '100-continue')
        return done(new ApiError('expectation_failed'))
      done()
    })
    // Node ignores the headers after this number, such as If-Match. One more is enough to reject the request.
    app.server.maxHeadersCount = MOST_HEADERS + 1
    // Node would respond by itself, without a body.
    app.server.on('checkExpectation', (request, response) => app.routing(request, response))
  },
  { name: 'request-headers' },
)

/** Node ignores the second Host, which a proxy in front may have used. */
function hasTwoHosts(rawHeaders: string[]): boolean {
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  return hosts > 1
}

/** Whether a Host is an IP address, `localhost` or a subdomain of it, with any port: no DNS record leads there. */
function isLocalName(host: string): boolean {
  const name = host.replace(/:\d*$/, '')
  return isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0 || /^(?:[\w-]+\.)*localhost\.?$/i.test(name)
}
