/** The service as a process: opens the database, listens, and shuts down in order on a signal. */

import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from '../db/open.js'
import { version } from '../http/version.js'
import { createLogger } from '../telemetry/logging.js'
import { assertNotExposed, databaseOptions, loggerOptions, serviceOptions } from './config.js'
import type { Config } from './settings.js'

export async function run(config: Config) {
  assertNotExposed(config)
  const logger = await createLogger(loggerOptions(config))
  // The first process of a container has no default action for signals: it could not be stopped while it waits.
  const end = () => process.exit(0)
  process.once('SIGTERM', end).once('SIGINT', end)
  // Side by side: the embedded database is read and compiled in other threads.
  const [database, { buildApp }] = await Promise.all([
    openDatabase(config.DATABASE_URL, {
      ...databaseOptions(config),
      onWait: (what) => logger.warn(`waiting for ${what}`),
      onNotice: (notice) => logger.warn(notice),
    }),
    import('../app.js'),
  ])
  const stopping = new AbortController()
  const app = await buildApp({ ...serviceOptions(config), database, stopping: stopping.signal, logger })
  await app.listen({
    host: config.HOST,
    port: config.PORT,
    // Connections not accepted yet, in a burst. Linux drops more than these, and clients retry after a second.
    backlog: 4096,
    listenTextResolver: (address) => {
      const docs = config.DOCS === 'on' ? `, docs ${address}/docs, page ${address}/` : ''
      return `AKLP task service ${version}: API ${address}/api/v1${docs}, data in ${database.location}`
    },
  })

  const stop = async (signal: string) => {
    logger.info(`${signal}: stopping`)
    // A second signal does not wait for requests in flight.
    process.once('SIGTERM', () => process.exit(1)).once('SIGINT', () => process.exit(1))
    stopping.abort()
    // Ctrl-C comes from a person, not from behind a load balancer.
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
