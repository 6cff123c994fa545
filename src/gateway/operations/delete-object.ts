// DELETE object: afterwards it is not there, whether it was before or not (pitfall 102). Where the bucket keeps
// versions a delete marker says so; a version that is named is removed for ever.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
import type { Call, Reply } from '../call.ts'
import { refuseMfa } from '../headers/mfa.ts'
import { refuseBypass } from '../headers/object-lock.ts'
import { parseDeleteConditions } from '../headers/write-conditions.ts'
import { deleteVersion } from './steps/delete-version.ts'
import { findBucket } from './steps/find-bucket.ts'

/**
 * Answers 204, with x-amz-delete-marker where one was made or removed. Throws PreconditionFailed for an object that is another,
 * AccessDenied for a version under a lock; a condition on a key that is not there is an error of a strict store only.
 */
export async function deleteObject(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  refuseMfa(call.headers)
  if (call.strict) refuseBypass(call.headers, bucket)
  const { marker, versionId } = await deleteVersion(call, bucket, {
    key: call.key,
    versionId: call.query.versionId,
    conditions: parseDeleteConditions(call.headers, call.strict),
  })
  return {
    status: 204,
    headers: {
      ...(marker === undefined ? {} : { 'x-amz-delete-marker': 'true' }),
      ...(versionId === undefined ? {} : { 'x-amz-version-id': versionId }),
    },
  }
}
