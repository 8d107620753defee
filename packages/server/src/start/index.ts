/** The service as a Fastify plugin, for an application that has it below a path of its own server. */

import type { FastifyPluginAsync } from 'fastify'
import { buildApp } from '../app.js'
import { openDatabase } from '../db/open.js'
import { type Config, loadConfig } from './config.js'
import { refuseOpenDoor } from './exposure.js'

export interface TaskServiceOptions {
  /**
   * The settings, under the names of their environment variables and as text. Those of listening, logging and stopping
   * have no effect: they are the server's. Without API_KEYS or JWT_ISSUER, AUTH must be `off`: whoever reaches the server
   * reaches the tasks. The environment is not read; give `process.env` to have it so.
   */
  settings?: { [Name in keyof Config]?: string } | NodeJS.ProcessEnv
}

/**
 * Answers every request below the prefix that the plugin is registered with. The rules of the application around it, for
 * bodies, errors and validation, do not apply there, nor the other way.
 *
 * @example
 * await app.register(taskService, { prefix: '/tasks-of-agents', settings: { DATABASE_URL: 'file:tasks', AUTH: 'off' } })
 */
export const taskService: FastifyPluginAsync<TaskServiceOptions> = async (host, { settings = {} }) => {
  const config = loadConfig(settings)
  refuseOpenDoor(config)
  const database = await openDatabase(config.DATABASE_URL, {
    poolSize: config.DATABASE_POOL_SIZE,
    statementTimeout: config.STATEMENT_TIMEOUT_MS,
    lockTimeout: config.LOCK_TIMEOUT_MS,
    startTimeout: config.DATABASE_START_TIMEOUT_MS,
    onWait: (location) => host.log.warn(`waiting for ${location}`),
  })
  const service = await buildApp({ database, config, logger: host.log, path: host.prefix })
  host.addHook('onClose', async () => {
    await service.close()
    await database.close()
  })
  host.route({
    method: host.supportedMethods,
    url: '/*',
    schema: { hide: true },
    // Before the body is read, the request changes hands for good.
    onRequest: ({ raw }, reply) => {
      reply.hijack()
      raw.url = raw.url!.slice(host.prefix.length)
      service.routing(raw, reply.raw)
    },
    handler: () => {},
  })
}
