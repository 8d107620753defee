/** The service as a separate process, from the build: it starts twice as fast as with a TypeScript loader. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/**
 * A command that starts Node as a user does: tap adds loaders to every process that a test starts, by NODE_OPTIONS, which slow it
 * down and do not know TypeScript 7.
 */
export const asUser = (command: string[], options?: string): [program: string, args: string[]] => [
  'env',
  [...(options === undefined ? ['-u', 'NODE_OPTIONS'] : [`NODE_OPTIONS=${options}`]), ...command],
]

/** Runs a program, and returns what it prints. The error of one that fails contains that, too. */
export async function run(
  program: string,
  args: string[],
  cwd = root,
  settings: Record<string, string> = {},
) {
  try {
    const env = { ...process.env, ...settings }
    const { stdout } = await promisify(execFile)(...asUser([program, ...args]), { cwd, env, maxBuffer: 1e8 })
    return stdout
  } catch (error) {
    const { message, stdout } = error as Error & { stdout: string }
    throw new Error(`${message}\n${stdout}`)
  }
}
let built = false

/** When a file of the packages was written, in milliseconds; 0 if it does not exist. */
const changedAt = (file: string) =>
  statSync(join(root, 'packages', file), { throwIfNoEntry: false })?.mtimeMs ?? 0

/** Builds the service if the build is not up to date, and returns the path of its command. */
export function build(): string {
  if (!built) {
    const run = (...args: string[]) => execFileSync(...asUser([process.execPath, ...args]), { cwd: root })
    const tsx = join(root, 'node_modules/tsx/dist/cli.mjs')
    run(join(root, 'node_modules/typescript/bin/tsc'), '-b')
    const isOld = ['server', 'client', 'mcp'].some(
      (name) => changedAt(`${name}/dist/.tsbuildinfo`) > changedAt('server/dist/start/cli.js'),
    )
    if (isOld) run(tsx, 'packages/server/scripts/bundle.ts')
    if (changedAt('server/dist/template') === 0) run(tsx, 'packages/server/scripts/make-template.ts')
    if (changedAt('server/dist/web/index.html') === 0) run(tsx, 'packages/web/scripts/build.ts')
  }
  built = true
  return join(root, 'packages/server/dist/start/cli.js')
}

export interface ServerProcess {
  child: ChildProcess
  /** Everything written so far. */
  output: { stdout: string; stderr: string }
  /** All lines on stdout, parsed as JSON. */
  logs(): any[]
  /** Waits until it listens and returns the base URL. Rejects if it exits first. */
  listening(): Promise<string>
  /** Resolves when the process has exited. */
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

// The teardown does not run if a test times out.
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts the service. Settings that are not given have their defaults. It is killed when the test ends. */
export function startServer(
  test: Test,
  settings: Record<string, string>,
  { folder = newFolder(test), entry = build(), args = [] as string[] } = {},
): ServerProcess {
  const child = spawn(...asUser([process.execPath, entry, ...args], settings.NODE_OPTIONS), {
    cwd: folder,
    env: { PATH: process.env.PATH, PORT: '0', LOG_FORMAT: 'json', ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (data) => {
    output.stdout += data
  })
  child.stderr.on('data', (data) => {
    output.stderr += data
  })
  const ended: ServerProcess['ended'] = new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  running.add(child)
  test.teardown(async () => {
    child.kill('SIGKILL')
    await ended
    running.delete(child)
  })
  const address = () => /API (http:\/\/\S+)\/api\/v1/.exec(output.stdout)?.[1]
  return {
    child,
    output,
    logs: () =>
      output.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    listening: async () => {
      await until('the server listens', () => {
        if (child.exitCode !== null) throw new Error(`the server exited: ${output.stderr}`)
        return address() !== undefined
      })
      return address()!
    },
    ended,
  }
}

/**
 * The CPU that a process has used, in milliseconds. What else runs on the machine does not change it much, so that tests can
 * limit it where they could not limit the time. Where the system does not tell, the time since the start of this process.
 */
export function cpuOf({ pid }: ChildProcess): number {
  if (process.platform !== 'linux') return performance.now()
  // man 5 proc_pid_stat: fields 14 and 15, in hundredths of a second. The second field, a name, can contain spaces.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
  return 10 * (Number(fields[11]) + Number(fields[12]))
}

/** A new folder, removed when the test ends. */
export function newFolder(test: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'aklp-test-'))
  test.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Waits until the condition holds. Fails after a minute, which is enough for a busy machine. */
export async function until(name: string, condition: () => boolean | Promise<boolean>) {
  for (const deadline = Date.now() + 60_000; !(await condition()); await sleep(20)) {
    if (Date.now() > deadline) throw new Error(`timeout after a minute: ${name}`)
  }
}

/** Sends JSON to a running service. */
export async function send(base: string, method: string, path: string, body?: unknown, headers = {}) {
  const response = await fetch(base + path, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : JSON.parse(text),
  }
}
