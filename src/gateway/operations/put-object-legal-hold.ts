// PUT object?legal-hold: a version may not be deleted until the hold is lifted.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLegalHold.html
import type { Call, Reply } from '../call.ts'
import { requireLock } from '../headers/object-lock.ts'
import { versionField } from '../reply.ts'
import { readLegalHold } from '../xml/requests/object-lock.ts'
import { editVersion } from './steps/edit-version.ts'
import { findBucket } from './steps/find-bucket.ts'

const BODY_BYTES_MAX = 64 * 1024

/** Answers 200; throws InvalidRequest where the bucket has no Object Lock, MethodNotAllowed for a delete marker. */
export async function putObjectLegalHold(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  const on = readLegalHold(await call.body.text(BODY_BYTES_MAX))
  requireLock(bucket)
  const version = await editVersion(call, bucket, { what: 'legal-hold', on })
  return { status: 200, headers: versionField(bucket, version) }
}
