// The part of Signature Version 4 that header and query share: scope, key, signed headers, the signature.
import { percentDecode } from '../address.ts'
import type { Identity } from '../call.ts'
import { S3Error } from '../s3-error.ts'
import type { AuthParts, AuthRequest } from './auth-request.ts'
import type { ChunkSeed } from './chunk-chain.ts'
import { equalInConstantTime } from './constant-time.ts'
import type { Credential } from './credentials.ts'
import { withoutKeys } from './hidden-keys.ts'
import {
  canonicalPath,
  canonicalQuery,
  canonicalRequestOf,
  isPlainPath,
  type Scope,
  sign,
  stringToSign,
} from './sigv4.ts'

/** What a client claims by its signature. */
export interface ClaimV4 {
  accessKeyId: string
  scope: Scope
  /** YYYYMMDDTHHMMSSZ. */
  time: string
  /** In lower case and order. */
  signedHeaders: ReadonlySet<string>
  signature: string
  payloadHash: string
}

/** Splits `key/date/region/service/aws4_request`; the key may hold slashes. undefined when it is malformed. */
export function parseCredential(
  text: string,
): { accessKeyId: string; scope: Scope; terminal: string } | undefined {
  const parts = text.split('/')
  if (parts.length < 5) return undefined
  const [date = '', region = '', service = '', terminal = ''] = parts.slice(-4)
  const accessKeyId = parts.slice(0, -4).join('/')
  return { accessKeyId, scope: { date, region, service }, terminal }
}

/** Where the refusal of a region names the right one. */
export interface WrongRegion {
  elements?: Record<string, string>
  headers?: Record<string, string>
}

/** Names the right region, in a header too because HEAD has no document: SDKs sign again with it. */
export function wrongRegion(right: string): WrongRegion {
  return { elements: { Region: right }, headers: { 'x-amz-bucket-region': right } }
}

/**
 * Sorted lower-case names out of `host;x-amz-date`, each once: its value is written out for each of them, so that 64 KiB of one
 * name and its value would make a text of half a gigabyte, which nobody has to sign to have it made.
 */
export function parseSignedHeaders(text: string): ReadonlySet<string> {
  const names = new Set(text.toLowerCase().split(';').sort())
  names.delete('')
  return names
}

/** Throws InvalidAccessKeyId when nobody has this key, InvalidToken when a session is claimed: there are none. */
export function findCredential(
  accessKeyId: string,
  token: string | undefined,
  parts: AuthParts,
): Credential {
  const credential = parts.credentials.find(accessKeyId)
  if (credential === undefined) {
    throw new S3Error('InvalidAccessKeyId', { AWSAccessKeyId: accessKeyId })
  }
  if (token !== undefined && token !== '') throw new S3Error('InvalidToken', { 'Token-0': token })
  return credential
}

/** Throws AccessDenied unless Host and every x-amz-* header are signed (pitfall 18), but for those in `exempt`. */
export function checkAllSigned(
  { rawHeaders }: AuthRequest,
  signedHeaders: ReadonlySet<string>,
  exempt: readonly string[] = [],
): void {
  const unsigned: string[] = []
  for (const name in rawHeaders) {
    if (name !== 'host' && !name.startsWith('x-amz-')) continue
    if (!signedHeaders.has(name) && !exempt.includes(name)) unsigned.push(name)
  }
  if (unsigned.length === 0) return
  throw new S3Error(
    'AccessDenied',
    { HeadersNotSigned: unsigned.join(', ') },
    { message: 'There were headers present in the request which were not signed' },
  )
}

/** Checks the signature and returns the identity and the seed of a chunk chain. Throws SignatureDoesNotMatch. */
export function verifySignature(
  request: AuthRequest,
  claim: ClaimV4,
  credential: Credential,
  parts: AuthParts,
): { identity: Identity; seed: ChunkSeed } {
  const { time, scope, signature } = claim
  const key = parts.keys.find(credential.secretAccessKey, scope)
  const { rawPath } = request.address
  // The path encoded strictly, as it should be signed, then as sent: some clients keep their own escapes.
  const strict = isPlainPath(rawPath) ? rawPath : canonicalPath(percentDecode(rawPath))
  const canonical = canonicalOf(request, claim, strict)
  const matches = (text: string): boolean =>
    equalInConstantTime(sign(key, stringToSign(time, scope, text)), signature)
  if (
    !matches(canonical) &&
    (strict === rawPath || !matches(canonicalOf(request, claim, rawPath)))
  ) {
    throw describeMismatch(claim, canonical, canonicalOf(withoutKeys(request), claim, strict))
  }
  return { identity: credential.identity, seed: { key, time, scope, signature } }
}

function canonicalOf(request: AuthRequest, claim: ClaimV4, path: string): string {
  const { pairs } = request.address
  const query =
    pairs.length === 0 ? '' : canonicalQuery(pairs.filter(([name]) => name !== 'X-Amz-Signature'))
  const { method, rawHeaders } = request
  const { signedHeaders, payloadHash } = claim
  const parts = { method, path, query, payloadHash }
  return canonicalRequestOf(parts, signedHeaders, (name) => rawHeaders[name] ?? '')
}

/** `shown` is the canonical request without keys of clients; the string to sign has only a hash of them. */
function describeMismatch(claim: ClaimV4, canonical: string, shown: string): S3Error {
  const text = stringToSign(claim.time, claim.scope, canonical)
  return new S3Error('SignatureDoesNotMatch', {
    AWSAccessKeyId: claim.accessKeyId,
    StringToSign: text,
    SignatureProvided: claim.signature,
    StringToSignBytes: spellBytes(text),
    CanonicalRequest: shown,
    // Of a text in which something was hidden nobody could compare the bytes.
    ...(shown === canonical ? { CanonicalRequestBytes: spellBytes(canonical) } : {}),
  })
}

/** `41 57 53 …`: what a client needs to see which byte differs. */
export function spellBytes(text: string, encoding: 'latin1' | 'utf8' = 'latin1'): string {
  return Buffer.from(text, encoding)
    .toString('hex')
    .replace(/..(?=.)/g, '$& ')
}
