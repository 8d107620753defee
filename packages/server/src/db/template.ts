/**
 * The template of the embedded database: a data folder that the build initialized and migrated, in one compressed file. A new
 * database starts as a copy of it, since initdb would take seconds and a second instance of PGlite.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompressSync, brotliDecompress, constants } from 'node:zlib'
import { MemoryFS } from '@electric-sql/pglite'
import { readMigrations } from './migrate.js'

/** The options of initdb. With segments of 1 MB instead of 16, a new folder has 30 MB. */
export const INITDB_OPTIONS = ['--wal-segsize=1']

export const TEMPLATE_FILE = fileURLToPath(new URL('../../dist/template', import.meta.url))

/** The folders and files of a data folder, by their paths in it. */
export interface Template {
  folders: string[]
  files: [path: string, content: Buffer][]
}

/** What the file has before the contents: lengths in bytes. */
interface Index {
  folders: string[]
  files: [path: string, length: number][]
}

/** Identifies what a template is made with: PGlite, the options of initdb, and the migrations. */
function templateIdentity(): string {
  const { resolve } = createRequire(import.meta.url)
  const manifest = join(resolve('@electric-sql/pglite'), '../../package.json')
  const { version } = JSON.parse(readFileSync(manifest, 'utf8'))
  const migrations = readMigrations().map(({ hash }) => hash)
  return createHash('sha256')
    .update(JSON.stringify([version, INITDB_OPTIONS, migrations]))
    .digest('hex')
}

/** Packs a data folder that no process uses: the identity, then compressed a line of JSON and the contents of the files. */
export function packTemplate(folder: string): Buffer {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => ({
    path: join(entry.parentPath, entry.name).slice(folder.length + 1),
    isFolder: entry.isDirectory(),
  }))
  const files = paths.filter(({ isFolder }) => !isFolder)
  const contents = files.map(({ path }) => readFileSync(join(folder, path)))
  const index: Index = {
    folders: paths.filter(({ isFolder }) => isFolder).map(({ path }) => path),
    files: files.map(({ path }, i) => [path, contents[i]!.length]),
  }
  // A window of 16 MiB, because a cluster has three databases that are almost the same. Level 11 takes half a minute.
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_LGWIN]: 24 }
  const content = Buffer.concat([Buffer.from(`${JSON.stringify(index)}\n`), ...contents])
  return Buffer.concat([Buffer.from(templateIdentity()), brotliCompressSync(content, { params })])
}

/** Reads the template. Returns undefined if there is none that fits this server. */
export async function readTemplate(file = TEMPLATE_FILE): Promise<Template | undefined> {
  const identity = Buffer.from(templateIdentity())
  try {
    const packed = await readFile(file)
    if (!packed.subarray(0, identity.length).equals(identity)) return undefined
    // In large chunks: the default of 16 KiB takes five times as long.
    const options = { chunkSize: 2 ** 20 }
    return unpack(await promisify(brotliDecompress)(packed.subarray(identity.length), options))
  } catch {
    // Absent or damaged: the database can be created without it.
    return undefined
  }
}

function unpack(content: Buffer): Template {
  let position = content.indexOf('\n') + 1
  const { folders, files }: Index = JSON.parse(content.toString('utf8', 0, position))
  const read = (length: number) => {
    position += length
    return content.subarray(position - length, position)
  }
  return { folders, files: files.map(([path, length]) => [path, read(length)]) }
}

/** Writes the template into a new folder. */
export function copyTemplate({ folders, files }: Template, folder: string) {
  mkdirSync(folder, { mode: 0o700 })
  for (const path of folders) mkdirSync(join(folder, path), { mode: 0o700 })
  for (const [path, content] of files) writeFileSync(join(folder, path), content, { mode: 0o600 })
}

/** A file system in memory that starts with the template. */
export class TemplateFS extends MemoryFS {
  readonly #template: Template

  constructor(template: Template) {
    super()
    this.#template = template
  }

  override async initialSyncFs() {
    const { FS } = this.pg!.Module
    const root = '/pglite/data'
    FS.mkdirTree(root)
    for (const path of this.#template.folders) FS.mkdir(`${root}/${path}`)
    // The file system keeps the contents, which nothing else uses, in place of copies.
    for (const [path, content] of this.#template.files)
      FS.writeFile(`${root}/${path}`, content, { canOwn: true })
  }
}
