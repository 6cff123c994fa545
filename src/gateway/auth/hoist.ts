// Presigned URLs carry headers as parameters: JavaScript's presigner moves `x-amz-meta-…` and even
// `x-amz-copy-source` there, boto3's V2 all of `x-amz-*`, Content-Type and Content-MD5. They count as headers.
import type { Headers, Query } from '../call.ts'

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

/** Headers with those that a presigned URL carries as parameters; a header that was sent wins. */
export function hoistHeaders(query: Query, headers: Headers): Headers {
  const wanted = chooseParameters(query)
  if (wanted === undefined) return headers
  const all: Record<string, string | undefined> = Object.assign(Object.create(null), headers)
  for (const name of Object.keys(query)) {
    const lower = name.toLowerCase()
    if (wanted(lower)) all[lower] ??= query[name]
  }
  return all
}

function chooseParameters(query: Query): ((lower: string) => boolean) | undefined {
  if (query['X-Amz-Signature'] !== undefined) return isAmzHeader
  if (query.Signature === undefined) return undefined
  return (lower) => isAmzHeader(lower) || lower === 'content-type' || lower === 'content-md5'
}

function isAmzHeader(lower: string): boolean {
  return lower.startsWith('x-amz-') && !OF_THE_SIGNATURE.has(lower)
}
