// Presigned URLs of Signature Version 2: `AWSAccessKeyId=…&Signature=…&Expires=…`.
import { percentDecode } from '../address.ts'
import { S3Error } from '../s3-error.ts'
import type { Authenticated, AuthParts, AuthRequest } from './auth-request.ts'
import { equalInConstantTime } from './constant-time.ts'
import { parsePayloadClaim, protect } from './payload.ts'
import { signV2, stringToSignV2 } from './sigv2.ts'
import { canonicalPath } from './sigv4.ts'
import { formatIsoTime } from './times.ts'
import { findCredential, spellBytes } from './verify-v4.ts'

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
  const texts = stringsToSign(request, expires)
  const matches = (text: string): boolean =>
    equalInConstantTime(signV2(credential.secretAccessKey, text), signature)
  if (!texts.some(matches)) throw describeMismatch(accessKeyId, signature, texts[0] ?? '')
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

/** With the path as sent, as the documentation wants it, then with the path encoded anew. */
function stringsToSign(request: AuthRequest, expires: string): string[] {
  const { rawPath, bucket, virtualHost, pairs } = request.address
  const prefix = virtualHost ? `/${bucket}` : ''
  const paths = new Set([rawPath, canonicalPath(percentDecode(rawPath))])
  const { method, headers } = request
  return [...paths].map((path) =>
    stringToSignV2({ method, headers, expires, path: `${prefix}${path}`, pairs }),
  )
}

function describeMismatch(accessKeyId: string, signature: string, text: string): S3Error {
  return new S3Error('SignatureDoesNotMatch', {
    AWSAccessKeyId: accessKeyId,
    StringToSign: text,
    SignatureProvided: signature,
    StringToSignBytes: spellBytes(text, 'utf8'),
  })
}
