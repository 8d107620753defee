/** The code of PGlite, compiled in other threads while this one loads the rest of the service. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

interface Module {
  readonly [Symbol.toStringTag]: string
}
// The types of Node lack it.
declare const WebAssembly: { compile(code: Uint8Array): Promise<Module> }

let compiled: Promise<Module> | undefined

/** Starts to compile it, or returns what is compiled already: all databases of a process share it. */
export function compileWasm(): Promise<Module> {
  if (compiled === undefined) {
    compiled = compile()
    // The caller that awaits it handles the error. Until then, Node must not report it as unhandled.
    compiled.catch(() => {})
  }
  return compiled
}

async function compile() {
  const { resolve } = createRequire(import.meta.url)
  return WebAssembly.compile(await readFile(resolve('@electric-sql/pglite/pglite.wasm')))
}
