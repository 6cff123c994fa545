// DELETE object?tagging: the version has no tags any more.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectTagging.html
import type { Call, Reply } from '../call.ts'
import { versionField } from '../reply.ts'
import { editVersion } from './steps/edit-version.ts'
import { findBucket } from './steps/find-bucket.ts'

/** Answers 204, also without tags; throws NoSuchKey, NoSuchVersion, and MethodNotAllowed for a delete marker. */
export async function deleteObjectTagging(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  const version = await editVersion(call, bucket, { what: 'tags', tags: [] })
  return { status: 204, headers: versionField(bucket, version) }
}
