// What the processes of a cluster are told; whatever is wrong is one sentence that names the option.
import t from 'tap'
import { optionOf } from '../../src/cli/command-line.ts'
import {
  CLUSTER_RECOVER_OPTIONS,
  loadClusterInitConfig,
  loadClusterRecoverConfig,
  loadGatewayConfig,
  loadNodeConfig,
  loadNodeJoinConfig,
} from '../../src/config-cluster.ts'
import { ConfigError, type ConfigSources } from '../../src/config-settings.ts'

function sources(
  options: ConfigSources['options'],
  environment: ConfigSources['environment'] = {},
): ConfigSources {
  return { directories: [], options, environment, readFile: async () => 'zone = "b"\n' }
}

const ETCD = 'http://127.0.0.1:2379'

t.test('a cluster that is made', async (t) => {
  const config = await loadClusterInitConfig(
    sources({ etcd: [`${ETCD},http://b:1/`], nodes: '6', code: '4+2', 'etcd-prefix': '/a/b' }),
  )
  t.same(config, {
    etcd: { endpoints: [ETCD, 'http://b:1/'], prefix: '/a/b/' },
    nodeCount: 6,
    allowsUnsafeLayout: false,
    code: { dataCount: 4, parityCount: 2 },
  })
})

t.test('a recovery changes nothing, and gives nothing up, unless somebody types it', async (t) => {
  const load = (options: ConfigSources['options']) =>
    loadClusterRecoverConfig(sources({ etcd: ETCD, ...options }))
  t.same(await load({}), {
    etcd: { endpoints: [ETCD], prefix: '/kintsugi/' },
    mode: 'plan',
    withoutMissing: [],
  })
  t.match(await load({ 'without-missing': ['3,7', '9'] }), {
    mode: 'plan',
    withoutMissing: [3, 7, 9],
  })
  for (const wrong of ['true', '3,x', '0', 'n1', '-1'])
    await t.rejects(load({ 'without-missing': wrong }), ConfigError, wrong)
  t.match(await load({ 'dry-run': 'true' }), { mode: 'rehearse' })
  t.match(await load({ yes: true }), { mode: 'recover' })
  t.match(await load({ yes: true, 'dry-run': true }), { mode: 'rehearse' })
  const environment = { KINTSUGI_YES: 'true', KINTSUGI_WITHOUT_MISSING: '3' }
  const insisting = await loadClusterRecoverConfig(sources({ etcd: ETCD }, environment))
  t.match(insisting, { mode: 'plan', withoutMissing: [] })
  t.same(insisting.withoutMissing, [])
  const [yes] = CLUSTER_RECOVER_OPTIONS.filter(({ name }) => name === 'yes')
  t.notMatch(optionOf(yes!).description, /KINTSUGI/, 'nor is it said that the environment has it')
  await t.rejects(loadClusterRecoverConfig(sources({})), ConfigError)
})

t.test('a node', async (t) => {
  const config = await loadNodeConfig(sources({ state: '/s', config: 'f.toml' }))
  t.match(config, {
    stateDirectory: '/s',
    listen: { address: '0.0.0.0', port: 9100 },
    zone: 'b',
    adminPort: 9101,
    garbageGraceMs: 900_000,
    scrubPeriodMs: 14 * 86_400_000,
    dumpPeriodMs: 7 * 86_400_000,
    etcdAccess: {},
  })
  t.ok(Object.isFrozen(config))
  const six = await loadNodeConfig(sources({ state: '/s', listen: '[::1]:0' }))
  t.same(six.listen, { address: '::1', port: 0 })
})

t.test('a gateway takes what serve takes, but for what nodes do', async (t) => {
  const environment = {
    KINTSUGI_ETCD: ETCD,
    KINTSUGI_ETCD_USER: 'k',
    KINTSUGI_ETCD_PASSWORD: 'p',
  }
  const config = await loadGatewayConfig(sources({ port: '1', domain: ['A'] }, environment))
  t.match(config, {
    port: 1,
    adminAddress: '127.0.0.1',
    adminPort: 9001,
    domains: ['a'],
    region: 'us-east-1',
    etcd: { endpoints: [ETCD], prefix: '/kintsugi/', user: { name: 'k', password: 'p' } },
  })
})

t.test('what is wrong is named', async (t) => {
  const refused: [Promise<unknown>, RegExp][] = [
    [loadClusterInitConfig(sources({ nodes: '3' })), /--etcd says where/],
    [loadClusterInitConfig(sources({ etcd: ['127.0.0.1:2379'], nodes: '3' })), /--etcd takes/],
    [loadClusterInitConfig(sources({ etcd: [ETCD] })), /--nodes says/],
    [loadClusterInitConfig(sources({ etcd: [ETCD], nodes: '0' })), /--nodes/],
    [loadClusterInitConfig(sources({ etcd: [ETCD], nodes: '1', 'etcd-prefix': 'x' })), /prefix/],
    [loadNodeJoinConfig(sources({})), /--state/],
    [loadNodeConfig(sources({ state: '/s', listen: '9100' })), /--listen/],
    [loadNodeConfig(sources({ state: '/s', listen: 'a:70000' })), /--listen/],
    [loadNodeConfig(sources({ state: '/s', advertise: 'http://a:1' })), /--advertise/],
    [loadNodeConfig(sources({ state: '/s', advertise: 'node-3:99999' })), /--advertise/],
    [loadNodeConfig(sources({ state: '/s', advertise: '10.0.0.1.7:9100' })), /--advertise/],
    [loadNodeConfig(sources({ state: '/s', zone: 'a b' })), /--zone/],
    [loadNodeConfig(sources({ state: '/s', 'node-ca': 'f' })), /--node-ca, --node-cert/],
    [loadNodeConfig(sources({ state: '/s', 'etcd-cert': 'f' })), /--etcd-cert and --etcd-key/],
    [loadGatewayConfig(sources({ etcd: [ETCD], 'etcd-user': 'a' })), /KINTSUGI_ETCD_PASSWORD/],
    [loadGatewayConfig(sources({ etcd: [ETCD], port: 'x' })), /--port/],
  ]
  for (const [loaded, message] of refused) {
    await t.rejects(loaded, { name: 'ConfigError', message })
  }
  t.ok(new ConfigError('') instanceof Error)
})
