/** Prints the size of the client, minified and gzipped. Fails if the SDK without its tools exceeds the budget. */
import { gzipSync } from 'node:zlib'
import { buildSync } from 'esbuild'

const MAX_BYTES = 7168

function size(entry: string): number {
  const { outputFiles } = buildSync({
    entryPoints: [new URL(`../src/${entry}.ts`, import.meta.url).pathname],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  })
  return gzipSync(outputFiles[0]!.contents, { level: 9 }).length
}

const sdk = size('index')
process.stdout.write(
  `@aklp/task-client: ${sdk} of at most ${MAX_BYTES} bytes, minified and gzipped; the entry for tools: ${size('tools/index')} bytes\n`,
)
if (sdk > MAX_BYTES) process.exitCode = 1
