// Options, environment and file → one frozen configuration. The only reader of process.env.
// Every option `--a-b` is also KINTSUGI_A_B and `a-b` in the file; option beats environment beats file.
import {
  AUTO,
  ConfigError,
  type ConfigSources,
  composeSettings,
  environmentName,
  type OptionSpec,
  processesFor,
  readCode,
  readDays,
  readHours,
  readLogLevel,
  readPort,
  readProcesses,
  readSeconds,
  readSwitch,
  type Settings,
} from './config-settings.ts'
import { usableCores } from './kit/cores.ts'
import { LOG_LEVELS, type LogLevel } from './kit/log-levels.ts'

/** Options of `kintsugi serve`. */
export const SERVE_OPTIONS: readonly OptionSpec[] = [
  { name: 'address', value: 'ADDRESS', fallback: '127.0.0.1', help: 'address to listen on' },
  { name: 'port', value: 'PORT', fallback: '9000', help: 'port of the S3 API; 0 picks a free one' },
  {
    name: 'admin-address',
    value: 'ADDRESS',
    fallback: '127.0.0.1',
    help: 'address of the admin port',
  },
  {
    name: 'admin-port',
    value: 'PORT',
    fallback: '9001',
    help: 'port of /metrics, /health/live and /health/ready; 0 picks a free one',
  },
  {
    name: 'processes',
    value: 'N',
    fallback: AUTO,
    help: 'processes that share the work: one has the store, the others serve S3; 1 does both, auto takes as many as suit the cores',
  },
  {
    name: 'domain',
    value: 'NAME',
    repeatable: true,
    fallback: 'localhost',
    help: 'domain of virtual-host addressing: BUCKET.NAME (may be repeated)',
  },
  {
    name: 'region',
    value: 'REGION',
    fallback: 'us-east-1',
    help: 'region that the store says it is in',
  },
  {
    name: 'strict-region',
    help: 'refuse requests signed for another region (without it any region is accepted)',
  },
  {
    name: 'strict-s3',
    help: 'answer as AWS where the store is otherwise more generous',
  },
  {
    name: 'http',
    value: 'WHICH',
    fallback: 'own',
    help: "who reads and writes HTTP: own (faster, stricter) or node (Node's server)",
  },
  {
    name: 'tls-cert',
    value: 'FILE',
    help: 'certificate chain (PEM); serves https, read again when it changes',
  },
  { name: 'tls-key', value: 'FILE', help: 'private key of the certificate (PEM)' },
  {
    name: 'code',
    value: 'K+M',
    help: 'erasure code of a new store, as 8+4 (default: by number of drives)',
  },
  {
    name: 'reduced-redundancy-code',
    value: 'K+M',
    help: 'code of new objects of class REDUCED_REDUNDANCY (default: one parity shard less)',
  },
  {
    name: 'buckets',
    value: 'NAMES',
    repeatable: true,
    help: 'buckets to create at the start, as a,b',
  },
  {
    name: 'garbage-grace',
    value: 'SECONDS',
    fallback: '60',
    help: 'how long the bytes of deleted objects are kept at least',
  },
  {
    name: 'scrub-days',
    value: 'DAYS',
    fallback: '14',
    help: 'time in which every byte on the drives is read and verified once; fractions are fine',
  },
  {
    name: 'mend-delay',
    value: 'SECONDS',
    fallback: '60',
    help: 'how long a drive that is out is waited for when only one more may be lost',
  },
  {
    name: 'dump-days',
    value: 'DAYS',
    fallback: '7',
    help: 'age at which the dumps of metadata on the drives are renewed; fractions are fine',
  },
  {
    name: 'orphan-hours',
    value: 'HOURS',
    fallback: '24',
    help: 'age at which shards that no object names are deleted; fractions are fine',
  },
  {
    name: 'abandoned-upload-days',
    value: 'DAYS',
    fallback: '0',
    help: 'abort multipart uploads that got no part for so long; 0: never',
  },
  { name: 'log-level', value: 'LEVEL', fallback: 'info', help: `one of ${LOG_LEVELS.join(', ')}` },
  {
    name: 'encryption-key-file',
    value: 'FILE',
    help: 'keys of SSE-S3 and SSE-KMS, made by kintsugi new-key; read again when it changes',
  },
  {
    name: 'vault-address',
    value: 'URL',
    help: 'Vault or OpenBao whose transit engine keeps the keys of SSE-S3 and SSE-KMS',
  },
  {
    name: 'vault-mount',
    value: 'PATH',
    fallback: 'transit',
    help: 'where the transit engine is mounted',
  },
  {
    name: 'vault-key',
    value: 'NAME',
    fallback: 'kintsugi',
    help: 'transit key where a request names none',
  },
  {
    name: 'vault-token-file',
    value: 'FILE',
    help: 'token for Vault, read for each request; else KINTSUGI_VAULT_TOKEN',
  },
  { name: 'config', value: 'FILE', help: 'TOML file with any of these options' },
]

const MS_PER_HOUR = 60 * 60 * 1000
const MS_PER_DAY = 24 * 60 * 60 * 1000

/** Root credentials as the environment gives them. */
export interface Credentials {
  accessKeyId: string
  secretAccessKey: string
}

/** Where the transit engine is, and the token for it: a file or the token itself. */
export interface VaultConfig {
  address: string
  mount: string
  key: string
  token: { kind: 'file'; path: string } | { kind: 'text'; text: string }
}

/** Everything that `kintsugi serve` was told. */
export interface ServeConfig {
  /** Drive directories in the order given; empty: the default six under ./data. */
  directories: readonly string[]
  address: string
  port: number
  adminAddress: string
  adminPort: number
  /** That serve the S3 port together. */
  processes: number
  /** So many cores said how many they are, and nobody else. */
  processesByCores?: number
  domains: readonly string[]
  region: string
  strictRegion: boolean
  strictS3: boolean
  http: 'own' | 'node'
  tls?: { certPath: string; keyPath: string }
  code?: { dataCount: number; parityCount: number }
  reducedRedundancyCode?: { dataCount: number; parityCount: number }
  buckets: readonly string[]
  garbageGraceMs: number
  /** How long a drive that is out is waited for when only one more may be lost. */
  mendDelayMs: number
  /** Shards that no row names are deleted when they are so old. */
  orphanAgeMs: number
  /** Uploads that got no part for so long are aborted; undefined: none is. */
  abandonedUploadMs: number | undefined
  /** A whole scrub takes as long. */
  scrubPeriodMs: number
  /** Dumps of metadata are renewed when they are as old. */
  dumpPeriodMs: number
  logLevel: LogLevel
  rootCredentials?: Credentials
  encryptionKeyFile?: string
  vault?: VaultConfig
}

/** Composes the configuration; throws ConfigError with the option's name and what would be right. */
export async function loadServeConfig(sources: ConfigSources): Promise<ServeConfig> {
  const settings = await composeSettings(SERVE_OPTIONS, sources)
  return Object.freeze(readSettings(settings, sources))
}

/** What the guard tells the server that it starts; nobody else sets it. */
export const GUARD_VARIABLE = 'KINTSUGI_GUARDED'

/** What the first of several processes tells the workers that it starts; nobody else sets it. */
export const WORKER_VARIABLE = 'KINTSUGI_WORKER'

/** The environment of this process. */
export function processEnvironment(): Record<string, string | undefined> {
  return process.env
}

function readSettings(settings: Settings, sources: ConfigSources): ServeConfig {
  const code = settings.code?.[0]
  return {
    directories: sources.directories,
    ...readGatewaySettings(settings, sources.environment),
    garbageGraceMs: readSeconds('garbage-grace', settings['garbage-grace']![0]!) * 1000,
    mendDelayMs: readSeconds('mend-delay', settings['mend-delay']![0]!) * 1000,
    orphanAgeMs: readHours('orphan-hours', settings['orphan-hours']![0]!) * MS_PER_HOUR,
    scrubPeriodMs: readDays('scrub-days', settings['scrub-days']![0]!) * MS_PER_DAY,
    dumpPeriodMs: readDays('dump-days', settings['dump-days']![0]!) * MS_PER_DAY,
    ...(code ? { code: readCode('code', code) } : {}),
  }
}

/** What a gateway is told, whether it is the whole store or one of many. */
export type GatewaySettings = Omit<
  ServeConfig,
  | 'directories'
  | 'garbageGraceMs'
  | 'mendDelayMs'
  | 'orphanAgeMs'
  | 'scrubPeriodMs'
  | 'dumpPeriodMs'
  | 'code'
>

function readProcessesOrAuto(text: string): Pick<ServeConfig, 'processes' | 'processesByCores'> {
  if (text !== AUTO) return { processes: readProcesses('processes', text) }
  const cores = usableCores()
  return { processes: processesFor(cores), processesByCores: cores }
}

/** Reads what of the settings is about the gateway. Throws ConfigError. */
export function readGatewaySettings(
  settings: Settings,
  environment: ConfigSources['environment'],
): GatewaySettings {
  const tls = readTls(settings)
  const reducedCode = settings['reduced-redundancy-code']?.[0]
  const rootCredentials = readCredentials(environment)
  const encryptionKeyFile = settings['encryption-key-file']?.[0]
  const vault = readVault(settings, environment)
  return {
    address: settings.address![0]!,
    port: readPort('port', settings.port![0]!),
    adminAddress: settings['admin-address']![0]!,
    adminPort: readPort('admin-port', settings['admin-port']![0]!),
    ...readProcessesOrAuto(settings.processes![0]!),
    domains: settings.domain!.map((domain) => domain.toLowerCase()),
    region: readRegion(settings.region![0]!),
    strictRegion: readSwitch('strict-region', settings['strict-region']?.[0]),
    strictS3: readSwitch('strict-s3', settings['strict-s3']?.[0]),
    http: readHttp(settings.http![0]!),
    buckets: settings.buckets ?? [],
    abandonedUploadMs: readAbandonedDays(settings['abandoned-upload-days']![0]!),
    logLevel: readLogLevel(settings['log-level']![0]!),
    ...(tls ? { tls } : {}),
    ...(reducedCode
      ? { reducedRedundancyCode: readCode('reduced-redundancy-code', reducedCode) }
      : {}),
    ...(rootCredentials ? { rootCredentials } : {}),
    ...(encryptionKeyFile ? { encryptionKeyFile } : {}),
    ...(vault ? { vault } : {}),
  }
}

function readAbandonedDays(text: string): number | undefined {
  return Number(text) === 0 ? undefined : readDays('abandoned-upload-days', text) * MS_PER_DAY
}

function readRegion(text: string): string {
  if (!/^[a-z0-9-]{1,64}$/.test(text)) {
    throw new ConfigError(`--region takes lower-case letters, digits and hyphens, not "${text}"`)
  }
  return text
}

function readHttp(text: string): ServeConfig['http'] {
  if (text === 'own' || text === 'node') return text
  throw new ConfigError(`--http takes own or node, not "${text}"`)
}

function readTls(settings: Settings): ServeConfig['tls'] {
  const certPath = settings['tls-cert']?.[0]
  const keyPath = settings['tls-key']?.[0]
  if (certPath && keyPath) return { certPath, keyPath }
  if (certPath || keyPath) throw new ConfigError('--tls-cert and --tls-key are given together')
  return undefined
}

function readVault(
  settings: Settings,
  environment: ConfigSources['environment'],
): VaultConfig | undefined {
  const address = settings['vault-address']?.[0]
  const tokenFile = settings['vault-token-file']?.[0]
  if (!address) {
    if (tokenFile) throw new ConfigError('--vault-token-file needs --vault-address')
    return undefined
  }
  if (!/^https?:\/\/[^/?#\s]+\/?$/.test(address))
    throw new ConfigError(`--vault-address takes http(s)://HOST:PORT, not "${address}"`)
  const mount = settings['vault-mount']![0]!
  if (!/^[\w-]+(\/[\w-]+)*$/.test(mount))
    throw new ConfigError(`--vault-mount takes a path such as transit, not "${mount}"`)
  return {
    address,
    mount,
    key: settings['vault-key']![0]!,
    token: readVaultToken(tokenFile, environment.KINTSUGI_VAULT_TOKEN),
  }
}

function readVaultToken(path: string | undefined, text: string | undefined): VaultConfig['token'] {
  if (path) return { kind: 'file', path }
  if (text) return { kind: 'text', text }
  throw new ConfigError('--vault-address needs --vault-token-file or KINTSUGI_VAULT_TOKEN')
}

/** Root credentials, if the environment has them. Throws ConfigError. */
export function readCredentials(
  environment: ConfigSources['environment'],
): Credentials | undefined {
  const accessKeyId = environment.KINTSUGI_ROOT_ACCESS_KEY_ID
  const secretAccessKey = environment.KINTSUGI_ROOT_SECRET_ACCESS_KEY
  if (!accessKeyId && !secretAccessKey) return undefined
  if (!accessKeyId || !secretAccessKey) {
    throw new ConfigError(
      'KINTSUGI_ROOT_ACCESS_KEY_ID and KINTSUGI_ROOT_SECRET_ACCESS_KEY are given together',
    )
  }
  if (!/^[\w.+=@-]{3,128}$/.test(accessKeyId)) {
    throw new ConfigError('KINTSUGI_ROOT_ACCESS_KEY_ID takes 3 to 128 letters, digits and _.+=@-')
  }
  if (secretAccessKey.length < 8) {
    throw new ConfigError('KINTSUGI_ROOT_SECRET_ACCESS_KEY takes at least 8 characters')
  }
  return { accessKeyId, secretAccessKey }
}

/** Variables that look like options of ours and are none of the command whose options these are. */
export function unknownVariables(
  environment: ConfigSources['environment'],
  specs: readonly OptionSpec[] = SERVE_OPTIONS,
): string[] {
  const known = new Set(specs.map(({ name }) => environmentName(name)))
  known.add('KINTSUGI_ROOT_ACCESS_KEY_ID').add('KINTSUGI_ROOT_SECRET_ACCESS_KEY')
  known.add('KINTSUGI_VAULT_TOKEN').add('KINTSUGI_ETCD_PASSWORD')
  known.add(GUARD_VARIABLE).add(WORKER_VARIABLE)
  return Object.keys(environment).filter((name) => name.startsWith('KINTSUGI_') && !known.has(name))
}
