/**
 * Bundles the page into the server's package, as packages/server/dist/web. All files but index.html have a hash of their content in
 * their name, so that browsers can keep them. Fails if the page is larger than its budget.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { type BuildOptions, buildSync, type Metafile } from 'esbuild'
import { writeLicenses } from '../../server/scripts/licenses.js'

const MAX_BYTES = 80 * 1024

const source = fileURLToPath(new URL('../src/', import.meta.url))
const target = fileURLToPath(new URL('../../server/dist/web/', import.meta.url))

const shared = {
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  conditions: ['@aklp/source'],
  legalComments: 'none',
  metafile: true,
  write: false,
  outdir: target,
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
} satisfies BuildOptions

/** The name of the file that was made of an entry point. */
function fileOf({ outputs }: Metafile, entry: string): string {
  const [path] = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint?.endsWith(`src/${entry}`))!
  return basename(path)
}

const worker = buildSync({ ...shared, entryPoints: [join(source, 'graph/worker.ts')] })

const page = buildSync({
  ...shared,
  define: { LAYOUT_WORKER: JSON.stringify(fileOf(worker.metafile, 'graph/worker.ts')) },
  entryPoints: [join(source, 'main.tsx'), join(source, 'styles/main.css')],
  splitting: true,
})

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>AKLP</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='8' fill='%234455cc'/%3E%3Cpath d='M4.5 8.2l2.4 2.4 4.6-5' fill='none' stroke='white' stroke-width='1.8'/%3E%3C/svg%3E">
<link rel="stylesheet" href="assets/${fileOf(page.metafile, 'styles/main.css')}">
<script type="module" src="assets/${fileOf(page.metafile, 'main.tsx')}"></script>
</head>
<body></body>
</html>
`

const files = [
  { name: 'index.html', contents: Buffer.from(html) },
  ...[...worker.outputFiles, ...page.outputFiles].map(({ path, contents }) => ({
    name: basename(path),
    contents,
  })),
]
const bytes = files.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0)
process.stdout.write(`The page: ${bytes} of at most ${MAX_BYTES} bytes, minified and gzipped\n`)
if (bytes > MAX_BYTES) process.exit(1)

rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
for (const { name, contents } of files) writeFileSync(join(target, name), contents)
writeLicenses('page', process.cwd(), page.metafile)
