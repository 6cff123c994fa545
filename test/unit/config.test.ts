// Option beats environment beats file; whatever is wrong is one sentence that names the option.

import t from 'tap'
import { loadServeConfig, SERVE_OPTIONS, unknownVariables } from '../../src/config.ts'
import { ConfigError, type ConfigSources, processesFor } from '../../src/config-settings.ts'
import { usableCores } from '../../src/kit/cores.ts'

function load(sources: Partial<ConfigSources> = {}) {
  return loadServeConfig({
    directories: [],
    options: {},
    environment: {},
    readFile: async () => '',
    ...sources,
  })
}

t.test('the defaults are those of the help', async (t) => {
  const config = await load()
  t.match(config, {
    address: '127.0.0.1',
    port: 9000,
    adminAddress: '127.0.0.1',
    adminPort: 9001,
    domains: ['localhost'],
    region: 'us-east-1',
    strictRegion: false,
    strictS3: false,
    http: 'own',
    buckets: [],
    garbageGraceMs: 60_000,
    orphanAgeMs: 86_400_000,
    abandonedUploadMs: undefined,
    scrubPeriodMs: 14 * 86_400_000,
    logLevel: 'info',
  })
  t.equal(config.tls, undefined)
  t.equal(config.rootCredentials, undefined)
  t.ok(Object.isFrozen(config))
})

t.test('option beats environment beats file', async (t) => {
  const sources = {
    options: { config: 'f.toml', port: '1' },
    environment: { KINTSUGI_PORT: '2', KINTSUGI_REGION: 'eu-west-1' },
    readFile: async () => 'port = 3\nregion = "x"\naddress = "0.0.0.0"\n',
  }
  t.match(await load(sources), { port: 1, region: 'eu-west-1', address: '0.0.0.0' })
})

t.test('processes follow from the cores unless somebody says how many', async (t) => {
  const cores = usableCores()
  const chosen = { processes: processesFor(cores), processesByCores: cores }
  t.match(await load(), chosen)
  t.match(await load({ environment: { KINTSUGI_PROCESSES: 'auto' } }), chosen)
  const said = await load({ options: { processes: '3' } })
  t.match(said, { processes: 3 })
  t.equal(said.processesByCores, undefined)
  const counts = [1, 2, 3, 4, 5, 64].map((count) => processesFor(count))
  t.same(counts, [1, 1, 3, 4, 4, 4])
  for (const processes of ['0', '65', 'many', '1.5'])
    await t.rejects(load({ options: { processes } }), { name: 'ConfigError' }, processes)
})

t.test('every option can stand in the environment and in the file', async (t) => {
  const values: Record<string, string> = {
    port: '1',
    'admin-port': '2',
    processes: '3',
    code: '4+2',
    'reduced-redundancy-code': '4+1',
    'garbage-grace': '5',
    'mend-delay': '0',
    'orphan-hours': '0',
    'abandoned-upload-days': '0.5',
    'scrub-days': '0.5',
    'dump-days': '3',
    'log-level': 'error',
    http: 'node',
    'strict-region': 'true',
    'strict-s3': 'true',
  }
  for (const { name } of SERVE_OPTIONS) {
    if (name === 'config' || /^(tls|vault)-/.test(name)) continue
    const value = values[name] ?? 'some-text'
    const variable = `KINTSUGI_${name.replaceAll('-', '_').toUpperCase()}`
    const fromEnvironment = await load({ environment: { [variable]: value } })
    const fromFile = await load({
      options: { config: 'f' },
      readFile: async () => `${name} = "${value}"`,
    })
    t.same(fromEnvironment, fromFile, name)
    t.notSame(fromFile, await load(), `${name} has an effect`)
  }
})

t.test('Vault is an address and a token', async (t) => {
  const address = 'https://vault.example:8200'
  const token = { KINTSUGI_VAULT_TOKEN: 's.text' }
  const { vault } = await load({ options: { 'vault-address': address }, environment: token })
  t.same(vault, {
    address,
    mount: 'transit',
    key: 'kintsugi',
    token: { kind: 'text', text: 's.text' },
  })
  const options = { 'vault-address': address, 'vault-token-file': '/t', 'vault-mount': 'a/b' }
  const other = await load({ options: { ...options, 'vault-key': 'k' }, environment: token })
  t.match(other.vault, { mount: 'a/b', key: 'k', token: { kind: 'file', path: '/t' } })
  for (const wrong of [
    { 'vault-address': address },
    { 'vault-token-file': '/t' },
    { ...options, 'vault-address': 'vault.example' },
    { ...options, 'vault-address': `${address}/v1` },
    { ...options, 'vault-mount': '../sys' },
  ]) {
    await t.rejects(load({ options: wrong }), ConfigError, JSON.stringify(wrong))
  }
})

t.test('repeatable options take several values everywhere', async (t) => {
  t.same((await load({ options: { domain: ['a.example', 'B.example'] } })).domains, [
    'a.example',
    'b.example',
  ])
  t.same((await load({ environment: { KINTSUGI_BUCKETS: 'a, b' } })).buckets, ['a', 'b'])
  const file = { options: { config: 'f' }, readFile: async () => 'buckets = ["x", "y"]' }
  t.same((await load(file)).buckets, ['x', 'y'])
})

t.test('wrong settings are refused by name', async (t) => {
  const wrong: [Partial<ConfigSources>, RegExp][] = [
    [{ options: { port: '70000' } }, /--port/],
    [{ options: { port: 'x' } }, /--port/],
    [{ options: { 'log-level': 'loud' } }, /--log-level/],
    [{ options: { http: 'other' } }, /--http takes own or node/],
    [{ options: { code: '4' } }, /--code/],
    [{ options: { code: '17+2' } }, /--code/],
    [{ options: { code: '4+5' } }, /--code/],
    [{ options: { 'reduced-redundancy-code': '4+5' } }, /--reduced-redundancy-code takes K\+M/],
    [{ options: { 'tls-cert': 'x' } }, /--tls-key/],
    [{ options: { region: 'Über' } }, /--region/],
    [{ environment: { KINTSUGI_STRICT_REGION: 'perhaps' } }, /--strict-region/],
    [{ environment: { KINTSUGI_ROOT_ACCESS_KEY_ID: 'only' } }, /together/],
    [
      {
        environment: {
          KINTSUGI_ROOT_ACCESS_KEY_ID: 'abc',
          KINTSUGI_ROOT_SECRET_ACCESS_KEY: 'short',
        },
      },
      /8 characters/,
    ],
    [{ options: { config: 'f' }, readFile: async () => 'prot = 1' }, /no option "prot"/],
    [{ options: { config: 'f' }, readFile: async () => 'port = ' }, /not TOML/],
    [
      { options: { config: 'f' }, readFile: async () => '# ports\nport = 1\nregion = eu\n' },
      /^f is not TOML: line 3, column 10: \w/,
    ],
    [
      {
        options: { config: 'gone' },
        readFile: async () => {
          throw new Error('ENOENT')
        },
      },
      /can not be read/,
    ],
  ]
  for (const [sources, message] of wrong) {
    await t.rejects(load(sources), { name: 'ConfigError', message })
  }
  t.ok(new ConfigError('x') instanceof Error)
})

t.test('variables that are no options are found', async (t) => {
  t.same(
    unknownVariables({
      KINTSUGI_PROT: '1',
      KINTSUGI_PORT: '2',
      PATH: '/',
      KINTSUGI_ROOT_ACCESS_KEY_ID: 'a',
    }),
    ['KINTSUGI_PROT'],
  )
})
