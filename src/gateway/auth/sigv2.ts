// AWS Signature Version 2: what boto3 and aws-cli v1 still presign for us-east-1, and boto 2 and old s3cmd put into
// the Authorization header. Pure.
import { createHmac } from 'node:crypto'

/** Parameters that belong to the signed resource, as clients choose them; in order of their names. */
export const SIGNED_PARAMETERS: ReadonlySet<string> = new Set([
  'accelerate',
  'acl',
  'analytics',
  'cors',
  'defaultObjectAcl',
  'delete',
  'encryption',
  'inventory',
  'lifecycle',
  'location',
  'logging',
  'metrics',
  'notification',
  'object-lock',
  'partNumber',
  'policy',
  'replication',
  'requestPayment',
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
  'restore',
  'select',
  'select-type',
  'storageClass',
  'tagging',
  'torrent',
  'uploadId',
  'uploads',
  'versionId',
  'versioning',
  'versions',
  'website',
])

/** What a V2 signature covers. */
export interface SignedPartsV2 {
  method: string
  /** Headers and the parameters that stand for headers; names in lower case. */
  headers: Readonly<Record<string, string | undefined>>
  /** The line of the date: a date, seconds of expiry, or nothing; as the client wrote it. */
  date: string
  /** Path with its bucket, encoded as the client sent it. */
  path: string
  /** Decoded once. */
  pairs: readonly (readonly [name: string, value: string])[]
}

/** The string that the secret signs. */
export function stringToSignV2(parts: SignedPartsV2): string {
  const { method, headers, date } = parts
  const head = [method, headers['content-md5'] ?? '', headers['content-type'] ?? '', date, '']
  return head.join('\n') + canonicalAmzHeaders(headers) + canonicalResource(parts)
}

/** base64 signature of `text`. */
export function signV2(secret: string, text: string): string {
  return createHmac('sha1', secret).update(text, 'utf8').digest('base64')
}

function canonicalAmzHeaders(headers: SignedPartsV2['headers']): string {
  return Object.keys(headers)
    .filter((name) => name.startsWith('x-amz-'))
    .sort()
    .map((name) => `${name}:${unfold(headers[name] ?? '')}\n`)
    .join('')
}

/** In one line, as AWS unfolds values: a parameter may hold line breaks, and would else read as the headers that sort behind it. */
function unfold(value: string): string {
  const isUsual = !value.includes('\n') && !value.includes('\r')
  if (isUsual) return value.trim()
  const lines = value.split(/[\r\n]/).map((line) => line.trim())
  return lines.filter((line) => line !== '').join(' ')
}

function canonicalResource({ path, pairs }: SignedPartsV2): string {
  const signed = pairs
    .filter(([name]) => SIGNED_PARAMETERS.has(name))
    .sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0))
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
  return signed.length === 0 ? path : `${path}?${signed.join('&')}`
}

/**
 * Whether the resource can be read in two ways. Values are signed decoded: `&versionId=1` behind another one reads as the parameter
 * that it would be alone.
 */
export function isAmbiguous(pairs: SignedPartsV2['pairs']): boolean {
  return pairs.some(([name, value]) => {
    if (!SIGNED_PARAMETERS.has(name)) return false
    const [, ...others] = value.split('&')
    return others.some((other) => SIGNED_PARAMETERS.has(other.split('=', 1)[0] ?? ''))
  })
}
