/** Connects to PostgreSQL. The only module that imports the driver, postgres.js with our patch: see patches/README.md. */
import { connect as connectSocket, Socket } from 'node:net'
import postgres from 'postgres'

export type Sql = postgres.Sql
export type TransactionSql = postgres.TransactionSql
export type PostgresError = postgres.PostgresError

export type ConnectOptions = postgres.Options<Record<string, never>> & {
  /** Closes a connection that sends no response to a statement for this many milliseconds; 0 or unset: never. */
  responseTimeout?: number
}

interface Host {
  host: string
  port: number
}

/**
 * Returns a connection pool for the PostgreSQL that a URL names; it connects when the first statement runs. With several
 * hosts (`h1:5432,h2:5432`), each new connection goes to the first host that accepts connections and is what
 * `target_session_attrs` asks for. If there is none, statements fail with the last host's error or `TARGET_SESSION_ATTRS`.
 *
 * Throws if the URL is malformed, or its `target_session_attrs` is neither `read-write` nor `primary`.
 */
export function connect(url: string, options: ConnectOptions): Sql {
  const { host, port, target_session_attrs: wanted } = postgres(url, options).options
  if (wanted && wanted !== 'read-write' && wanted !== 'primary')
    throw new Error(`target_session_attrs ${wanted} is not supported`)
  const hosts = host.map((name, index) => ({ host: name, port: port[index]! }))
  if (hosts.length === 1 && !wanted) return open(url, options, hosts[0]!)

  // Connections that open at the same time share one search.
  const oneHostUrl = url.replace(/target_session_attrs=[^&]*/, '')
  let search: Promise<Host> | undefined
  return open(oneHostUrl, options, hosts[0]!, () => {
    search ??= findHost(oneHostUrl, options, hosts, wanted).finally(() => {
      search = undefined
    })
    return search
  })
}

async function findHost(url: string, options: ConnectOptions, hosts: Host[], wanted?: string): Promise<Host> {
  let reason: unknown = Object.assign(new Error(`no host is ${wanted}`), { code: 'TARGET_SESSION_ATTRS' })
  for (const host of hosts) {
    const probe = open(url, { ...options, max: 1, connect_timeout: 5, responseTimeout: 5000 }, host)
    try {
      const [is] = await probe.unsafe(
        `select not pg_is_in_recovery() as "primary", current_setting('transaction_read_only') = 'off' as "read-write"`,
      )
      if (!wanted || is![wanted]) return host
    } catch (error) {
      reason = error
    } finally {
      await probe.end({ timeout: 0 })
    }
  }
  throw reason
}

/** The driver is told of one host only: it would try several ones forever. */
function open(
  url: string,
  { responseTimeout = 0, ...options }: ConnectOptions,
  first: Host,
  find = async () => first,
): Sql {
  const socket = async ({ path }: { path?: string }, activeQuery: () => unknown) => {
    try {
      const host = await find()
      // TLS verifies the name of the host, which the driver reads from its socket.
      const opened = Object.assign(connectSocket(path ? { path } : host), host)
      if (responseTimeout) closeUnresponsive(opened, activeQuery, responseTimeout)
      return opened
    } catch (error) {
      // The driver handles errors of a socket only.
      return new Socket().destroy(error as Error)
    }
  }
  const withSocket = { ...options, ...first, socket }
  return postgres(url, withSocket)
}

/** A host that was cut off closes nothing, and does not cancel its statements either. */
function closeUnresponsive(socket: Socket, activeQuery: () => unknown, milliseconds: number) {
  let [query, checks] = [activeQuery(), 0]
  const timer = setInterval(() => {
    if (socket.destroyed) return clearInterval(timer)
    const active = activeQuery()
    checks = active && active === query ? checks + 1 : 0
    query = active
    // Counted, not timed: after a pause of this process, responses may be waiting to be read.
    if (checks === 10) socket.destroy()
  }, milliseconds / 10).unref()
}
