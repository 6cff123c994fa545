// Options that say where etcd is, who we are to it, and how nodes know each other: the same for every process and command of a cluster.
import {
  ConfigError,
  type ConfigSources,
  type OptionSpec,
  type Settings,
} from './config-settings.ts'

/** Where etcd is: of everything that does not read it from the state directory of a node. */
export const ETCD_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'etcd',
    value: 'URL',
    repeatable: true,
    help: 'members of etcd, as http://10.0.0.1:2379 (may be repeated)',
  },
  {
    name: 'etcd-prefix',
    value: 'PREFIX',
    fallback: '/kintsugi/',
    help: 'what the keys of this cluster begin with in etcd',
  },
  ...etcdAccessOptions(),
]

/** Who we are to etcd: paths and names of this machine, which every process is told by itself. */
export function etcdAccessOptions(): OptionSpec[] {
  return [
    { name: 'etcd-ca', value: 'FILE', help: 'who signs the certificates of etcd (PEM)' },
    { name: 'etcd-cert', value: 'FILE', help: 'certificate for etcd (PEM)' },
    { name: 'etcd-key', value: 'FILE', help: 'private key of that certificate (PEM)' },
    {
      name: 'etcd-user',
      value: 'NAME',
      help: 'user of etcd; the password is in KINTSUGI_ETCD_PASSWORD',
    },
  ]
}

/** Certificates between nodes. */
export const NODE_TLS_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'node-ca',
    value: 'FILE',
    help: 'who signs the certificates of nodes and gateways (PEM): they speak TLS with each other',
  },
  { name: 'node-cert', value: 'FILE', help: 'certificate of this process for nodes (PEM)' },
  { name: 'node-key', value: 'FILE', help: 'private key of that certificate (PEM)' },
]

/** Files with PEM. */
export interface TlsFiles {
  ca?: string
  cert?: string
  key?: string
}

/** Who we are to etcd. */
export interface EtcdAccess {
  tls?: TlsFiles
  user?: { name: string; password: string }
}

/** Where the cluster is. */
export interface EtcdConfig extends EtcdAccess {
  endpoints: readonly string[]
  /** Ends in a slash. */
  prefix: string
}

/** Throws ConfigError. */
export function readEtcd(settings: Settings, sources: ConfigSources): EtcdConfig {
  const endpoints = settings.etcd ?? []
  if (endpoints.length === 0) {
    throw new ConfigError('--etcd says where etcd is, as --etcd http://127.0.0.1:2379')
  }
  for (const endpoint of endpoints) checkEndpoint(endpoint)
  const prefix = settings['etcd-prefix']![0]!
  if (!/^\/[\w./-]{0,200}$/.test(prefix)) {
    throw new ConfigError(`--etcd-prefix takes a path such as /kintsugi/, not "${prefix}"`)
  }
  return {
    endpoints,
    prefix: prefix.endsWith('/') ? prefix : `${prefix}/`,
    ...readEtcdAccess(settings, sources),
  }
}

function checkEndpoint(endpoint: string): void {
  if (!/^https?:\/\/[^/?#\s]+\/?$/.test(endpoint)) {
    throw new ConfigError(`--etcd takes http(s)://HOST:PORT, not "${endpoint}"`)
  }
}

/** Throws ConfigError. */
export function readEtcdAccess(settings: Settings, { environment }: ConfigSources): EtcdAccess {
  const tls = readTlsFiles(settings, 'etcd')
  const name = settings['etcd-user']?.[0]
  const password = environment.KINTSUGI_ETCD_PASSWORD
  if (name && !password)
    throw new ConfigError('--etcd-user needs its password in KINTSUGI_ETCD_PASSWORD')
  return { ...(tls ? { tls } : {}), ...(name && password ? { user: { name, password } } : {}) }
}

function readTlsFiles(settings: Settings, whose: 'etcd' | 'node'): TlsFiles | undefined {
  const ca = settings[`${whose}-ca`]?.[0]
  const cert = settings[`${whose}-cert`]?.[0]
  const key = settings[`${whose}-key`]?.[0]
  if ((cert === undefined) !== (key === undefined)) {
    throw new ConfigError(`--${whose}-cert and --${whose}-key are given together`)
  }
  if (!ca && !cert) return undefined
  return { ...(ca ? { ca } : {}), ...(cert && key ? { cert, key } : {}) }
}

/** Certificates between nodes, when they were given. Throws ConfigError. */
export function readNodeTls(settings: Settings): Required<TlsFiles> | undefined {
  const files = readTlsFiles(settings, 'node')
  if (files === undefined) return undefined
  const { ca, cert, key } = files
  if (ca && cert && key) return { ca, cert, key }
  throw new ConfigError('--node-ca, --node-cert and --node-key are given together')
}
