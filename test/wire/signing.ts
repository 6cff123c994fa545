// Signatures written a second time, apart from the gateway's own code: what one side gets wrong shows.
import { createHash, createHmac } from 'node:crypto'
import { TEST_KEYS } from '../support/server.ts'

/** Header names in lower case; a name may stand twice. */
export type HeaderList = readonly (readonly [name: string, value: string])[]

export interface Signer {
  accessKeyId?: string
  secretAccessKey?: string
  region?: string
  service?: string
  /** When the request says that it was made; now unless told. */
  ms?: number
}

export interface SignedRequest {
  method: string
  /** Path as it goes over the wire. */
  path: string
  /** Query as it goes over the wire, already sorted and strictly encoded. */
  query: string
  headers: HeaderList
  payloadHash: string
}

/** What a signed head leaves to the chunks of its body. */
export interface ChunkSeed {
  key: Buffer
  time: string
  scope: string
  signature: string
}

export const EMPTY_SHA256 = sha256Hex('')

export function sha256Hex(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** YYYYMMDDTHHMMSSZ. */
export function basicTime(ms = Date.now()): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '')
}

/** Percent-encodes all but RFC 3986's unreserved characters. */
export function strictEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** A query string as it is signed and sent. */
export function encodeQuery(query: Record<string, string>): string {
  return Object.entries(query)
    .map(([name, value]) => [strictEncode(name), strictEncode(value)] as const)
    .sort(([name], [other]) => (name < other ? -1 : 1))
    .map((pair) => pair.join('='))
    .join('&')
}

/** The Authorization header of Signature Version 4, and the seed for chunks. */
export function authorize(
  request: SignedRequest,
  signer: Signer,
  time: string,
): { authorization: string; seed: ChunkSeed } {
  const scope = scopeOf(signer, time)
  const key = keyOf(signer, scope)
  const signature = signCanonical(request, key, time, scope)
  const { accessKeyId } = { ...TEST_KEYS, ...signer }
  const authorization =
    `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, ` +
    `SignedHeaders=${signedNames(request.headers).join(';')}, Signature=${signature}`
  return { authorization, seed: { key, time, scope, signature } }
}

/** A query with a signature of Version 4 in it. */
export function presign(
  request: Omit<SignedRequest, 'query' | 'payloadHash'> & { query?: Record<string, string> },
  signer: Signer & { expires?: string; payloadHash?: string } = {},
): string {
  const time = basicTime(signer.ms)
  const scope = scopeOf(signer, time)
  const query = {
    ...request.query,
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${signer.accessKeyId ?? TEST_KEYS.accessKeyId}/${scope}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': signer.expires ?? '300',
    'X-Amz-SignedHeaders': signedNames(request.headers).join(';'),
  }
  const payloadHash = signer.payloadHash ?? 'UNSIGNED-PAYLOAD'
  const canonical = { ...request, query: encodeQuery(query), payloadHash }
  const signature = signCanonical(canonical, keyOf(signer, scope), time, scope)
  return `${canonical.query}&X-Amz-Signature=${signature}`
}

/** A query with a signature of Version 2 in it. `resource` is the path with its bucket and signed parameters. */
export function presignV2(
  request: { method: string; resource: string; contentType?: string; amzLines?: string },
  signer: Signer & { expires?: string } = {},
): string {
  const { accessKeyId, secretAccessKey } = { ...TEST_KEYS, ...signer }
  const expires = signer.expires ?? String(Math.floor(Date.now() / 1000) + 300)
  const lines = [request.method, '', request.contentType ?? '', expires]
  const text = `${lines.join('\n')}\n${request.amzLines ?? ''}${request.resource}`
  const signature = createHmac('sha1', secretAccessKey).update(text).digest('base64')
  return encodeQuery({ AWSAccessKeyId: accessKeyId, Expires: expires, Signature: signature })
}

/** One chunk in its signed frame, and the seed for the next. */
export function frameSigned(
  seed: ChunkSeed,
  bytes: Uint8Array,
): { frame: Buffer; next: ChunkSeed } {
  const lines = ['AWS4-HMAC-SHA256-PAYLOAD', seed.time, seed.scope, seed.signature]
  const text = [...lines, EMPTY_SHA256, sha256Hex(bytes)].join('\n')
  const signature = hmac(seed.key, text).toString('hex')
  const line = `${bytes.length.toString(16)};chunk-signature=${signature}\r\n`
  const end = bytes.length === 0 ? '' : '\r\n'
  return {
    frame: Buffer.concat([Buffer.from(line), bytes, Buffer.from(end)]),
    next: { ...seed, signature },
  }
}

/** The signature over trailers, each `name:value\n`. */
export function signTrailers(seed: ChunkSeed, trailers: string): string {
  const lines = ['AWS4-HMAC-SHA256-TRAILER', seed.time, seed.scope, seed.signature]
  return hmac(seed.key, [...lines, sha256Hex(trailers)].join('\n')).toString('hex')
}

function scopeOf({ region = 'us-east-1', service = 's3' }: Signer, time: string): string {
  return `${time.slice(0, 8)}/${region}/${service}/aws4_request`
}

function keyOf({ secretAccessKey = TEST_KEYS.secretAccessKey }: Signer, scope: string): Buffer {
  const first = Buffer.from(`AWS4${secretAccessKey}`)
  return scope.split('/').reduce(hmac, first)
}

function signedNames(headers: HeaderList): string[] {
  return [...new Set(headers.map(([name]) => name))].sort()
}

function signCanonical(request: SignedRequest, key: Buffer, time: string, scope: string): string {
  const names = signedNames(request.headers)
  const lines = names.map((name) => {
    const values = request.headers.filter(([other]) => other === name).map(([, value]) => value)
    return `${name}:${values.join(',').trim().replace(/ +/g, ' ')}`
  })
  const { method, path, query, payloadHash } = request
  const canonical = [method, path, query, ...lines, '', names.join(';'), payloadHash].join('\n')
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256Hex(Buffer.from(canonical, 'latin1'))]
  return hmac(key, text.join('\n')).toString('hex')
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
