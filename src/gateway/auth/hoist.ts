// Presigned URLs carry headers as parameters: JavaScript's presigner moves `x-amz-meta-…` and even
// `x-amz-copy-source` there, boto3's V2 all of `x-amz-*`, Content-Type and Content-MD5. They count as headers, and so do
// If-Match and If-None-Match under a signature of Version 4.
import type { Headers, Query } from '../call.ts'
import { isChecksumName } from '../headers/checksum-value.ts'
import { S3Error } from '../s3-error.ts'
import { isCustomerKey } from './hidden-keys.ts'

/** Parameters that are about the signature itself, in lower case. */
const OF_THE_SIGNATURE: ReadonlySet<string> = new Set([
  'x-amz-algorithm',
  'x-amz-content-sha256',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-expires',
  'x-amz-security-token',
  'x-amz-signature',
  'x-amz-signedheaders',
])

/** Headers with those that a presigned URL carries as parameters; a header that was sent wins. Throws InvalidArgument. */
export function hoistHeaders(query: Query, headers: Headers): Headers {
  const wanted = chooseParameters(query)
  if (wanted === undefined) return headers
  const all: Record<string, string | undefined> = Object.assign(Object.create(null), headers)
  for (const name of Object.keys(query)) {
    const lower = name.toLowerCase()
    if (!wanted(lower)) continue
    checkHeader(lower, query[name] ?? '')
    all[lower] ??= query[name]
  }
  return all
}

/** Whether this parameter of a presigned URL counts as a header. */
export function isHoisted(parameter: string, query: Query): boolean {
  return chooseParameters(query)?.(parameter.toLowerCase()) ?? false
}

/** Whether this parameter would be a header if the query had a signature, and is none as it has not. */
export function isUnheard(parameter: string, query: Query): boolean {
  return isAmzHeader(parameter.toLowerCase()) && chooseParameters(query) === undefined
}

/**
 * Throws InvalidArgument for what no header can say, but a parameter or the field of a form. Kept with an object it
 * could never be sent again: every GET would fail. Values of user metadata may be anything, they go out as RFC 2047.
 */
export function checkHeader(name: string, value: string): void {
  const isToken = /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)
  if (isToken && (name.startsWith('x-amz-meta-') || /^[\t\x20-\x7e\x80-\u{10ffff}]*$/u.test(value)))
    return
  // A key of a client is never repeated (pitfall 119).
  const elements = isCustomerKey(name)
    ? { ArgumentName: name }
    : { ArgumentName: name, ArgumentValue: value }
  throw new S3Error('InvalidArgument', elements, { message: 'This can not be a header.' })
}

function chooseParameters(query: Query): ((lower: string) => boolean) | undefined {
  if (query['X-Amz-Signature'] !== undefined) return isHeardInV4
  if (query.Signature === undefined) return undefined
  return (lower) => isAmzHeader(lower) || lower === 'content-type' || lower === 'content-md5'
}

/** Version 4 signs every parameter, so what they ask for is the signer's. */
const CONDITIONS: ReadonlySet<string> = new Set(['if-match', 'if-none-match'])

/**
 * JavaScript's presigner signs the CRC32 of the body that it has, which is none, whatever will be sent. AWS keeps checksums of
 * bodies in the signature and passes over what they say; who means one sends it as a header.
 */
function isHeardInV4(lower: string): boolean {
  if (CONDITIONS.has(lower)) return true
  return isAmzHeader(lower) && !isChecksumName(lower) && lower !== 'x-amz-sdk-checksum-algorithm'
}

function isAmzHeader(lower: string): boolean {
  return lower.startsWith('x-amz-') && !OF_THE_SIGNATURE.has(lower)
}
