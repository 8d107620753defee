/** The page for people at `/`, and for programs a list of what is served here. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ApiError } from './problem.js'
import { JSON_TYPE } from './schemas.js'
import { version } from './version.js'

export interface PageOptions {
  /** Whether the service has `/mcp`. */
  mcp: boolean
}

/** Where packages/web/scripts/build.ts puts it: the same folder for the sources and for what is built from them. */
const FOLDER = new URL('../../dist/web/', import.meta.url)

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
}

/** Nothing from another host, nothing inline: a title can never become markup that runs. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** All URLs are relative to that of the page, since the service does not know under which path it is reached. */
export const page = fp<PageOptions>(
  async (app, { mcp }) => {
    const files = readFiles()
    const index = files.get('index.html')
    const links = JSON.stringify({
      service: 'AKLP Task Service',
      version,
      api: './api/v1',
      docs: './docs',
      openapi: './openapi.json',
      ...(mcp && { mcp: './mcp' }),
      ...(index && { page: './' }),
    })

    app.get('/', { schema: { hide: true } }, (request, reply) => {
      reply.header('vary', 'Accept, Accept-Encoding').header('cache-control', 'no-cache')
      if (index === undefined || !/\btext\/html\b/i.test(request.headers.accept ?? ''))
        return reply.type(JSON_TYPE).send(links)
      reply.header('content-security-policy', CONTENT_SECURITY_POLICY)
      return index(request, reply)
    })

    files.delete('index.html')
    app.get<{ Params: { name: string } }>('/assets/:name', { schema: { hide: true } }, (request, reply) => {
      const send = files.get(request.params.name)
      if (send === undefined) throw new ApiError('route_not_found')
      // A worker has the policy of its own response.
      reply.header('content-security-policy', CONTENT_SECURITY_POLICY)
      // The name has a hash of the content.
      reply.header('cache-control', 'public, max-age=31536000, immutable').header('vary', 'Accept-Encoding')
      return send(request, reply)
    })
  },
  { name: 'page' },
)

/** Sends a file of the page. */
type Send = (request: FastifyRequest, reply: FastifyReply) => FastifyReply

/** The files of the page by name; none before the first build. They are small, and kept in memory. */
function readFiles(): Map<string, Send> {
  const names = existsSync(FOLDER) ? readdirSync(FOLDER) : []
  return new Map(names.map((name) => [name, senderOf(name)]))
}

function senderOf(name: string): Send {
  const plain = readFileSync(new URL(name, FOLDER))
  let zipped: Buffer | undefined
  return ({ headers }, reply) => {
    reply.type(TYPES[extname(name)]!)
    if (!/\bgzip\b/.test(headers['accept-encoding'] ?? '')) return reply.send(plain)
    zipped ??= gzipSync(plain)
    return reply.header('content-encoding', 'gzip').send(zipped)
  }
}
