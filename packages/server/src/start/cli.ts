#!/usr/bin/env node
/** The entry of the command line. Everything else is loaded after the compile cache is on, where Node has one. */
import module from 'node:module'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'

// Beside the code, not in the folder for temporary files, where another user could prepare code for this one to run. Node
// does without where it cannot write.
const cache = fileURLToPath(new URL('../../node_modules/.cache', import.meta.url))
const { enableCompileCache } = module as { enableCompileCache?: (folder: string) => void }
enableCompileCache?.(cache)

// V8 compiles a function of WebAssembly again, optimized, once it has run for a while. By default it does so for much of what the
// embedded database runs once at its start, which takes a third of the CPU time and 70 MB.
setFlagsFromString('--wasm-tiering-budget=300000000')

await import('./program.js')
