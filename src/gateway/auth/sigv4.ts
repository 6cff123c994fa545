// AWS Signature Version 4 as S3 uses it: canonical request, string to sign, signature, and the chain of
// signatures over the chunks of a streamed body. Pure; the examples of the AWS documentation are its tests.
import { createHmac, hash } from 'node:crypto'

/** How headers, queries, forms and the string to sign name it; chunks and trailers are signed under names of their own. */
export const ALGORITHM = 'AWS4-HMAC-SHA256'

/** SHA-256 of nothing. */
export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/** Where and when a signature holds: `date/region/service/aws4_request`. */
export interface Scope {
  /** YYYYMMDD. */
  date: string
  region: string
  service: string
}

/** What a signature covers. Text stands for bytes: header values are Latin-1 as Node hands them out. */
export interface SignedParts {
  method: string
  /** Already encoded: canonicalPath() or the path as sent. */
  path: string
  /** Already encoded: canonicalQuery(). */
  query: string
  /** The signed headers in order of their names, values trimmed. */
  headers: readonly (readonly [name: string, value: string])[]
  payloadHash: string
}

/** Whether a path is the same encoded and decoded: nothing in it has to be escaped, and nothing is. */
export function isPlainPath(path: string): boolean {
  return /^[\w.~/-]*$/.test(path)
}

/** Percent-encodes all but RFC 3986's unreserved characters. */
export function encodeStrictly(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** A decoded path encoded once, slashes kept. S3 signs it so, where other services encode twice (pitfall 14). */
export function canonicalPath(decodedPath: string): string {
  if (isPlainPath(decodedPath)) return decodedPath
  return decodedPath.split('/').map(encodeStrictly).join('/')
}

/** Decoded parameters, encoded strictly and sorted by encoded name, then value. */
export function canonicalQuery(pairs: Iterable<readonly [name: string, value: string]>): string {
  return [...pairs]
    .map(([name, value]) => [encodeStrictly(name), encodeStrictly(value)] as const)
    .sort(([name, value], [otherName, otherValue]) => {
      if (name !== otherName) return name < otherName ? -1 : 1
      if (value === otherValue) return 0
      return value < otherValue ? -1 : 1
    })
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

/** A header value as it is signed: trimmed, inner runs of spaces collapsed. */
export function canonicalHeaderValue(value: string): string {
  const isUsual = !value.includes('  ') && !value.includes('\t')
  if (isUsual && !value.startsWith(' ') && !value.endsWith(' ')) return value
  // Not trim(): it would take a byte 0xa0, which ends many a UTF-8 character, for a space.
  return value.replace(/[ \t]+/g, ' ').replace(/^ | $/g, '')
}

/** The canonical request. */
export function canonicalRequest({ headers, ...parts }: SignedParts): string {
  const values = new Map(headers)
  const names = headers.map(([name]) => name)
  return canonicalRequestOf(parts, names, (name) => values.get(name) ?? '')
}

/** The same of headers that lie somewhere by their names. */
export function canonicalRequestOf(
  { method, path, query, payloadHash }: Omit<SignedParts, 'headers'>,
  signedHeaders: Iterable<string>,
  valueNamed: (name: string) => string,
): string {
  let lines = ''
  let names = ''
  for (const name of signedHeaders) {
    lines += `${name}:${canonicalHeaderValue(valueNamed(name))}\n`
    names += names === '' ? name : `;${name}`
  }
  return `${method}\n${path}\n${query}\n${lines}\n${names}\n${payloadHash}`
}

/** `date/region/service/aws4_request`. */
function nameScope(scope: Scope): string {
  return `${scope.date}/${scope.region}/${scope.service}/aws4_request`
}

/** The string that the key signs. `time` is YYYYMMDDTHHMMSSZ. */
export function stringToSign(time: string, scope: Scope, canonical: string): string {
  return `${ALGORITHM}\n${time}\n${nameScope(scope)}\n${sha256HexOf(canonical)}`
}

function sha256HexOf(text: string): string {
  return hash('sha256', isAscii(text) ? text : Buffer.from(text, 'latin1'), 'hex')
}

/** The key that a secret yields for one scope. */
export function signingKey(secret: string, scope: Scope): Buffer {
  const dateKey = hmac(`AWS4${secret}`, scope.date)
  const regionKey = hmac(dateKey, scope.region)
  return hmac(hmac(regionKey, scope.service), 'aws4_request')
}

/** Hex signature of `text`. */
export function sign(key: Uint8Array, text: string): string {
  if (text.length > SHORT_TEXT_MAX || !isAscii(text)) return hmac(key, text).toString('hex')
  // HMAC by its two hashes (RFC 2104): Node makes an object for each Hmac, which costs more than they do.
  const { inner, outer } = padsOf(key)
  const end = BLOCK_BYTES + inner.write(text, BLOCK_BYTES, 'latin1')
  outer.write(hash('sha256', inner.subarray(0, end), 'binary'), BLOCK_BYTES, 'latin1')
  return hash('sha256', outer, 'hex')
}

/** What SHA-256 takes at once. */
const BLOCK_BYTES = 64
const SHA256_BYTES = 32
/** Longer than what is signed of a head or a chunk with a usual region. */
const SHORT_TEXT_MAX = 448

/** A key as HMAC puts it before the text and before the hash of that, each with room for what comes behind. */
interface Pads {
  inner: Buffer
  outer: Buffer
}

const padsByKey = new WeakMap<Uint8Array, Pads>()

function padsOf(key: Uint8Array): Pads {
  const known = padsByKey.get(key)
  if (known !== undefined) return known
  const block = Buffer.alloc(BLOCK_BYTES)
  block.set(key.length > BLOCK_BYTES ? hash('sha256', key, 'buffer') : key)
  const pads = {
    inner: Buffer.concat([block.map((byte) => byte ^ 0x36), Buffer.alloc(SHORT_TEXT_MAX)]),
    outer: Buffer.concat([block.map((byte) => byte ^ 0x5c), Buffer.alloc(SHA256_BYTES)]),
  }
  padsByKey.set(key, pads)
  return pads
}

/** Whether a text of bytes, or of anything, is the same in UTF-8 and Latin-1. */
function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}

/** What a client sends as its Authorization header. `key` is signingKey(); `time` as in stringToSign(). */
export function authorizationHeader(
  parts: SignedParts,
  {
    accessKeyId,
    key,
    scope,
    time,
  }: { accessKeyId: string; key: Uint8Array; scope: Scope; time: string },
): string {
  const signature = sign(key, stringToSign(time, scope, canonicalRequest(parts)))
  const names = parts.headers.map(([name]) => name).join(';')
  return `${ALGORITHM} Credential=${accessKeyId}/${nameScope(scope)}, SignedHeaders=${names}, Signature=${signature}`
}

/** The string that a chunk's signature covers; `previous` is the signature before it. */
export function chunkStringToSign(
  time: string,
  scope: Scope,
  previous: string,
  chunkSha256: string,
): string {
  const lines = ['AWS4-HMAC-SHA256-PAYLOAD', time, nameScope(scope), previous]
  return [...lines, EMPTY_SHA256, chunkSha256].join('\n')
}

/** The string that the trailers' signature covers. `trailers` is `name:value\n` for each, as sent. */
export function trailerStringToSign(
  time: string,
  scope: Scope,
  previous: string,
  trailers: string,
): string {
  const hash = sha256Hex(Buffer.from(trailers, 'latin1'))
  return ['AWS4-HMAC-SHA256-TRAILER', time, nameScope(scope), previous, hash].join('\n')
}

/** Lower-case hex of the SHA-256. */
export function sha256Hex(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex')
}

function hmac(key: string | Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest()
}
