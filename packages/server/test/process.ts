/**
 * The service as people run it: a process of its own, from the build. `tsc -b` does nothing when the build is fresh,
 * and the build starts in half the time that a loader for TypeScript takes.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const root = fileURLToPath(new URL('../../..', import.meta.url))
let built = false

/** Builds the service if it is not fresh, and answers the file that node runs. */
export function build(): string {
  if (!built)
    execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b'], { cwd: root })
  built = true
  return join(root, 'packages/server/dist/start/cli.js')
}

export interface ServerProcess {
  child: ChildProcess
  /** What it wrote so far. */
  output: { stdout: string; stderr: string }
  /** Its log lines so far, where they are JSON. */
  logs(): any[]
  /** Where it listens; fails when it ends before it does. */
  listening(): Promise<string>
  /** How it ended. */
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

// A test that runs out of time does not come to its teardown.
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts the service with these settings and no others. It is killed when the test ends. */
export function startServer(
  test: Test,
  settings: Record<string, string>,
  { folder = newFolder(test), entry = build(), args = [] as string[] } = {},
): ServerProcess {
  const child = spawn(process.execPath, [entry, ...args], {
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
        if (child.exitCode !== null) throw new Error(`the server ended: ${output.stderr}`)
        return address() !== undefined
      })
      return address()!
    },
    ended,
  }
}

/** A new, empty folder, removed when the test ends. */
export function newFolder(test: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'aklp-test-'))
  test.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Waits until it holds; fails after a minute, since machines may be busy. */
export async function until(what: string, holds: () => boolean | Promise<boolean>) {
  for (const deadline = Date.now() + 60_000; !(await holds()); await sleep(20)) {
    if (Date.now() > deadline) throw new Error(`not within a minute: ${what}`)
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
