#!/usr/bin/env node
/** The entry of the command line. Everything else is loaded after the compile cache is on, where Node has one. */
import module from 'node:module'
import { fileURLToPath } from 'node:url'

// Beside the code, not in the folder for temporary files, where another user could prepare code for this one to run. Node
// does without where it cannot write.
const cache = fileURLToPath(new URL('../../node_modules/.cache', import.meta.url))
const { enableCompileCache } = module as { enableCompileCache?: (folder: string) => void }
enableCompileCache?.(cache)

await import('./program.js')
