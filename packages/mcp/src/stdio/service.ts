/**
 * A service of the project's own, on an embedded database in `.aklp`. The first process that needs it runs it for all: only one
 * can open the database. When that one ends, the next one that makes a call takes over.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { Project } from './project.js'

/** What `@aklp/task-server` exports. It is optional, so its types may be missing. */
interface TaskServer {
  startService(settings: Record<string, string>): Promise<{ url: string; close(): Promise<void> }>
}

const PACKAGE = '@aklp/task-server'

/** How long to wait for a process that has the database but does not serve it yet, in milliseconds. */
const LONGEST_WAIT = 30_000

export class OwnService {
  readonly #project: Project
  readonly #server: TaskServer
  #connected: Promise<string> | undefined
  #own: Awaited<ReturnType<TaskServer['startService']>> | undefined

  constructor(project: Project, server: TaskServer) {
    this.#project = project
    this.#server = server
  }

  /** Loads the package of the service: the one beside this package, or that of the project. */
  static async load(folder: string): Promise<TaskServer> {
    const name: string = PACKAGE
    try {
      return await import(name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    }
    try {
      return await import(pathToFileURL(createRequire(join(folder, 'package.json')).resolve(name)).href)
    } catch {
      throw new Error(
        `AKLP_URL is not set, and ${PACKAGE} is not installed here. Start a service with "npx ${PACKAGE}" and set AKLP_URL=http://localhost:8001, or install it here with "npm install ${PACKAGE}"`,
      )
    }
  }

  /** Returns the URL of the service, and starts it unless another process runs it. */
  connect(): Promise<string> {
    this.#connected ??= this.#find().catch((error) => {
      this.#connected = undefined
      throw error
    })
    return this.#connected
  }

  /** Sends a request to the service, wherever it runs. */
  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const base = await this.connect()
    const { pathname, search } = new URL(url)
    try {
      return await fetch(base + pathname + search, init)
    } catch (error) {
      // The process that ran it has ended. The client retries.
      if (!this.#own) this.#connected = undefined
      throw error
    }
  }

  async close() {
    await this.#own?.close()
  }

  async #find(): Promise<string> {
    const file = this.#project.path('service')
    const end = Date.now() + LONGEST_WAIT
    for (;;) {
      try {
        const service = await this.#server.startService({
          DATABASE_URL: `file:${this.#project.path('data')}`,
          PORT: '0',
        })
        this.#own = service
        writeFileSync(file, service.url)
        return service.url
      } catch (error) {
        if (!/ is in use by /.test((error as Error).message) || Date.now() > end) throw error
      }
      const url = read(file)
      if (url && (await isServed(url))) return url
      await sleep(200)
    }
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

const isServed = (url: string) =>
  fetch(`${url}/health`, { signal: AbortSignal.timeout(2000) }).then(
    ({ ok }) => ok,
    () => false,
  )
