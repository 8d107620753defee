/** What is kept for the agents of a project, in the folder `.aklp`: the session, and which names are taken. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, join } from 'node:path'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** The longest name of a worker that the service accepts. */
const LONGEST_NAME = 128

export class Project {
  #name: string | undefined

  /** @param folder The working directory. */
  constructor(readonly folder: string) {}

  /** The session: the given one, or one that is made up once and kept. */
  session(given: string | undefined): string {
    if (given) {
      if (UUID.test(given)) return given
      throw new Error(`AKLP_SESSION must be a UUID, such as ${randomUUID()}, not ${given}`)
    }
    const file = this.path('session')
    // A second process that starts at the same time reads what the first has written.
    const kept = this.#create(file, `${randomUUID()}\n`) ?? readFileSync(file, 'utf8')
    if (UUID.test(kept.trim())) return kept.trim()
    throw new Error(`${file} does not contain a UUID. Delete it, or set AKLP_SESSION`)
  }

  /**
   * A name for the process: after a restart the same one, so that an agent gets back its task, and never that of a process that
   * still runs, whose task it would take.
   */
  worker(): string {
    const where = `${basename(this.folder) || 'agent'}@${hostname()}`
    for (let nth = 1; ; nth++) {
      const file = this.path(`worker-${hostname()}-${nth}`)
      if (this.#take(file)) {
        this.#name = file
        return (nth === 1 ? where : `${where}/${nth}`).slice(-LONGEST_NAME)
      }
    }
  }

  /** Gives the name back. */
  close() {
    if (this.#name) rmSync(this.#name, { force: true })
  }

  /** The path of a file in `.aklp`, which is created if necessary and ignored by git. */
  path(name: string): string {
    const folder = join(this.folder, '.aklp')
    try {
      mkdirSync(folder, { recursive: true })
      this.#create(join(folder, '.gitignore'), '*\n')
    } catch (error) {
      throw new Error(
        `cannot write ${folder} (${(error as NodeJS.ErrnoException).code}). Start it in a folder of your own, or set AKLP_URL, AKLP_SESSION and AKLP_WORKER`,
      )
    }
    return join(folder, name)
  }

  #take(file: string): boolean {
    const own = `${process.pid}`
    if (this.#create(file, own)) return true
    const holder = Number(readFileSync(file, 'utf8'))
    if (holder > 0 && isRunning(holder)) return false
    rmSync(file, { force: true })
    return this.#create(file, own) !== undefined
  }

  /** Writes a new file and returns its text; undefined if it exists. */
  #create(file: string, text: string): string | undefined {
    try {
      writeFileSync(file, text, { flag: 'wx' })
      return text
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined
      throw error
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Another user's process.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
