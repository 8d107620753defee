/**
 * Three PostgreSQL nodes with synchronous replication, managed by Patroni with etcd. HAProxy in front of the primary and in
 * front of the servers, PgBouncer in front of HAProxy. All on loopback, from Debian packages.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { freePort } from '../../packages/server/bench/port.js'
import { postgresProcesses } from '../../packages/server/bench/postgres-processes.js'
import { end, folder, newFolder, signal, start, stopOnExit, until } from './processes.js'

// Debian installs each version of PostgreSQL in a directory of its own; the newest is used.
const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : []
const binaries = `/usr/lib/postgresql/${Math.max(...versions.map(Number))}/bin`

/** The Debian packages that are not installed. */
export function missingPackages(): string[] {
  const isInstalled = (program: string) => {
    try {
      return execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }) !== undefined
    } catch {
      return false
    }
  }
  const programs = {
    patroni: 'patroni python3-etcd',
    etcd: 'etcd-server',
    haproxy: 'haproxy',
    pgbouncer: 'pgbouncer',
    [`${binaries}/pg_rewind`]: 'postgresql',
  }
  return Object.entries(programs).flatMap(([program, name]) => (isInstalled(program) ? [] : [name]))
}

/** Patroni replaces a primary that was unreachable for `ttl` seconds: writes stop for about that long. */
const dcsSettings = { ttl: 20, loop_wait: 2, retry_timeout: 5 }

const password = 'loopback'

interface Member {
  name: string
  role: 'leader' | 'sync_standby' | 'replica'
  state: string
  timeline: number
}

export class Node {
  readonly data: string
  #patroni
  readonly #settings: string

  constructor(
    readonly name: string,
    readonly port: number,
    readonly api: number,
    etcd: number,
  ) {
    const home = newFolder(name)
    this.data = join(home, 'data')
    stopOnExit(this.data)
    this.#settings = join(folder, `${name}.yml`)
    const settings = {
      scope: 'aklp',
      name,
      restapi: { listen: `127.0.0.1:${api}`, connect_address: `127.0.0.1:${api}` },
      etcd3: { host: `127.0.0.1:${etcd}` },
      bootstrap: {
        dcs: {
          ...dcsSettings,
          synchronous_mode: true,
          postgresql: {
            use_pg_rewind: true,
            // How long commits wait for a standby that is cut off.
            parameters: { wal_sender_timeout: '5s', shared_buffers: '32MB' },
          },
        },
        initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'data-checksums'],
      },
      postgresql: {
        listen: `127.0.0.1:${port}`,
        connect_address: `127.0.0.1:${port}`,
        data_dir: this.data,
        bin_dir: binaries,
        pgpass: join(home, 'pgpass'),
        authentication: {
          superuser: { username: 'postgres', password },
          replication: { username: 'replicator', password },
        },
        pg_hba: [
          'host all all 127.0.0.1/32 scram-sha-256',
          'host replication all 127.0.0.1/32 scram-sha-256',
        ],
        parameters: { unix_socket_directories: home },
      },
    }
    // JSON is valid YAML.
    writeFileSync(this.#settings, JSON.stringify(settings, undefined, 2), { mode: 0o644 })
    this.#patroni = this.#start()
  }

  #start() {
    return start(this.name, 'patroni', [this.#settings], {
      asPostgres: true,
      environment: { LC_ALL: 'C.UTF-8' },
    })
  }

  get #processes() {
    return [this.#patroni.pid!, ...postgresProcesses(this.data)]
  }

  /** Simulates a power failure. */
  async kill() {
    signal('SIGKILL', this.#processes)
    await end(this.#patroni, 'SIGKILL')
  }

  restart() {
    this.#patroni = this.#start()
  }

  /** Simulates a network partition: the node does not respond, and its connections stay open. */
  suspend() {
    signal('SIGSTOP', this.#processes)
  }

  resume() {
    signal('SIGCONT', this.#processes)
  }

  /** Planned switchover: makes the other node, the synchronous standby, the primary. */
  switchOverTo(other: Node) {
    execFileSync(
      'patronictl',
      ['-c', this.#settings, 'switchover', '--leader', this.name, '--candidate', other.name, '--force'],
      { env: { ...process.env, LC_ALL: 'C.UTF-8' }, stdio: 'ignore' },
    )
  }
}

export async function startCluster(servers: number[]) {
  const [etcd, peers, primary, service, pooler] = (await Promise.all(
    Array.from({ length: 5 }, freePort),
  )) as [number, number, number, number, number]
  const [client, peer] = [`http://127.0.0.1:${etcd}`, `http://127.0.0.1:${peers}`]
  start(
    'etcd',
    'etcd',
    [
      ...['--name', 'etcd', '--data-dir', newFolder('etcd')],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...[
        '--listen-peer-urls',
        peer,
        '--initial-advertise-peer-urls',
        peer,
        '--initial-cluster',
        `etcd=${peer}`,
      ],
    ],
    { asPostgres: true },
  )
  await until('etcd is healthy', async () => (await fetch(`${client}/health`)).ok)

  const nodes: Node[] = []
  for (const name of ['node1', 'node2', 'node3'])
    nodes.push(new Node(name, await freePort(), await freePort(), etcd))

  const cluster = {
    nodes,
    /** The HAProxy port of the primary. */
    primary,
    /** The PgBouncer port. */
    pooler,
    /** The HAProxy URL of the ready servers. */
    service: `http://127.0.0.1:${service}`,
    url: (hosts: string, parameters = '') => `postgres://aklp:${password}@${hosts}/aklp${parameters}`,
    async members(): Promise<Member[]> {
      for (const { api } of nodes) {
        try {
          const response = await fetch(`http://127.0.0.1:${api}/cluster`, {
            signal: AbortSignal.timeout(2000),
          })
          return ((await response.json()) as { members: Member[] }).members
        } catch {
          // Cut off or not running.
        }
      }
      return []
    },
    async node(role: Member['role']): Promise<Node> {
      const member = (await cluster.members()).find((member) => member.role === role)
      return nodes.find(({ name }) => name === member?.name)!
    },
    /** Waits until all nodes are members and one of them is a synchronous standby. */
    async waitUntilHealthy() {
      await until(
        'the cluster is healthy',
        async () => {
          const members = await cluster.members()
          const roles = members.map(({ role }) => role).sort()
          const current = new Set(members.map(({ timeline }) => timeline)).size === 1
          const up = members.every(({ state }) => state === 'running' || state === 'streaming')
          return up && current && roles.join() === 'leader,replica,sync_standby'
        },
        180,
      )
    },
  }

  const balancer = join(folder, 'haproxy.cfg')
  writeFileSync(
    balancer,
    `defaults
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout check 2s

# The primary, according to Patroni.
listen primary
  mode tcp
  bind 127.0.0.1:${primary}
  option httpchk GET /primary
  http-check expect status 200
  default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
${nodes.map(({ name, port, api }) => `  server ${name} 127.0.0.1:${port} check port ${api}`).join('\n')}

# The ready servers.
listen service
  mode http
  bind 127.0.0.1:${service}
  option httpchk GET /readyz
  http-check expect status 200
  option redispatch
  retry-on conn-failure
  default-server inter 500ms fall 1 rise 1
${servers.map((port) => `  server port${port} 127.0.0.1:${port} check`).join('\n')}
`,
  )
  start('haproxy', 'haproxy', ['-db', '-f', balancer])

  const poolerSettings = join(folder, 'pgbouncer.ini')
  writeFileSync(
    poolerSettings,
    `[databases]
aklp = host=127.0.0.1 port=${primary} user=aklp password=${password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${pooler}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
server_login_retry = 1
ignore_startup_parameters = statement_timeout,lock_timeout
`,
  )
  start('pgbouncer', 'pgbouncer', [poolerSettings], { asPostgres: true })

  await cluster.waitUntilHealthy()
  const administrator = postgres(`postgres://postgres:${password}@127.0.0.1:${primary}/postgres`, { max: 1 })
  await until('HAProxy reaches the primary', async () => (await administrator`select 1`).length === 1)
  await administrator.unsafe(`create role aklp login password '${password}'`)
  // PgBouncer ignores these as startup parameters, see ignore_startup_parameters.
  await administrator`alter role aklp set statement_timeout = '10s'`
  await administrator`alter role aklp set lock_timeout = '5s'`
  await administrator`create database aklp owner aklp`
  await administrator.end()
  return cluster
}
