// x-amz-meta-*: kept as text, at most 2 KiB of it, and shown so that HTTP can carry it (pitfalls 92, 93).
import type { Headers } from '../call.ts'
import { S3Error } from '../s3-error.ts'
import { decodeWords, encodeWords } from './encoded-words.ts'

const PREFIX = 'x-amz-meta-'
const BYTES_MAX = 2048
/** Words of RFC 2047 are longer than what they say, but not so much; to decode each costs far more than to read it. */
const SENT_LENGTH_MAX = 8 * BYTES_MAX
const NONE: Readonly<Record<string, string>> = {}

/** Names without their prefix, values without outer spaces. Words of RFC 2047 are decoded, as on AWS. */
export function parseUserMetadata(headers: Headers): Record<string, string> {
  const entries: [name: string, value: string][] = []
  let bytes = 0
  let sentLength = 0
  for (const [header, value] of Object.entries(headers)) {
    if (!header.startsWith(PREFIX) || value === undefined || header === PREFIX) continue
    sentLength += value.length
    if (sentLength > SENT_LENGTH_MAX) throw tooLarge(sentLength)
    const name = header.slice(PREFIX.length)
    const text = decodeWords(value.trim())
    entries.push([name, text])
    bytes += Buffer.byteLength(name) + Buffer.byteLength(text)
  }
  if (bytes > BYTES_MAX) throw tooLarge(bytes)
  return Object.fromEntries(entries)
}

function tooLarge(bytes: number): S3Error {
  const elements = { Size: String(bytes), MaxSizeAllowed: String(BYTES_MAX) }
  return new S3Error('MetadataTooLarge', elements)
}

/** The headers that show the metadata, and how many entries have a name that no header can have. */
export function userMetadataHeaders(
  metadata: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const all = Object.entries(metadata)
  if (all.length === 0) return NONE
  const shown = all.filter(([name]) => isToken(name))
  const missing = all.length - shown.length
  return Object.fromEntries([
    ...shown.map(([name, value]) => [PREFIX + name, encodeValue(value)]),
    ...(missing > 0 ? [['x-amz-missing-meta', String(missing)]] : []),
  ])
}

/** What the name of a header may be; forms can send others. */
function isToken(name: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)
}

/** What is not printable ASCII goes out in words, control characters as well. */
function encodeValue(value: string): string {
  return /^[\t\x20-\x7e]*$/.test(value) ? value : encodeWords(value)
}
