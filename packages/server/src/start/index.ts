/** The service in another program: as a Fastify plugin, mounted at a prefix of its server, or on a port of its own. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { buildApp } from '../app.js'
import { openDatabase } from '../db/open.js'
import { suggest } from '../http/suggest.js'
import {
  assertAuthConfigured,
  assertNotExposed,
  ConfigError,
  databaseOptions,
  didYouMean,
  loadConfig,
  serviceOptions,
} from './config.js'
import type { Config } from './settings.js'

export interface TaskServiceOptions {
  /**
   * The settings as strings, under the names of their environment variables. HOST, PORT and the settings for logging and
   * shutdown have no effect: the server around the plugin decides. Set keys, a token issuer or `AUTH: 'off'`: whoever reaches
   * the server reaches the tasks. The environment is not read; pass `process.env` to use it.
   */
  settings?: { [Name in keyof Config]?: string } | NodeJS.ProcessEnv
}

/** A service on a port of this machine. */
export interface RunningService {
  /** Its URL, such as `http://127.0.0.1:8001`. */
  url: string
  /** Stops it, after the requests in flight. */
  close(): Promise<void>
}

/**
 * Starts the service in this process and listens, on 127.0.0.1:8001 by default. It logs nothing and handles no signals. Fails if a
 * setting is invalid or unknown, or if the database cannot be opened.
 *
 * @param settings The settings as strings, under the names of their environment variables. The environment is not read.
 * @example
 * const { url, close } = await startService({ DATABASE_URL: 'file:tasks', PORT: '0' })
 */
export async function startService(
  settings: NonNullable<TaskServiceOptions['settings']> = {},
): Promise<RunningService> {
  const config = loadConfig(settings)
  assertNotExposed(config)
  const database = await openDatabase(config.DATABASE_URL, databaseOptions(config))
  const app = await buildApp({ ...serviceOptions(config), database })
  const close = async () => {
    await app.close()
    await database.close()
  }
  try {
    return { url: await app.listen({ host: config.HOST, port: config.PORT }), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Those of the plugin, and those that Fastify takes for every plugin. */
const KNOWN_OPTIONS = ['settings', 'prefix', 'logLevel', 'logSerializers']

/**
 * Handles every request below its prefix, which may have parameters. Parsers, hooks and error handlers of the server around
 * it do not apply there, and the plugin's own do not apply elsewhere. Fails if an option or setting is invalid or unknown, or if
 * the database cannot be opened.
 *
 * @example
 * await app.register(taskService, { prefix: '/aklp', settings: { DATABASE_URL: 'file:tasks', AUTH: 'off' } })
 */
export const taskService = fp<TaskServiceOptions>(
  async (host, { settings = {}, ...others }) => {
    const unknown = Object.keys(others).find((name) => !KNOWN_OPTIONS.includes(name))
    if (unknown !== undefined)
      throw new ConfigError(`Unknown option ${unknown}.${didYouMean(suggest(unknown, KNOWN_OPTIONS))}`)
    const config = loadConfig(settings)
    assertAuthConfigured(config)
    const database = await openDatabase(config.DATABASE_URL, {
      ...databaseOptions(config),
      onWait: (what) => host.log.warn(`waiting for ${what}`),
      onNotice: (notice) => host.log.warn(notice),
    })
    const service = await buildApp({
      ...serviceOptions(config),
      database,
      logger: host.log,
      path: host.prefix,
    })
    host.addHook('onClose', async () => {
      await service.close()
      await database.close()
    })
    const prefix = matcherOf(host)
    const handle = ({ raw }: FastifyRequest, reply: FastifyReply) => {
      reply.hijack()
      raw.url = raw.url!.replace(prefix, '')
      service.routing(raw, reply.raw)
    }
    host.route({
      method: host.supportedMethods,
      url: '/*',
      schema: { hide: true },
      // Before the body is read: from here on the request belongs to the service.
      onRequest: (request, reply) => handle(request, reply),
      handler: () => {},
    })
    // The page is below the prefix, with a slash: its URLs are relative. A route that the server has there is left alone.
    if (
      config.DOCS === 'on' &&
      /[^/]/.test(host.prefix) &&
      !host.hasRoute({ method: 'GET', url: host.prefix })
    ) {
      host.get('', { schema: { hide: true } }, (request, reply) => {
        const [, segment, slash, query] = /([^/?]+)(\/*)(\?.*)?$/.exec(request.url)!
        // A server that ignores the slash has one route for both.
        if (slash) return handle(request, reply)
        // Relative to itself, since a proxy may have removed a part that the client sees.
        return reply.redirect(`./${segment}/${query ?? ''}`)
      })
    }
  },
  { name: 'aklp-task-server', fastify: '5.x', encapsulate: true },
)

/** Matches the part of a URL that belongs to the prefix: as many segments, whatever the values of its parameters. */
function matcherOf({ prefix, initialConfig }: FastifyInstance): RegExp {
  const segments = prefix.split('/').filter((segment) => segment !== '').length
  const { ignoreDuplicateSlashes } = initialConfig.routerOptions ?? initialConfig
  const slash = ignoreDuplicateSlashes ? '/+' : '/'
  // A request through a proxy may have an absolute URL (RFC 9112, section 3.2.2).
  return new RegExp(`^(?:https?://[^/]*)?(?:${slash}[^/?#;]*){${segments}}`)
}
