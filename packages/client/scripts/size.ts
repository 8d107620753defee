/** Prints how much the client weighs, minified and gzipped, and fails when the SDK itself is heavier than it may be. */
import { gzipSync } from 'node:zlib'
import { buildSync } from 'esbuild'

const MOST_BYTES = 4096

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
  `@aklp/task-client: ${sdk} of at most ${MOST_BYTES} bytes, minified and gzipped; ` +
    `its entry for tools, for those who import it: ${size('tools')} bytes\n`,
)
if (sdk > MOST_BYTES) process.exitCode = 1
