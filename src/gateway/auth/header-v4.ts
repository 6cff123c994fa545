// Requests signed by the Authorization header.
import { S3Error } from '../s3-error.ts'
import type { Authenticated, AuthParts, AuthRequest } from './auth-request.ts'
import { type PayloadClaim, parsePayloadClaim, protect } from './payload.ts'
import { checkSkew, findTime } from './request-time.ts'
import { ALGORITHM, type Scope } from './sigv4.ts'
import { formatBasicTime } from './times.ts'
import {
  checkAllSigned,
  findCredential,
  parseCredential,
  parseSignedHeaders,
  verifySignature,
  type WrongRegion,
  wrongRegion,
} from './verify-v4.ts'

/** Authenticates by `Authorization: AWS4-HMAC-SHA256 …`. */
export function authenticateHeader(request: AuthRequest, parts: AuthParts): Authenticated {
  const claimed = readAuthorization(request.headers.authorization ?? '')
  checkScope(claimed.scope, claimed.terminal, parts.region)
  const { 'x-amz-security-token': token } = request.headers
  const credential = findCredential(claimed.accessKeyId, token, parts)
  const timeMs = findTime(request.headers)
  checkSkew(request.headers, timeMs, parts.nowMs)
  checkDate(timeMs, claimed.scope)
  const { payload, hash } = findPayload(request)
  checkAllSigned(request, claimed.signedHeaders)
  const { accessKeyId, scope, signedHeaders, signature } = claimed
  const time = formatBasicTime(timeMs)
  const claim = { accessKeyId, scope, time, signedHeaders, signature, payloadHash: hash }
  const { identity, seed } = verifySignature(request, claim, credential, parts)
  return { identity, payload: protect(payload, seed) }
}

interface Authorization {
  accessKeyId: string
  scope: Scope
  terminal: string
  signedHeaders: ReadonlySet<string>
  signature: string
}

const SIGNATURE_DIGITS = 64

// All but the signature is the same in every request of a client on one day: it is taken apart once.
const known = new Map<string, Authorization>()
const KNOWN_MAX = 256
/** Longer ones are no client's that sends many. */
const KNOWN_LENGTH_MAX = 512
let latest: { words: string; read: Authorization } | undefined

function readAuthorization(text: string): Authorization {
  const end = text.length - SIGNATURE_DIGITS
  // Most requests are of the same client as the one before: then nothing has to be cut out to be looked up.
  if (end === latest?.words.length && text.startsWith(latest.words))
    return withSignature(latest.read, text.slice(end))
  const words = text.slice(0, end)
  const before = known.get(words)
  if (before !== undefined) {
    latest = { words, read: before }
    return withSignature(before, text.slice(end))
  }
  const read = parseAuthorization(text)
  const isLast = /,[ ]?Signature=$/.test(words) && read.signature === text.slice(end)
  if (isLast && words.length <= KNOWN_LENGTH_MAX) keep(words, read)
  return read
}

function withSignature(read: Authorization, signature: string): Authorization {
  const { accessKeyId, scope, terminal, signedHeaders } = read
  return { accessKeyId, scope, terminal, signedHeaders, signature }
}

function keep(words: string, read: Authorization): void {
  known.set(words, read)
  if (known.size <= KNOWN_MAX) return
  const [oldest] = known.keys()
  if (oldest !== undefined) known.delete(oldest)
}

function parseAuthorization(text: string): Authorization {
  const fields = new Map<string, string>()
  for (const field of text.slice(ALGORITHM.length).split(',')) {
    const equals = field.indexOf('=')
    if (equals > 0) fields.set(field.slice(0, equals).trim(), field.slice(equals + 1).trim())
  }
  const credential = parseCredential(fields.get('Credential') ?? '')
  const names = fields.get('SignedHeaders')
  const signature = fields.get('Signature')
  if (credential === undefined)
    throw malformed(
      'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
    )
  if (names === undefined) throw malformed('missing SignedHeaders.')
  if (signature === undefined) throw malformed('missing Signature.')
  return { ...credential, signedHeaders: parseSignedHeaders(names), signature }
}

function malformed(why: string, options: WrongRegion = {}): S3Error {
  const message = `The authorization header is malformed; ${why}`
  return new S3Error('AuthorizationHeaderMalformed', options.elements, { ...options, message })
}

function checkScope(scope: Scope, terminal: string, region: AuthParts['region']): void {
  if (terminal !== 'aws4_request') throw malformed('the Credential must end in "aws4_request".')
  if (scope.service !== 's3') {
    throw malformed(`incorrect service "${scope.service}". This endpoint belongs to "s3".`)
  }
  if (!/^\d{8}$/.test(scope.date)) {
    throw malformed(
      `incorrect date format "${scope.date}". This date must be in format "YYYYMMDD".`,
    )
  }
  if (!region.enforced || scope.region === region.name) return
  const why = `the region '${scope.region}' is wrong; expecting '${region.name}'`
  throw malformed(why, wrongRegion(region.name))
}

function checkDate(timeMs: number, scope: Scope): void {
  if (formatBasicTime(timeMs).slice(0, 8) === scope.date) return
  throw malformed(
    `Invalid credential date "${scope.date}". This date is not the same as X-Amz-Date.`,
  )
}

function findPayload({ headers }: AuthRequest): { payload: PayloadClaim; hash: string } {
  const hash = headers['x-amz-content-sha256']
  if (hash === undefined) {
    const message = 'Missing required header for this request: x-amz-content-sha256'
    throw new S3Error('InvalidRequest', {}, { message })
  }
  return { payload: parsePayloadClaim(hash), hash }
}
