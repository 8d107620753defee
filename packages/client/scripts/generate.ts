/**
 * Generates src/generated from packages/server/openapi.json, or from another document into another folder:
 * `generate.ts openapi.json folder`. With `--check` it writes nothing, and exits with 1 if a file is stale.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { writeOperations } from './operations.js'
import { readContract } from './read.js'
import { writeTools } from './tools.js'
import { writeTypes } from './types.js'

const HEADER =
  '// GENERATED from packages/server/openapi.json by packages/client/scripts/generate.ts. Do not edit.\n'

const { values: flags, positionals } = parseArgs({
  options: { check: { type: 'boolean' } },
  allowPositionals: true,
})
const [
  source = fileURLToPath(new URL('../../server/openapi.json', import.meta.url)),
  folder = fileURLToPath(new URL('../src/generated', import.meta.url)),
] = positionals

const contract = readContract(JSON.parse(readFileSync(source, 'utf8')))
const files = {
  'schema.ts': await writeTypes(contract),
  'operations.ts': writeOperations(contract),
  'tools.ts': writeTools(contract),
}
for (const [name, text] of Object.entries(files)) {
  const file = join(folder, name)
  const content = `${HEADER}${text}`
  if (!flags.check) {
    writeFileSync(file, content)
  } else if (!existsSync(file) || readFileSync(file, 'utf8') !== content) {
    process.stderr.write(`${file} is stale: run pnpm generate and commit it\n`)
    process.exitCode = 1
  }
}
