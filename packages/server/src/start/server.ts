/** The service as a process: database, application, listening; and an orderly end on a signal. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { buildApp } from '../app.js'
import { openDatabase } from '../db/open.js'
import { version } from '../http/version.js'
import { createLogger } from '../telemetry/logging.js'
import type { Config } from './config.js'
import { refuseExposure } from './exposure.js'

export async function run(config: Config) {
  refuseExposure(config)
  const logger = await createLogger(config)
  // As the first process of a container, it would not end by itself while it waits for its database.
  const end = () => process.exit(0)
  process.once('SIGTERM', end).once('SIGINT', end)
  const database = await open(config, logger)
  const stopping = new AbortController()
  const app = await buildApp({ database, config, stopping: stopping.signal, logger })
  await app.listen({
    host: config.HOST,
    port: config.PORT,
    // Connections that wait to be accepted, in a rush; of more, Linux drops attempts, which come again after a second.
    backlog: 4096,
    listenTextResolver: (address) => {
      const docs = config.DOCS === 'on' ? `, docs ${address}/docs` : ''
      return `AKLP task service ${version}: API ${address}/api/v1${docs}, data in ${database.location}`
    },
  })

  const stop = async (signal: string) => {
    logger.info(`${signal}: stopping`)
    // A second signal, or a request that does not end, is not waited for.
    process.once('SIGTERM', () => process.exit(1)).once('SIGINT', () => process.exit(1))
    stopping.abort()
    // Ctrl-C is pressed by a person, whom no balancer keeps waiting.
    if (signal === 'SIGTERM') await sleep(config.SHUTDOWN_DELAY_MS)
    const deadline = Date.now() + config.SHUTDOWN_TIMEOUT_MS
    const cut = setTimeout(() => app.server.closeAllConnections(), config.SHUTDOWN_TIMEOUT_MS)
    await app.close()
    clearTimeout(cut)
    await database.close(deadline - Date.now())
    logger.info('stopped')
    process.exit(0)
  }
  process.off('SIGTERM', end).off('SIGINT', end)
  process.once('SIGTERM', stop).once('SIGINT', stop)
}

/** Brings the schema of the database up to date, and answers where it is. */
export async function migrate(config: Config): Promise<string> {
  const database = await open(config, await createLogger(config))
  await database.close()
  return database.location
}

const open = (config: Config, logger: Logger) =>
  openDatabase(config.DATABASE_URL, {
    poolSize: config.DATABASE_POOL_SIZE,
    statementTimeout: config.STATEMENT_TIMEOUT_MS,
    lockTimeout: config.LOCK_TIMEOUT_MS,
    startTimeout: config.DATABASE_START_TIMEOUT_MS,
    onWait: (location) => logger.warn(`waiting for ${location}`),
  })
