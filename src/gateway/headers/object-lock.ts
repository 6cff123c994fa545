// x-amz-object-lock-*: until when a new version may not be deleted (pitfall 118).
import type { Bucket, ObjectAttributes, ObjectVersion } from '../../objects/object-store.ts'
import type { Headers } from '../call.ts'

/** Retention and legal hold that the request asks for; without any, what the bucket gives by default. */
export function parseLock(
  _headers: Headers,
  _bucket: Bucket,
  _nowMs: number,
): Pick<ObjectAttributes, 'retention' | 'legalHold'> {
  return {}
}

/** The headers of GET and HEAD that show the lock of a version. */
export function lockFields(_version: ObjectVersion): Record<string, string> {
  return {}
}
