// x-amz-meta-*: kept as they were sent, at most 2 KiB of them, and shown so that HTTP can carry them
// (pitfalls 92, 93).
import type { Headers } from '../call.ts'
import { S3Error } from '../s3-error.ts'

const PREFIX = 'x-amz-meta-'
const BYTES_MAX = 2048

/** Names without their prefix, values without outer spaces. */
export function parseUserMetadata(headers: Headers): Record<string, string> {
  const entries: [name: string, value: string][] = []
  let bytes = 0
  for (const [header, value] of Object.entries(headers)) {
    if (!header.startsWith(PREFIX) || value === undefined || header === PREFIX) continue
    const name = header.slice(PREFIX.length)
    const trimmed = value.trim()
    entries.push([name, trimmed])
    bytes += Buffer.byteLength(name) + Buffer.byteLength(trimmed)
  }
  if (bytes > BYTES_MAX)
    throw new S3Error('MetadataTooLarge', {
      Size: String(bytes),
      MaxSizeAllowed: String(BYTES_MAX),
    })
  return Object.fromEntries(entries)
}

/** The headers that show the metadata: RFC 2047 where a value is more than printable ASCII. */
export function userMetadataHeaders(
  metadata: Readonly<Record<string, string>>,
): Record<string, string> {
  const entries = Object.entries(metadata)
  return Object.fromEntries(entries.map(([name, value]) => [PREFIX + name, encodeWord(value)]))
}

function encodeWord(value: string): string {
  if (/^[\t\x20-\x7e]*$/.test(value)) return value
  return `=?UTF-8?B?${Buffer.from(value).toString('base64')}?=`
}
