/** A lock on a folder that the operating system frees when its process ends, however it ends. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { tryLock } from 'fs-native-extensions';
/** Far behind the text of the file: Windows refuses to read a range that is locked. */
const LOCKED_BYTE = 1_000_000;
/** Locks the folder for this process, or tells the id of the process that holds it. */
export async function lockFolder(folder) {
    const file = await open(join(folder, 'lock'), 'a+');
    if (!tryLock(file.fd, LOCKED_BYTE, 1)) {
        const holder = (await file.readFile('utf8')).trim();
        await file.close();
        return { acquired: false, holder };
    }
    await file.truncate();
    await file.write(String(process.pid));
    return { acquired: true, release: () => file.close() };
}
//# sourceMappingURL=lock.js.map