// Headers that promise what is not built yet: refused by name, never ignored, so that nobody believes
// that an object is shared when it is not.
import type { Headers } from '../call.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'

const REFUSED_PREFIX = 'x-amz-grant-'
const OWNERSHIP = 'x-amz-object-ownership'

const REFUSED_UNLESS: Readonly<Record<string, readonly string[]>> = {
  // Both say what is so anyway: who owns the bucket owns all that is in it.
  'x-amz-acl': ['private', 'bucket-owner-full-control'],
  'x-amz-object-lock-event-hold': ['OFF'],
  'x-amz-object-lock-event-hold-duration-days': [],
  'x-amz-object-lock-event-hold-duration-years': [],
  [OWNERSHIP]: ['BucketOwnerEnforced'],
  'x-amz-bucket-namespace': ['global'],
  'x-amz-write-offset-bytes': [],
}

/** All that S3 knows for a header of these. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  'x-amz-acl': [
    ...['private', 'public-read', 'public-read-write', 'authenticated-read', 'aws-exec-read'],
    ...['bucket-owner-read', 'bucket-owner-full-control', 'log-delivery-write'],
  ],
  [OWNERSHIP]: ['BucketOwnerPreferred', 'ObjectWriter', 'BucketOwnerEnforced'],
  'x-amz-bucket-namespace': ['account-regional', 'global'],
}

/**
 * Throws NotImplemented with the first such header, and InvalidArgument with one that says no word of S3. Empty ones ask
 * for nothing (Velero sends empty tagging), but for the ownership, where an empty word is no word on AWS either.
 */
export function refuseHeaders(headers: Headers): void {
  if (headers[OWNERSHIP] === '') checkWord(OWNERSHIP, '')
  for (const name in headers) {
    const value = headers[name]
    if (value && isRefused(name, value)) throw new S3Error('NotImplemented', { Header: name })
  }
}

function isRefused(name: string, value: string): boolean {
  if (!name.startsWith('x-amz-')) return false
  const allowed = REFUSED_UNLESS[name]
  if (allowed) {
    checkWord(name, value.trim())
    return !allowed.includes(value.trim())
  }
  return name.startsWith(REFUSED_PREFIX)
}

function checkWord(name: string, value: string): void {
  const words = WORDS[name]
  if (words === undefined || words.includes(value)) return
  throw invalidArgument(name, value, `Invalid ${name} header: ${value}`)
}
