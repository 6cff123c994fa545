// Where a request points: raw URL and Host become bucket, key and query parameters.
// The URL is read by hand: WHATWG and Node's parsers fold `a/../b`, and S3 keys may be just that.
import { NameBag } from '../kit/name-bag.ts'
import type { Query } from './call.ts'
import { S3Error } from './s3-error.ts'

/** Longest key in bytes of UTF-8. */
export const KEY_BYTES_MAX = 1024

/** Where a request points, decoded, beside what was sent. */
export interface Address {
  /** Path as it was sent, before the `?`: what the signature covers. */
  rawPath: string
  /** Query parameters in the order sent, decoded once. */
  pairs: readonly (readonly [name: string, value: string])[]
  /** The first value of each parameter. */
  query: Query
  /** '' when the request is for the service. */
  bucket: string
  /** '' when the request is for a bucket. */
  key: string
  /** True when the bucket stands in the Host header. */
  virtualHost: boolean
  /** Host header without the bucket; '' when the client sent none. */
  baseHost: string
}

const NO_PAIRS: Address['pairs'] = []
const NO_QUERY: Query = Object.freeze(new NameBag())

/** Reads the address of a request. Throws InvalidURI, InvalidBucketName or KeyTooLongError. */
export function parseAddress(
  url: string,
  host: string | undefined,
  domains: readonly string[],
): Address {
  const target = dropOrigin(url)
  const mark = target.indexOf('?')
  const rawPath = mark < 0 ? target : target.slice(0, mark)
  const pairs = mark < 0 ? NO_PAIRS : parseQuery(target.slice(mark + 1))
  const { bucket: hostBucket, baseHost } = splitHost(host ?? '', domains)
  const { bucket, key } = splitPath(decodePath(rawPath), hostBucket)
  if (bucket !== '') checkKey(key)
  const virtualHost = hostBucket !== undefined
  return { rawPath, pairs, query: firstOfEach(pairs), bucket, key, virtualHost, baseHost }
}

// `GET http://host/bucket/key`, as sent through proxies.
function dropOrigin(url: string): string {
  if (url.startsWith('/')) return url
  const origin = /^https?:\/\/[^/?]*/i.exec(url)
  if (origin === null) return url
  const rest = url.slice(origin[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

function decodePath(rawPath: string): string {
  if (!rawPath.startsWith('/')) throw new S3Error('InvalidURI')
  return percentDecode(rawPath)
}

function splitPath(path: string, hostBucket: string | undefined): { bucket: string; key: string } {
  if (hostBucket !== undefined) return { bucket: hostBucket, key: path.slice(1) }
  const slash = path.indexOf('/', 1)
  if (slash < 0) return { bucket: path.slice(1), key: '' }
  const bucket = path.slice(1, slash)
  if (bucket === '') throw new S3Error('InvalidBucketName', { BucketName: '' })
  return { bucket, key: path.slice(slash + 1) }
}

/** `photos.localhost:9000` with domain `localhost` is bucket `photos`; other hosts name no bucket. */
function splitHost(host: string, domains: readonly string[]): SplitHost {
  if (host !== lastHost.host || domains !== lastHost.domains)
    lastHost = { host, domains, split: readHost(host, domains) }
  return lastHost.split
}

interface SplitHost {
  bucket: string | undefined
  baseHost: string
}

// Most requests name the same host as the one before.
let lastHost: { host: string; domains: readonly string[]; split: SplitHost } = {
  host: '',
  domains: [],
  split: { bucket: undefined, baseHost: '' },
}

function readHost(host: string, domains: readonly string[]): SplitHost {
  const [, name = '', port = ''] = /^(.*?)(:\d*)?$/.exec(host.toLowerCase()) ?? []
  const longestFirst = [...domains].sort((left, right) => right.length - left.length)
  for (const domain of longestFirst) {
    if (name === domain) break
    if (!name.endsWith(`.${domain}`)) continue
    return { bucket: name.slice(0, -domain.length - 1), baseHost: `${domain}${port}` }
  }
  return { bucket: undefined, baseHost: host }
}

/** Throws KeyTooLongError or InvalidURI for what can not be a key. */
export function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key)
  if (bytes > KEY_BYTES_MAX) {
    const sizes = { Size: String(bytes), MaxSizeAllowed: String(KEY_BYTES_MAX) }
    throw new S3Error('KeyTooLongError', sizes)
  }
  if (key.includes('\0') || climbsAboveRoot(key)) throw new S3Error('InvalidURI')
}

/** `../x` and `a/../../b` climb; `a/../b` does not and is an ordinary key, as are `a//b`, `/a` and `a/`. */
function climbsAboveRoot(key: string): boolean {
  if (!key.includes('..')) return false
  let depth = 0
  for (const segment of key.split('/')) {
    if (segment === '..') depth -= 1
    else if (segment !== '' && segment !== '.') depth += 1
    if (depth < 0) return true
  }
  return false
}

/** The parameters of a query string in order, decoded once; `+` is a space. */
export function parseQuery(text: string): [name: string, value: string][] {
  const pairs: [string, string][] = []
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = equals < 0 ? pair : pair.slice(0, equals)
    const value = equals < 0 ? '' : pair.slice(equals + 1)
    pairs.push([decodeQueryPart(name), decodeQueryPart(value)])
  }
  return pairs
}

function decodeQueryPart(text: string): string {
  return percentDecode(text.replaceAll('+', ' '))
}

function firstOfEach(pairs: Address['pairs']): Query {
  if (pairs.length === 0) return NO_QUERY
  const query = new NameBag()
  for (const [name, value] of pairs) query[name] ??= value
  return query
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Decodes percent escapes exactly once. Node hands out raw bytes of a URL as Latin-1, so these are UTF-8 too. */
export function percentDecode(text: string): string {
  if (/^[!-$&-~ ]*$/.test(text)) return text
  if (/%(?![0-9a-fA-F]{2})|[\u0100-\uffff]/.test(text)) throw new S3Error('InvalidURI')
  const bytes = Buffer.from(
    text.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new S3Error('InvalidURI', {}, { cause })
  }
}

const IP_FORM = /^\d{1,3}(\.\d{1,3}){3}$/
const RESERVED_PREFIXES = ['xn--', 'sthree-']
const RESERVED_SUFFIXES = ['-s3alias', '--ol-s3', '--x-s3', '--table-s3']

// Most requests are about the same bucket as the one before.
let lastBucket = ''

/** Whether `name` may be the name of a bucket (pitfall 11). */
export function isBucketName(name: string): boolean {
  if (name === lastBucket && name !== '') return true
  const is = mayBeBucket(name)
  if (is) lastBucket = name
  return is
}

function mayBeBucket(name: string): boolean {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)) return false
  if (/\.[.-]|-\./.test(name) || IP_FORM.test(name)) return false
  if (RESERVED_PREFIXES.some((prefix) => name.startsWith(prefix))) return false
  return !RESERVED_SUFFIXES.some((suffix) => name.endsWith(suffix))
}
