#!/usr/bin/env node
/** The MCP server as a process: speaks the protocol over stdin and stdout. */
import { readFileSync } from 'node:fs'
import { createClient } from '@aklp/task-client'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { createTaskServer } from './index.js'
import { Project } from './stdio/project.js'
import { OwnService } from './stdio/service.js'

const NAME = 'aklp-task-mcp'
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const HELP = `${NAME} ${version}: the AKLP task service as an MCP server, over stdin and stdout.

Settings, as environment variables:
  AKLP_URL      URL of the service, such as http://localhost:8001. Without it, a service of its own is
                started with an embedded database in .aklp, if @aklp/task-server is installed.
  AKLP_TOKEN    Key or token for the service.
  AKLP_SESSION  Session of the agent, a UUID. Without it, one is kept in .aklp/session.
  AKLP_WORKER   Name under which tasks are claimed. Without it, one is made from the folder and the host.
`

/** Nothing but the protocol goes to stdout. */
const print = (text: string) => process.stderr.write(`${NAME}: ${text}\n`)

function fail(error: unknown): never {
  print((error as Error).message)
  process.exit(1)
}

async function main() {
  const [argument] = process.argv.slice(2)
  if (argument === '--help' || argument === '-h') return void process.stderr.write(HELP)
  if (argument === '--version' || argument === '-v') return void process.stderr.write(`${version}\n`)
  if (argument !== undefined) throw new Error(`unknown argument ${argument}. It takes none: see --help`)

  const { AKLP_URL: url, AKLP_TOKEN: token, AKLP_SESSION, AKLP_WORKER } = process.env
  const project = new Project(process.cwd())
  const service = url ? undefined : new OwnService(project, await OwnService.load(project.folder))
  const session = project.session(AKLP_SESSION)
  const worker = AKLP_WORKER || project.worker()
  // Before the first call, so that it need not wait. The client can connect meanwhile.
  service?.connect().catch(fail)
  const client = createClient({
    baseUrl: url || 'http://127.0.0.1',
    token: token || undefined,
    ...(service && { fetch: service.fetch }),
  })
  const options = { client, session, worker, version, onError: (error: unknown) => print(String(error)) }
  const server = serveStdio(() => createTaskServer(options), {
    maxSubscriptions: 0,
    onerror: (error) => print(error.message),
  })

  let isStopping = false
  const stop = async () => {
    if (isStopping) return
    isStopping = true
    await server.close()
    await service?.close()
    project.close()
    process.exit(0)
  }
  // The client ends the session by closing stdin.
  process.stdin.once('end', stop).once('close', stop)
  process.once('SIGTERM', stop).once('SIGINT', stop)
}

main().catch(fail)
