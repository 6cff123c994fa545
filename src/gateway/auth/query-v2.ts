// Presigned URLs of Signature Version 2: `AWSAccessKeyId=…&Signature=…&Expires=…`.
import { S3Error } from '../s3-error.ts'
import type { Authenticated, AuthParts, AuthRequest } from './auth-request.ts'
import { parsePayloadClaim, protect } from './payload.ts'
import { formatIsoTime } from './times.ts'
import { verifySignatureV2 } from './verify-v2.ts'
import { findCredential } from './verify-v4.ts'

/** Authenticates by a V2 signature in the query. */
export function authenticateQueryV2(request: AuthRequest, parts: AuthParts): Authenticated {
  const {
    AWSAccessKeyId: accessKeyId,
    Signature: signature,
    Expires: expires,
  } = request.address.query
  if (!accessKeyId || !signature || !expires) {
    const message =
      'Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters'
    throw new S3Error('AccessDenied', {}, { message })
  }
  const token = request.headers['x-amz-security-token'] ?? findToken(request)
  const credential = findCredential(accessKeyId, token, parts)
  checkExpiry(expires, parts.nowMs)
  verifySignatureV2(request, { accessKeyId, signature, date: expires }, credential)
  const hash = request.headers['x-amz-content-sha256'] ?? 'UNSIGNED-PAYLOAD'
  return { identity: credential.identity, payload: protect(parsePayloadClaim(hash), undefined) }
}

function findToken({ address }: AuthRequest): string | undefined {
  return address.query['x-amz-security-token']
}

function checkExpiry(expires: string, nowMs: number): void {
  if (!/^\d{1,15}$/.test(expires)) {
    const message = `Invalid date (should be seconds since epoch): ${expires}`
    throw new S3Error('AccessDenied', {}, { message })
  }
  const endMs = Number(expires) * 1000
  if (nowMs <= endMs) return
  const elements = { Expires: formatIsoTime(endMs), ServerTime: formatIsoTime(nowMs) }
  throw new S3Error('AccessDenied', elements, { message: 'Request has expired' })
}
