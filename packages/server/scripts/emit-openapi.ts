/**
 * Writes openapi.json, the contract that clients are made from; with `--check`, only says whether it is current. Needs
 * no database: nothing is asked of it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { buildApp } from '../src/app.js'
import { joined } from '../src/db/database.js'
import { loadConfig, serviceOptions } from '../src/start/config.js'

const file = new URL('../openapi.json', import.meta.url)

const app = await buildApp({
  database: {
    db: joined(async () => []),
    ping: () => Promise.resolve(),
  },
  ...serviceOptions(loadConfig({})),
})
const document = `${JSON.stringify(app.swagger(), null, 2)}\n`
await app.close()

if (!process.argv.includes('--check')) {
  writeFileSync(file, document)
} else if (readFileSync(file, 'utf8') !== document) {
  process.stderr.write('packages/server/openapi.json is stale: run pnpm generate and commit it\n')
  process.exitCode = 1
}
