// Options, environment and file → one frozen configuration. The only reader of process.env.
// Every option `--a-b` is also KINTSUGI_A_B and `a-b` in the file; option beats environment beats file.
import { parse as parseToml } from 'smol-toml'
import { LOG_LEVELS, type LogLevel } from './kit/log-levels.ts'

/** One option: the table that the command line, the environment and the file share. */
export interface OptionSpec {
  name: string
  /** What stands for the value in `--help`; absent for a switch. */
  value?: string
  /** May be given several times; comma-separated in the environment, an array in the file. */
  repeatable?: boolean
  fallback?: string
  help: string
}

/** Options of `kintsugi serve`. */
export const SERVE_OPTIONS: readonly OptionSpec[] = [
  { name: 'address', value: 'ADDRESS', fallback: '127.0.0.1', help: 'address to listen on' },
  { name: 'port', value: 'PORT', fallback: '9000', help: 'port of the S3 API; 0 picks a free one' },
  {
    name: 'admin-port',
    value: 'PORT',
    fallback: '9001',
    help: 'port of /metrics, /health/live and /health/ready; 0 picks a free one',
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
    help: 'answer exactly as AWS where the store is otherwise more generous',
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
  adminPort: number
  domains: readonly string[]
  region: string
  strictRegion: boolean
  strictS3: boolean
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

/** Something is wrong with what the user wrote: exit code 2, one sentence. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Text of an option: one string, or several for a repeatable one. */
type Settings = Record<string, string[] | undefined>

/** Where the settings come from. */
export interface ConfigSources {
  directories: readonly string[]
  /** As given on the command line: option names without dashes in front. */
  options: Record<string, string | string[] | boolean | undefined>
  environment: Record<string, string | undefined>
  readFile: (path: string) => Promise<string>
}

/** Composes the configuration; throws ConfigError with the option's name and what would be right. */
export async function loadServeConfig(sources: ConfigSources): Promise<ServeConfig> {
  const fromOptions = settingsFromOptions(sources.options)
  const fromEnvironment = settingsFromEnvironment(sources.environment)
  const path = fromOptions.config?.[0] ?? fromEnvironment.config?.[0]
  const fromFile = path === undefined ? {} : await settingsFromFile(path, sources.readFile)
  const settings: Settings = {}
  for (const { name, fallback } of SERVE_OPTIONS) {
    settings[name] = fromOptions[name] ?? fromEnvironment[name] ?? fromFile[name] ?? only(fallback)
  }
  return Object.freeze(readSettings(settings, sources))
}

/** What the guard tells the server that it starts; nobody else sets it. */
export const GUARD_VARIABLE = 'KINTSUGI_GUARDED'

/** The environment of this process. */
export function processEnvironment(): Record<string, string | undefined> {
  return process.env
}

function readSettings(settings: Settings, sources: ConfigSources): ServeConfig {
  const tls = readTls(settings)
  const code = settings.code?.[0]
  const reducedCode = settings['reduced-redundancy-code']?.[0]
  const rootCredentials = readCredentials(sources.environment)
  const encryptionKeyFile = settings['encryption-key-file']?.[0]
  const vault = readVault(settings, sources.environment)
  return {
    directories: sources.directories,
    address: settings.address![0]!,
    port: readPort('port', settings.port![0]!),
    adminPort: readPort('admin-port', settings['admin-port']![0]!),
    domains: settings.domain!.map((domain) => domain.toLowerCase()),
    region: readRegion(settings.region![0]!),
    strictRegion: readSwitch('strict-region', settings['strict-region']?.[0]),
    strictS3: readSwitch('strict-s3', settings['strict-s3']?.[0]),
    buckets: settings.buckets ?? [],
    garbageGraceMs: readSeconds('garbage-grace', settings['garbage-grace']![0]!) * 1000,
    mendDelayMs: readSeconds('mend-delay', settings['mend-delay']![0]!) * 1000,
    orphanAgeMs: readHours('orphan-hours', settings['orphan-hours']![0]!) * MS_PER_HOUR,
    abandonedUploadMs: readAbandonedDays(settings['abandoned-upload-days']![0]!),
    scrubPeriodMs: readDays('scrub-days', settings['scrub-days']![0]!) * MS_PER_DAY,
    dumpPeriodMs: readDays('dump-days', settings['dump-days']![0]!) * MS_PER_DAY,
    logLevel: readLogLevel(settings['log-level']![0]!),
    ...(tls ? { tls } : {}),
    ...(code ? { code: readCode('code', code) } : {}),
    ...(reducedCode
      ? { reducedRedundancyCode: readCode('reduced-redundancy-code', reducedCode) }
      : {}),
    ...(rootCredentials ? { rootCredentials } : {}),
    ...(encryptionKeyFile ? { encryptionKeyFile } : {}),
    ...(vault ? { vault } : {}),
  }
}

function only(text: string | undefined): string[] | undefined {
  return text === undefined ? undefined : [text]
}

function settingsFromOptions(options: ConfigSources['options']): Settings {
  const settings: Settings = {}
  for (const { name, repeatable } of SERVE_OPTIONS) {
    const given = options[name]
    if (given === undefined || given === false) continue
    settings[name] = given === true ? ['true'] : splitted([given].flat(), repeatable)
  }
  return settings
}

function settingsFromEnvironment(environment: ConfigSources['environment']): Settings {
  const settings: Settings = {}
  for (const { name, repeatable } of SERVE_OPTIONS) {
    const given = environment[environmentName(name)]
    if (given !== undefined && given !== '') settings[name] = splitted([given], repeatable)
  }
  return settings
}

/** `--a-b` as KINTSUGI_A_B. */
export function environmentName(option: string): string {
  return `KINTSUGI_${option.replaceAll('-', '_').toUpperCase()}`
}

function splitted(texts: readonly string[], repeatable = false): string[] {
  if (!repeatable) return [...texts]
  return texts
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter(Boolean)
}

async function settingsFromFile(
  path: string,
  readFile: ConfigSources['readFile'],
): Promise<Settings> {
  const table = parseConfigFile(path, await readConfigFile(path, readFile))
  const settings: Settings = {}
  for (const [name, value] of Object.entries(table)) {
    const spec = SERVE_OPTIONS.find((option) => option.name === name && name !== 'config')
    if (!spec) throw new ConfigError(`${path}: there is no option "${name}"`)
    settings[name] = splitted([value].flat().map(String), spec.repeatable)
  }
  return settings
}

async function readConfigFile(path: string, readFile: ConfigSources['readFile']): Promise<string> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new ConfigError(`--config ${path} can not be read: ${(error as Error).message}`)
  }
}

function parseConfigFile(path: string, text: string): Record<string, unknown> {
  try {
    return parseToml(text)
  } catch (error) {
    throw new ConfigError(`${path} is not TOML: ${(error as Error).message.split('\n')[0]}`)
  }
}

function readPort(name: string, text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) {
    throw new ConfigError(`--${name} takes a number from 0 to 65535, not "${text}"`)
  }
  return port
}

function readSeconds(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new ConfigError(`--${name} takes whole seconds, not "${text}"`)
  return Number(text)
}

function readDays(name: string, text: string): number {
  const days = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || days === 0 || days > 3650) {
    throw new ConfigError(`--${name} takes a number of days above 0, not "${text}"`)
  }
  return days
}

function readHours(name: string, text: string): number {
  const hours = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || hours > 87_600) {
    throw new ConfigError(`--${name} takes a number of hours, not "${text}"`)
  }
  return hours
}

function readAbandonedDays(text: string): number | undefined {
  return Number(text) === 0 ? undefined : readDays('abandoned-upload-days', text) * MS_PER_DAY
}

function readSwitch(name: string, text: string | undefined): boolean {
  if (text === undefined || text === 'false') return false
  if (text === 'true') return true
  throw new ConfigError(`--${name} is true or false, not "${text}"`)
}

function readRegion(text: string): string {
  if (!/^[a-z0-9-]{1,64}$/.test(text)) {
    throw new ConfigError(`--region takes lower-case letters, digits and hyphens, not "${text}"`)
  }
  return text
}

function readLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text)
  if (!level) throw new ConfigError(`--log-level is one of ${LOG_LEVELS.join(', ')}, not "${text}"`)
  return level
}

function readCode(name: string, text: string): { dataCount: number; parityCount: number } {
  const [, data, parity] = /^(\d{1,2})\+(\d)$/.exec(text) ?? []
  const dataCount = Number(data)
  const parityCount = Number(parity)
  if (!data || dataCount < 1 || dataCount > 16 || parityCount > 4) {
    throw new ConfigError(
      `--${name} takes K+M with K from 1 to 16 and M from 0 to 4, not "${text}"`,
    )
  }
  return { dataCount, parityCount }
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

function readCredentials(environment: ConfigSources['environment']): Credentials | undefined {
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

/** Variables that look like options of ours and are none. */
export function unknownVariables(environment: ConfigSources['environment']): string[] {
  const known = new Set(SERVE_OPTIONS.map(({ name }) => environmentName(name)))
  known.add('KINTSUGI_ROOT_ACCESS_KEY_ID').add('KINTSUGI_ROOT_SECRET_ACCESS_KEY')
  known.add('KINTSUGI_VAULT_TOKEN').add(GUARD_VARIABLE)
  return Object.keys(environment).filter((name) => name.startsWith('KINTSUGI_') && !known.has(name))
}
