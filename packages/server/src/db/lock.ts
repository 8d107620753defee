/** Locks on files. The operating system releases them when the process exits or is killed. */
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { tryLock } from 'fs-native-extensions'

export type FolderLock =
  | { acquired: true; release: () => Promise<void> }
  | { acquired: false; holder: string }

/** Far behind the content of the file, because Windows cannot read a locked range. */
const LOCKED_BYTE = 1_000_000

/** Locks the folder for this process, or returns the id of the process that holds the lock. */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const file: FileHandle = await open(join(folder, 'lock'), 'a+')
  if (!tryLock(file.fd, LOCKED_BYTE, 1)) {
    const holder = (await file.readFile('utf8')).trim()
    await file.close()
    return { acquired: false, holder }
  }
  await file.truncate()
  await file.write(String(process.pid))
  return { acquired: true, release: () => file.close() }
}

/** Locks an existing file for this process. Returns undefined if another process holds the lock. */
export async function lockFile(path: string): Promise<FileHandle | undefined> {
  const file = await open(path, 'r+')
  if (tryLock(file.fd, LOCKED_BYTE, 1)) return file
  await file.close()
  return undefined
}
