/** The commands that work on the database and exit. Messages go to stderr: stdout is for data. */

import { openDatabase } from '../db/open.js'
import { createLogger } from '../telemetry/logging.js'
import { exportTo } from '../transfer/export.js'
import { importFrom } from '../transfer/import.js'
import { prune } from '../transfer/prune.js'
import { databaseOptions, loggerOptions } from './config.js'
import type { Config } from './settings.js'

/** Upgrades the database schema, and returns where the database is. */
export async function migrate(config: Config): Promise<string> {
  const logger = await createLogger(loggerOptions(config))
  const database = await openDatabase(config.DATABASE_URL, {
    ...databaseOptions(config),
    onWait: (what) => logger.warn(`waiting for ${what}`),
    onNotice: (notice) => logger.warn(notice),
  })
  await database.close()
  return database.location
}

/** Sets the exit code to 1 if a row was not imported. */
export async function runImport(config: Config, options: { from: string; dryRun?: boolean }) {
  const { complete } = await withDatabase(config, (database) =>
    importFrom(database, { ...options, eventDays: config.EVENT_DAYS }),
  )
  if (!complete) process.exitCode = 1
}

export async function runExport(config: Config, options: { to: string; session?: string }) {
  await withDatabase(config, (database) => exportTo(database, options), { mustExist: true })
}

export async function runPrune(
  config: Config,
  options: ({ days: number } | { session: string }) & { to?: string; dryRun?: boolean },
) {
  await withDatabase(config, (database) => prune(database, options), { mustExist: true })
}

type Opened = Awaited<ReturnType<typeof openDatabase>>

async function withDatabase<T>(
  config: Config,
  command: (database: Opened) => Promise<T>,
  { mustExist = false } = {},
): Promise<T> {
  const database = await openDatabase(config.DATABASE_URL, {
    ...databaseOptions(config),
    poolSize: 1,
    mustExist,
    // No client waits for a response.
    statementTimeout: 0,
    onWait: (what) => process.stderr.write(`waiting for ${what}\n`),
    onNotice: (notice) => process.stderr.write(`${notice}\n`),
  })
  try {
    return await command(database)
  } finally {
    await database.close()
  }
}
