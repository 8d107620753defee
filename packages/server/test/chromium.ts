/** The browser of the tests of pages. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'

const executablePath =
  process.env.CHROMIUM_PATH ??
  // The first one has no window and needs less of the machine.
  ['chromium-headless-shell', 'chromium']
    .flatMap((name) => (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name)))
    .find((path) => existsSync(path))

/** Why tests cannot run here, or false. CI must not skip them. */
export const skip = executablePath || process.env.CI ? false : 'no Chromium on the PATH or at CHROMIUM_PATH'

export const launch = (...args: string[]): Promise<Browser> =>
  chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...args,
    ],
  })
