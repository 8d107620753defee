import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import t from 'tap'
import { ConfigError, loadConfig } from '../src/start/config.js'

t.test('every setting has a default, and an empty value counts as not set', async (t) => {
  const defaults = loadConfig({})
  t.match(defaults, { HOST: '127.0.0.1', PORT: 8001, DATABASE_URL: 'file:aklp-data', LOG_LEVEL: 'info' })
  t.same(loadConfig({ HOST: '', PORT: '', DATABASE_URL: '', LOG_FORMAT: '' }), defaults)
})

t.test('settings are read from text', async (t) => {
  const config = loadConfig({
    PORT: '30003',
    HOST: '0.0.0.0',
    LOG_FORMAT: 'json',
    DATABASE_POOL_SIZE: '5',
    HOME: '/',
  })
  t.match(config, { PORT: 30003, HOST: '0.0.0.0', LOG_FORMAT: 'json', DATABASE_POOL_SIZE: 5 })
  t.notOk('HOME' in config)
})

t.test('a bad or misspelt setting is named', async (t) => {
  const wrong: [Record<string, string>, string][] = [
    [{ PORT: 'http' }, 'PORT must be a whole number from 0 to 65535'],
    [{ PORT: '65536' }, 'PORT must be a whole number from 0 to 65535'],
    [{ REQUEST_TIMEOUT_MS: '5s' }, 'REQUEST_TIMEOUT_MS must be a whole number from 1 to 3600000'],
    [
      { LOG_LEVEL: 'debgu' },
      'LOG_LEVEL must be trace, debug, info, warn, error, fatal or silent; did you mean debug?',
    ],
    [{ LOG_FORMAT: 'Pretty' }, 'LOG_FORMAT must be json or pretty; did you mean pretty?'],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' },
      'OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://collector:4318',
    ],
    [{ DATABSE_URL: 'postgres://db/aklp' }, 'DATABSE_URL is no setting; did you mean DATABASE_URL?'],
    [{ LOGLEVEL: 'debug' }, 'LOGLEVEL is no setting; did you mean LOG_LEVEL?'],
  ]
  for (const [environment, message] of wrong) {
    t.throws(() => loadConfig(environment), new ConfigError(message))
  }
})

t.test('a variable that is somebody else’s does not stop the start', async (t) => {
  // Kubernetes sets such in every pod, for a Service that is called "database".
  const foreign = {
    DATABASE_PORT: 'tcp://10.0.0.1:5432',
    DATABASE_USER: 'a',
    HOSTNAME: 'pod-1',
    LOG_DIR: '/',
  }
  t.same(loadConfig(foreign), loadConfig({}))
})

t.test('.env.example names every setting with its default', async (t) => {
  const example = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8')
  const uncommented = example.replace(/^# ?(?=[A-Z_]+=)/gm, '')
  const config = loadConfig(parseEnv(uncommented) as Record<string, string>)
  const { LOG_FORMAT, ...rest } = config
  t.same(rest, loadConfig({}))
  t.equal(LOG_FORMAT, 'json')
})
