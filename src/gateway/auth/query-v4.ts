// Presigned URLs of Signature Version 4.
import { S3Error } from '../s3-error.ts'
import type { Authenticated, AuthParts, AuthRequest } from './auth-request.ts'
import { parsePayloadClaim, protect } from './payload.ts'
import { SKEW_MS_MAX } from './request-time.ts'
import { ALGORITHM, type Scope } from './sigv4.ts'
import { formatIsoTime, parseBasicTime } from './times.ts'
import {
  checkAllSigned,
  findCredential,
  parseCredential,
  parseSignedHeaders,
  verifySignature,
  type WrongRegion,
  wrongRegion,
} from './verify-v4.ts'

/** A week. */
const EXPIRES_SECONDS_MAX = 604_800

/** Authenticates by `X-Amz-Algorithm=AWS4-HMAC-SHA256&…`. */
export function authenticateQuery(request: AuthRequest, parts: AuthParts): Authenticated {
  const claimed = parseParameters(request, parts.region)
  const token = request.address.query['X-Amz-Security-Token']
  const credential = findCredential(claimed.accessKeyId, token, parts)
  checkValidity(claimed.timeMs, claimed.expiresSeconds, parts.nowMs)
  // The payload's hash stands in the canonical request: whoever sends another header breaks the signature.
  checkAllSigned(request, claimed.signedHeaders, ['x-amz-content-sha256'])
  const payloadHash = findPayloadHash(request)
  const claim = { ...claimed, payloadHash }
  const { identity, seed } = verifySignature(request, claim, credential, parts)
  return { identity, payload: protect(parsePayloadClaim(payloadHash), seed) }
}

const REQUIRED = ['Algorithm', 'Credential', 'Signature', 'Date', 'SignedHeaders', 'Expires']

function parseParameters({ address }: AuthRequest, region: AuthParts['region']) {
  const [algorithm = '', credentialText = '', signature = '', time = '', names = '', expires = ''] =
    REQUIRED.map((name) => address.query[`X-Amz-${name}`] ?? '')
  if ([algorithm, credentialText, signature, time, names, expires].includes('')) {
    throw wrong(
      'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
    )
  }
  if (algorithm !== ALGORITHM) throw wrong(`X-Amz-Algorithm only supports "${ALGORITHM}"`)
  const credential = parseCredential(credentialText)
  if (credential === undefined || credential.terminal !== 'aws4_request') {
    throw wrong(
      'Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
    )
  }
  const timeMs = parseTime(time, credential.scope)
  checkScope(credential.scope, region)
  const signedHeaders = parseSignedHeaders(names)
  return {
    ...credential,
    signature,
    time,
    timeMs,
    signedHeaders,
    expiresSeconds: parseExpires(expires),
  }
}

function wrong(message: string, options: WrongRegion = {}): S3Error {
  const { elements } = options
  return new S3Error('AuthorizationQueryParametersError', elements, { ...options, message })
}

function parseTime(time: string, scope: Scope): number {
  const ms = parseBasicTime(time)
  if (ms === undefined) {
    throw wrong("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
  }
  if (time.slice(0, 8) === scope.date) return ms
  throw wrong(
    `Invalid credential date "${scope.date}". This date is not the same as X-Amz-Date: "${time.slice(0, 8)}".`,
  )
}

function checkScope(scope: Scope, region: AuthParts['region']): void {
  const prefix = 'Error parsing the X-Amz-Credential parameter;'
  if (scope.service !== 's3') {
    throw wrong(`${prefix} incorrect service "${scope.service}". This endpoint belongs to "s3".`)
  }
  if (!region.enforced || scope.region === region.name) return
  const message = `${prefix} the region '${scope.region}' is wrong; expecting '${region.name}'`
  throw wrong(message, wrongRegion(region.name))
}

function parseExpires(text: string): number {
  if (!/^-?\d+$/.test(text)) throw wrong('X-Amz-Expires should be a number')
  const seconds = Number(text)
  if (seconds < 0) throw wrong('X-Amz-Expires must be non-negative')
  if (seconds >= 1 && seconds <= EXPIRES_SECONDS_MAX) return seconds
  throw wrong(
    `X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than ${EXPIRES_SECONDS_MAX} seconds`,
  )
}

function checkValidity(timeMs: number, expiresSeconds: number, nowMs: number): void {
  if (timeMs > nowMs + SKEW_MS_MAX) {
    throw new S3Error('AccessDenied', {}, { message: 'Request is not yet valid' })
  }
  const endMs = timeMs + expiresSeconds * 1000
  if (nowMs <= endMs) return
  throw new S3Error(
    'AccessDenied',
    {
      'X-Amz-Expires': String(expiresSeconds),
      Expires: formatIsoTime(endMs),
      ServerTime: formatIsoTime(nowMs),
    },
    { message: 'Request has expired' },
  )
}

function findPayloadHash({ address, headers }: AuthRequest): string {
  const inQuery = address.query['X-Amz-Content-Sha256'] ?? address.query['x-amz-content-sha256']
  return inQuery ?? headers['x-amz-content-sha256'] ?? 'UNSIGNED-PAYLOAD'
}
