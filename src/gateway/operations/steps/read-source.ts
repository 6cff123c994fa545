// The first half of every copy: the source is named, found, and may be read.
import type { StoredObject } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { judgeRead, parseCopySourceConditions } from '../../headers/conditions.ts'
import { type CopySource, parseCopySource } from '../../headers/copy-source.ts'
import { findSourceBucket } from './find-bucket.ts'
import { findVersion } from './find-object.ts'
import { preconditionFailed } from './refuse.ts'

/** Where the call copies from. */
export function parseSource({ headers }: Call): CopySource {
  return parseCopySource(headers['x-amz-copy-source'] ?? '')
}

/** The source object. Conditions on it that fail are 412, never 304 (pitfall 63). */
export async function findSource(call: Call, source: CopySource): Promise<StoredObject> {
  const bucket = findSourceBucket(call, source.bucket)
  const object = await findVersion(call, bucket, source.key, source.versionId)
  const conditions = parseCopySourceConditions(call.headers, call.receivedMs)
  const verdict = judgeRead(conditions, object.version)
  if (verdict.kind !== 'passed') throw preconditionFailed(`x-amz-copy-source-${verdict.condition}`)
  return object
}
