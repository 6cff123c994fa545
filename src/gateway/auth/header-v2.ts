// Requests signed by `Authorization: AWS key:signature`: boto 2, old s3cmd and what was written for them.
import { S3Error } from '../s3-error.ts'
import type { Authenticated, AuthParts, AuthRequest } from './auth-request.ts'
import { parsePayloadClaim, protect } from './payload.ts'
import { checkSkew, findTime } from './request-time.ts'
import { verifySignatureV2 } from './verify-v2.ts'
import { findCredential } from './verify-v4.ts'

/** Authenticates by the header of Signature Version 2. */
export function authenticateHeaderV2(request: AuthRequest, parts: AuthParts): Authenticated {
  const { headers } = request
  const claimed = parseAuthorization(headers.authorization ?? '')
  const credential = findCredential(claimed.accessKeyId, headers['x-amz-security-token'], parts)
  checkSkew(headers, findTime(headers), parts.nowMs)
  // x-amz-date stands among the amz headers; then the line of the date is empty.
  const date = headers['x-amz-date'] === undefined ? (headers.date ?? '') : ''
  verifySignatureV2(request, { ...claimed, date }, credential)
  const hash = headers['x-amz-content-sha256'] ?? 'UNSIGNED-PAYLOAD'
  return { identity: credential.identity, payload: protect(parsePayloadClaim(hash), undefined) }
}

function parseAuthorization(text: string): { accessKeyId: string; signature: string } {
  const [, accessKeyId, signature] = /^AWS +([^\s:]+):([^\s:]+)$/.exec(text.trim()) ?? []
  if (accessKeyId !== undefined && signature !== undefined) return { accessKeyId, signature }
  const message = 'AWS authorization header is invalid. Expected AwsAccessKeyId:signature'
  throw new S3Error('InvalidArgument', { ArgumentName: 'Authorization' }, { message })
}
