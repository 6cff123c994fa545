// Headers that promise what is not built yet: refused by name, never ignored, so that nobody believes
// that an object is shared when it is not.
import type { Headers } from '../call.ts'
import { S3Error } from '../s3-error.ts'

const REFUSED_PREFIX = 'x-amz-grant-'

const REFUSED_UNLESS: Readonly<Record<string, readonly string[]>> = {
  'x-amz-acl': ['private'],
  'x-amz-object-ownership': ['BucketOwnerEnforced'],
  'x-amz-bucket-namespace': ['global'],
  'x-amz-write-offset-bytes': [],
}

/** Throws NotImplemented with the first such header. Empty ones ask for nothing: Velero sends empty tagging. */
export function refuseHeaders(headers: Headers): void {
  for (const name in headers) {
    const value = headers[name]
    if (value && isRefused(name, value)) throw new S3Error('NotImplemented', { Header: name })
  }
}

function isRefused(name: string, value: string): boolean {
  if (!name.startsWith('x-amz-')) return false
  const allowed = REFUSED_UNLESS[name]
  if (allowed) return !allowed.includes(value.trim())
  return name.startsWith(REFUSED_PREFIX)
}
