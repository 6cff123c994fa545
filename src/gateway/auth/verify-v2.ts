// The part of Signature Version 2 that header and query share: what is signed, and the comparison.
import { percentDecode } from '../address.ts'
import { S3Error } from '../s3-error.ts'
import { SUB_RESOURCES } from '../sub-resources.ts'
import type { AuthRequest } from './auth-request.ts'
import { equalInConstantTime } from './constant-time.ts'
import type { Credential } from './credentials.ts'
import { withoutKeys } from './hidden-keys.ts'
import { isAmbiguous, SIGNED_PARAMETERS, signV2, stringToSignV2 } from './sigv2.ts'
import { canonicalPath } from './sigv4.ts'
import { spellBytes } from './verify-v4.ts'

/** What a client claims by its signature. */
export interface ClaimV2 {
  accessKeyId: string
  signature: string
  /** What stands in the line of the date: the header, seconds of expiry, or nothing where x-amz-date is signed. */
  date: string
}

/** Throws unless the signature holds, and covers all that the request asks for. */
export function verifySignatureV2(
  request: AuthRequest,
  claim: ClaimV2,
  credential: Credential,
): void {
  refuseUncovered(request)
  const texts = stringsToSign(request, claim.date)
  const matches = (text: string): boolean =>
    equalInConstantTime(signV2(credential.secretAccessKey, text), claim.signature)
  if (isAmbiguous(request.address.pairs) || !texts.some(matches))
    throw mismatchV2(claim, texts[0] ?? '', shownText(request, claim.date))
}

/** SignatureDoesNotMatch with what a client needs to find its mistake (pitfall 22). `shown` is the text without keys of clients. */
export function mismatchV2(claim: Omit<ClaimV2, 'date'>, text: string, shown = text): S3Error {
  return new S3Error('SignatureDoesNotMatch', {
    AWSAccessKeyId: claim.accessKeyId,
    StringToSign: shown,
    SignatureProvided: claim.signature,
    ...(shown === text ? { StringToSignBytes: spellBytes(text, 'utf8') } : {}),
  })
}

function shownText(request: AuthRequest, date: string): string | undefined {
  const [text] = stringsToSign(withoutKeys(request), date)
  return text
}

// Version 2 is older than many sub-resources and its clients do not sign them: whoever holds a presigned PUT could
// put `?legal-hold` behind it.
function refuseUncovered({ address }: AuthRequest): void {
  const uncovered = Object.keys(address.query).find(
    (name) => SUB_RESOURCES.has(name) && !SIGNED_PARAMETERS.has(name),
  )
  if (uncovered === undefined) return
  const message = `Signature Version 2 does not cover the sub-resource ${uncovered}. Please use AWS4-HMAC-SHA256.`
  throw new S3Error('InvalidRequest', {}, { message })
}

/**
 * With the path as sent, as the documentation wants it, then with the path encoded anew; a bucket also with a slash
 * behind it, which botocore signs and does not send.
 */
function stringsToSign(request: AuthRequest, date: string): string[] {
  const { rawPath, bucket, virtualHost, pairs } = request.address
  const prefix = virtualHost ? `/${bucket}` : ''
  const paths = new Set([rawPath, canonicalPath(percentDecode(rawPath))])
  if (rawPath === `/${bucket}`) paths.add(`${rawPath}/`)
  const { method, headers } = request
  return [...paths].map((path) =>
    stringToSignV2({ method, headers, date, path: `${prefix}${path}`, pairs }),
  )
}
