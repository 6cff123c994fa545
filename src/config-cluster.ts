// Options of a cluster's processes and commands: where a node or a gateway listens and what it remembers.
import {
  type Credentials,
  type GatewaySettings,
  readCredentials,
  readGatewaySettings,
  SERVE_OPTIONS,
} from './config.ts'
import {
  ETCD_OPTIONS,
  type EtcdAccess,
  type EtcdConfig,
  etcdAccessOptions,
  NODE_TLS_OPTIONS,
  readEtcd,
  readEtcdAccess,
  readNodeTls,
  type TlsFiles,
} from './config-etcd.ts'
import {
  ConfigError,
  type ConfigSources,
  composeSettings,
  type OptionSpec,
  readCode,
  readDays,
  readLogLevel,
  readPort,
  readSeconds,
  readSwitch,
  type Settings,
} from './config-settings.ts'
import type { ErasureCode } from './kit/erasure-code.ts'
import type { LogLevel } from './kit/log-levels.ts'

/** Options of `kintsugi cluster init`. */
export const CLUSTER_INIT_OPTIONS: readonly OptionSpec[] = [
  ...ETCD_OPTIONS,
  {
    name: 'nodes',
    value: 'N',
    help: 'how many nodes the cluster begins with; so many tokens are made',
  },
  sameAs('code', { help: 'erasure code, as 4+2 (default: by the number of nodes and drives)' }),
  {
    name: 'allow-unsafe-layout',
    help: 'take nodes that are too few: the loss of one of them may lose data then',
  },
]

/** Options of `kintsugi cluster token`. */
export const CLUSTER_TOKEN_OPTIONS: readonly OptionSpec[] = ETCD_OPTIONS

/** Options of `kintsugi cluster restore-coordinator`. */
export const CLUSTER_RESTORE_OPTIONS: readonly OptionSpec[] = [
  ...ETCD_OPTIONS,
  {
    name: 'forsake-etcd',
    help: 'give up what was decided in the restored etcd by those who did not know better',
  },
]

/** Options of `kintsugi cluster recover`. */
export const CLUSTER_RECOVER_OPTIONS: readonly OptionSpec[] = [
  ...ETCD_OPTIONS,
  { name: 'dry-run', help: 'make rows anew without keeping them, and say what would come out' },
  { name: 'yes', isTyped: true, help: 'recover what is lost' },
  {
    name: 'without-missing',
    value: 'IDS',
    repeatable: true,
    isTyped: true,
    help: 'drives that are gone for good, as 3,7: what only they have is given up',
  },
  ...NODE_TLS_OPTIONS,
]

/** Options of `kintsugi node join`. */
export const NODE_JOIN_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'state',
    value: 'DIR',
    help: 'directory for what this node remembers: not on a drive that it serves',
  },
  ...etcdAccessOptions(),
]

/** Options of `kintsugi node`. */
export const NODE_OPTIONS: readonly OptionSpec[] = [
  { name: 'state', value: 'DIR', help: 'directory that kintsugi node join has made' },
  {
    name: 'listen',
    value: 'ADDRESS:PORT',
    fallback: '0.0.0.0:9100',
    help: 'where nodes and gateways reach this node; port 0 takes a free one',
  },
  {
    name: 'advertise',
    value: 'HOST:PORT',
    help: 'what the others are told, where it is not the address that is listened on',
  },
  {
    name: 'zone',
    value: 'ZONE',
    help: 'what fails together with this node, as a rack: shards are spread over zones',
  },
  sameAs('admin-address'),
  sameAs('admin-port', { fallback: '9101' }),
  sameAs('garbage-grace', { fallback: '900' }),
  sameAs('mend-delay', { fallback: '900' }),
  sameAs('scrub-days'),
  sameAs('dump-days'),
  sameAs('log-level'),
  ...NODE_TLS_OPTIONS,
  ...etcdAccessOptions(),
  sameAs('config'),
]

/** Of `serve`, what a gateway has no use for: nodes keep the shards and mend them. */
const NOT_OF_GATEWAYS = new Set([
  ...['code', 'garbage-grace', 'scrub-days', 'mend-delay', 'dump-days', 'orphan-hours'],
  // Said otherwise.
  'processes',
])

/** Options of `kintsugi gateway`. */
export const GATEWAY_OPTIONS: readonly OptionSpec[] = [
  ...ETCD_OPTIONS,
  {
    name: 'state',
    value: 'DIR',
    help: 'directory for what this gateway remembers: with it, it starts while etcd is away',
  },
  ...SERVE_OPTIONS.filter(({ name }) => !NOT_OF_GATEWAYS.has(name)),
  sameAs('processes', {
    fallback: '1',
    help: 'processes that serve the port together, each a whole gateway',
  }),
  ...NODE_TLS_OPTIONS,
]

const MS_PER_DAY = 24 * 60 * 60 * 1000

/** Everything that `kintsugi cluster init` was told. */
export interface ClusterInitConfig {
  etcd: EtcdConfig
  nodeCount: number
  allowsUnsafeLayout: boolean
  code?: Pick<ErasureCode, 'dataCount' | 'parityCount'>
  rootCredentials?: Credentials
}

/** Everything that `kintsugi cluster restore-coordinator` was told. */
export interface ClusterRestoreConfig {
  etcd: EtcdConfig
  /** State directories of nodes and gateways, or copies of them. */
  directories: readonly string[]
  forsakesEtcd: boolean
}

/** Everything that `kintsugi cluster recover` was told. */
export interface ClusterRecoverConfig {
  etcd: EtcdConfig
  /** `plan`: only look what is lost. `rehearse`: make everything but keep nothing. */
  mode: 'plan' | 'rehearse' | 'recover'
  /** Ids of drives that are gone for good. */
  withoutMissing: readonly number[]
  nodeTls?: Required<TlsFiles>
}

/** Everything that `kintsugi node join` was told. */
export interface NodeJoinConfig {
  stateDirectory: string
  etcdAccess: EtcdAccess
}

/** Everything that `kintsugi node` was told. */
export interface NodeConfig {
  /** Drive directories; empty where all that it had before are to be served. */
  directories: readonly string[]
  stateDirectory: string
  listen: { address: string; port: number }
  /** `HOST:PORT`, as others are to use it. */
  advertise?: string
  zone?: string
  adminAddress: string
  adminPort: number
  garbageGraceMs: number
  mendDelayMs: number
  scrubPeriodMs: number
  dumpPeriodMs: number
  logLevel: LogLevel
  /** All three files: nodes speak TLS with each other. */
  nodeTls?: Required<TlsFiles>
  etcdAccess: EtcdAccess
}

/** Everything that `kintsugi gateway` was told. */
export interface GatewayConfig extends GatewaySettings {
  etcd: EtcdConfig
  stateDirectory?: string
  nodeTls?: Required<TlsFiles>
}

/** Throws ConfigError. */
export async function loadClusterInitConfig(sources: ConfigSources): Promise<ClusterInitConfig> {
  const settings = await composeSettings(CLUSTER_INIT_OPTIONS, sources)
  const code = settings.code?.[0]
  const rootCredentials = readCredentials(sources.environment)
  return Object.freeze({
    etcd: readEtcd(settings, sources),
    nodeCount: readNodeCount(settings.nodes?.[0]),
    allowsUnsafeLayout: readSwitch('allow-unsafe-layout', settings['allow-unsafe-layout']?.[0]),
    ...(code ? { code: readCode('code', code) } : {}),
    ...(rootCredentials ? { rootCredentials } : {}),
  })
}

/** Throws ConfigError. */
export async function loadClusterTokenConfig(
  sources: ConfigSources,
): Promise<{ etcd: EtcdConfig }> {
  const settings = await composeSettings(CLUSTER_TOKEN_OPTIONS, sources)
  return Object.freeze({ etcd: readEtcd(settings, sources) })
}

/** Throws ConfigError. */
export async function loadClusterRestoreConfig(
  sources: ConfigSources,
): Promise<ClusterRestoreConfig> {
  const settings = await composeSettings(CLUSTER_RESTORE_OPTIONS, sources)
  return Object.freeze({
    etcd: readEtcd(settings, sources),
    directories: sources.directories,
    forsakesEtcd: readSwitch('forsake-etcd', settings['forsake-etcd']?.[0]),
  })
}

/** Throws ConfigError. */
export async function loadClusterRecoverConfig(
  sources: ConfigSources,
): Promise<ClusterRecoverConfig> {
  const settings = await composeSettings(CLUSTER_RECOVER_OPTIONS, sources)
  const nodeTls = readNodeTls(settings)
  const isSet = (name: string): boolean => readSwitch(name, settings[name]?.[0])
  return Object.freeze({
    etcd: readEtcd(settings, sources),
    mode: isSet('dry-run') ? 'rehearse' : isSet('yes') ? 'recover' : 'plan',
    withoutMissing: (settings['without-missing'] ?? []).map(readDriveId),
    ...(nodeTls ? { nodeTls } : {}),
  })
}

function readDriveId(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text))
    throw new ConfigError(`--without-missing takes ids of drives, as 3,7, not "${text}"`)
  return Number(text)
}

/** Throws ConfigError. */
export async function loadNodeJoinConfig(sources: ConfigSources): Promise<NodeJoinConfig> {
  const settings = await composeSettings(NODE_JOIN_OPTIONS, sources)
  return Object.freeze({
    stateDirectory: readState(settings),
    etcdAccess: readEtcdAccess(settings, sources),
  })
}

/** Throws ConfigError. */
export async function loadNodeConfig(sources: ConfigSources): Promise<NodeConfig> {
  const settings = await composeSettings(NODE_OPTIONS, sources)
  const advertise = settings.advertise?.[0]
  const zone = settings.zone?.[0]
  const nodeTls = readNodeTls(settings)
  return Object.freeze({
    directories: sources.directories,
    stateDirectory: readState(settings),
    listen: readListen(settings.listen![0]!),
    ...(advertise ? { advertise: readAdvertise(advertise) } : {}),
    ...(zone ? { zone: readZone(zone) } : {}),
    adminAddress: settings['admin-address']![0]!,
    adminPort: readPort('admin-port', settings['admin-port']![0]!),
    garbageGraceMs: readSeconds('garbage-grace', settings['garbage-grace']![0]!) * 1000,
    mendDelayMs: readSeconds('mend-delay', settings['mend-delay']![0]!) * 1000,
    scrubPeriodMs: readDays('scrub-days', settings['scrub-days']![0]!) * MS_PER_DAY,
    dumpPeriodMs: readDays('dump-days', settings['dump-days']![0]!) * MS_PER_DAY,
    logLevel: readLogLevel(settings['log-level']![0]!),
    ...(nodeTls ? { nodeTls } : {}),
    etcdAccess: readEtcdAccess(settings, sources),
  })
}

/** Throws ConfigError. */
export async function loadGatewayConfig(sources: ConfigSources): Promise<GatewayConfig> {
  const settings = await composeSettings(GATEWAY_OPTIONS, sources)
  const stateDirectory = settings.state?.[0]
  const nodeTls = readNodeTls(settings)
  return Object.freeze({
    ...readGatewaySettings(settings, sources.environment),
    etcd: readEtcd(settings, sources),
    ...(stateDirectory ? { stateDirectory } : {}),
    ...(nodeTls ? { nodeTls } : {}),
  })
}

/** Of `serve`, with what is different here. */
function sameAs(name: string, differences: Partial<OptionSpec> = {}): OptionSpec {
  const spec = SERVE_OPTIONS.find((option) => option.name === name)
  if (spec === undefined) throw new TypeError(`serve has no option ${name}`)
  return { ...spec, ...differences }
}

function readState(settings: Settings): string {
  const directory = settings.state?.[0]
  if (directory) return directory
  throw new ConfigError('--state names the directory for what this node remembers')
}

function readNodeCount(text: string | undefined): number {
  if (text === undefined)
    throw new ConfigError('--nodes says with how many nodes the cluster begins, as --nodes 3')
  const count = Number(text)
  if (!/^\d{1,4}$/.test(text) || count === 0) {
    throw new ConfigError(`--nodes takes the number of nodes, not "${text}"`)
  }
  return count
}

function readListen(text: string): { address: string; port: number } {
  const [, address, port] = /^(.+):(\d{1,5})$/.exec(text) ?? []
  if (!address || !port)
    throw new ConfigError(`--listen takes ADDRESS:PORT, as 10.0.0.7:9100, not "${text}"`)
  return { address: address.replace(/^\[(.*)\]$/, '$1'), port: readPort('listen', port) }
}

function readAdvertise(text: string): string {
  const isHostAndPort = /^(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}$/.test(text)
  if (!isHostAndPort || !URL.canParse(`http://${text}`)) {
    throw new ConfigError(`--advertise takes HOST:PORT, as node-3:9100, not "${text}"`)
  }
  return text
}

function readZone(text: string): string {
  if (/^[\w.-]{1,64}$/.test(text)) return text
  throw new ConfigError(`--zone takes up to 64 letters, digits and _.-, not "${text}"`)
}
