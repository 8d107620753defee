/**
 * Sets the image tag in every overlay of a folder to the server's version, since `changeset version` knows only packages.
 * Usage: tsx deploy/set-image-version.ts FOLDER
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('Usage: tsx deploy/set-image-version.ts FOLDER')

const { version } = JSON.parse(
  readFileSync(new URL('../packages/server/package.json', import.meta.url), 'utf8'),
)
for (const overlay of readdirSync(folder)) {
  const file = join(folder, overlay, 'kustomization.yaml')
  if (!existsSync(file)) continue
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace(/(?<=^ +newTag: ).*$/gm, version))
}
