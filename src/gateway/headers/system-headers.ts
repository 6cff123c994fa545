// The headers that an object keeps and shows again, byte for byte (pitfall 94). The pipeline has taken
// `aws-chunked` out of Content-Encoding before: that is how the body travelled, not what the object is.
import type { SystemHeaders } from '../../objects/object-store.ts'
import type { Headers } from '../call.ts'
import { S3Error } from '../s3-error.ts'

const HEADER_NAMES: { readonly [Name in keyof Required<SystemHeaders>]: string } = {
  contentType: 'content-type',
  cacheControl: 'cache-control',
  contentDisposition: 'content-disposition',
  contentEncoding: 'content-encoding',
  contentLanguage: 'content-language',
  expires: 'expires',
  websiteRedirectLocation: 'x-amz-website-redirect-location',
}

const NAMES = Object.entries(HEADER_NAMES) as [keyof SystemHeaders, string][]

/** What AWS says of an object that came without a type (pitfall 53). */
const DEFAULT_CONTENT_TYPE = 'binary/octet-stream'

const REDIRECT_LENGTH_MAX = 2048

/** The headers of the request that belong to the object; empty ones count as absent. */
export function parseSystemHeaders(headers: Headers): SystemHeaders {
  const kept: SystemHeaders = {}
  for (const [property, name] of NAMES) {
    const value = headers[name]
    if (value) kept[property] = value
  }
  checkRedirect(kept.websiteRedirectLocation)
  return kept
}

function checkRedirect(location: string | undefined): void {
  if (location === undefined) return
  if (!/^(\/|https?:\/\/)/.test(location)) throw new S3Error('InvalidRedirectLocation')
  if (location.length > REDIRECT_LENGTH_MAX)
    throw new S3Error(
      'InvalidRedirectLocation',
      {},
      { message: 'The length of website redirect location cannot exceed 2,048 characters.' },
    )
}

/** The same headers for an answer. */
export function systemHeaderFields(kept: SystemHeaders): Record<string, string> {
  const fields: Record<string, string> = { 'content-type': DEFAULT_CONTENT_TYPE }
  for (const [property, name] of NAMES) {
    const value = kept[property]
    if (value !== undefined) fields[name] = headerBytes(value)
  }
  return fields
}

// Node writes one byte per character: the UTF-8 that came in goes out again.
function headerBytes(value: string): string {
  return /^[\t -~]*$/.test(value) ? value : Buffer.from(value).toString('latin1')
}
