import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import t from 'tap'
import { ConfigError, loadConfig } from '../src/start/config.js'
import { Config } from '../src/start/settings.js'

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

t.test('an invalid or misspelt setting is reported with its name', async (t) => {
  const wrong: [Record<string, string>, string][] = [
    [{ PORT: 'http' }, 'PORT must be a whole number from 0 to 65535'],
    [{ PORT: '65536' }, 'PORT must be a whole number from 0 to 65535'],
    [{ REQUEST_TIMEOUT_MS: '5s' }, 'REQUEST_TIMEOUT_MS must be a whole number from 1 to 3600000'],
    [
      { LOG_LEVEL: 'debgu' },
      'LOG_LEVEL must be trace, debug, info, warn, error, fatal or silent. Did you mean debug?',
    ],
    [{ LOG_FORMAT: 'Pretty' }, 'LOG_FORMAT must be json or pretty. Did you mean pretty?'],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' },
      'OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://collector:4318',
    ],
    [{ DATABSE_URL: 'postgres://db/aklp' }, 'Unknown setting DATABSE_URL. Did you mean DATABASE_URL?'],
    [{ LOGLEVEL: 'debug' }, 'Unknown setting LOGLEVEL. Did you mean LOG_LEVEL?'],
  ]
  for (const [environment, message] of wrong) {
    t.throws(() => loadConfig(environment), new ConfigError(message))
  }
})

t.test('a variable of another program is ignored', async (t) => {
  // Kubernetes sets such variables in every pod, for a Service called "database".
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
  const named = parseEnv(uncommented) as Record<string, string>
  t.same(loadConfig(named), loadConfig({}))
  t.same(Object.keys(named).sort(), Object.keys(Config.properties).sort())
})
