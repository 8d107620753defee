/** The process: settings, database, application, listening; and an orderly end on a signal. */
import { setTimeout as sleep } from 'node:timers/promises'
import { buildApp } from './app.js'
import { type Config, loadConfig, readEnvironment } from './config.js'
import { openDatabase } from './db/database.js'
import { createLogger } from './logging.js'
import { version } from './version.js'

try {
  await run(loadConfig(readEnvironment()))
} catch (error) {
  // One line and no stack: whoever starts the service is told what to change.
  process.stderr.write(`aklp-task-server: ${reason(error as NodeJS.ErrnoException)}\n`)
  process.exit(1)
}

async function run(config: Config) {
  const logger = await createLogger(config)
  const database = await openDatabase(config.DATABASE_URL, {
    poolSize: config.DATABASE_POOL_SIZE,
    statementTimeout: config.STATEMENT_TIMEOUT_MS,
    startTimeout: config.DATABASE_START_TIMEOUT_MS,
    onWait: (location) => logger.warn(`waiting for ${location}`),
  })
  const stopping = new AbortController()
  const app = await buildApp({ database, config, stopping: stopping.signal, logger })
  await app.listen({
    host: config.HOST,
    port: config.PORT,
    // Connections that wait to be accepted, in a rush; of more, Linux drops attempts, which come again after a second.
    backlog: 4096,
    listenTextResolver: (address) =>
      `AKLP task service ${version}: API ${address}/api/v1, docs ${address}/docs, data in ${database.location}`,
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
  process.once('SIGTERM', stop).once('SIGINT', stop)
}

/** What went wrong, for the person who starts the service. */
function reason({
  code,
  message,
  address,
  port,
}: NodeJS.ErrnoException & { address?: string; port?: number }) {
  const place = `${address}:${port}`
  if (code === 'EADDRINUSE') return `${place} is in use; stop what listens there, or set PORT to another port`
  if (code === 'EACCES' && port) return `not allowed to listen on ${place}; set PORT to 1024 or higher`
  if (code === 'EADDRNOTAVAIL') return `${address} is no address of this machine; set HOST to one that is`
  return message
}
