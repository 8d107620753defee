/** Writes the licenses of bundled packages into the package: they ask to be kept with the code. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Metafile } from 'esbuild'

const target = fileURLToPath(new URL('../dist/licenses/', import.meta.url))

/**
 * @param name What was bundled: the name of the file.
 * @param base The folder that the paths in `metafile` are relative to.
 */
export function writeLicenses(name: string, base: string, { inputs }: Metafile) {
  const packages = new Set(
    Object.keys(inputs).flatMap(
      (path) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(resolve(base, path)) ?? [],
    ),
  )
  const licenses = [...packages].map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const file = readdirSync(folder).find((entry) => /^(licen[cs]e|unlicense|copying)/i.test(entry))
    const text = file
      ? readFileSync(join(folder, file), 'utf8').trim()
      : `The package has no license file. See https://spdx.org/licenses/${license}.html`
    return `${name} ${version} (${license})\n\n${text}\n`
  })
  mkdirSync(target, { recursive: true })
  writeFileSync(join(target, `${name}.txt`), licenses.sort().join(`\n${'-'.repeat(80)}\n\n`))
}
