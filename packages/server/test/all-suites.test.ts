/**
 * The suites of the service, in one process: to load it and to start the databases takes longer than most of
 * them. Each one also runs alone: `pnpm exec tap packages/server/test/tasks.suite.ts`. tap begins files in the order of their names:
 * this one takes longest, so it should not be the last.
 */
import { readdirSync } from 'node:fs'

for (const name of readdirSync(new URL('.', import.meta.url)).sort())
  if (name.endsWith('.suite.ts')) await import(`./${name}`)
