/** The suites of the page, in one process with one browser: see packages/server/test/all-suites.test.ts. */
import { readdirSync } from 'node:fs'

for (const name of readdirSync(new URL('.', import.meta.url)).sort())
  if (name.endsWith('.suite.ts')) await import(`./${name}`)
