// GET object?tagging: the tags of a version.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html
import type { Call, Reply } from '../call.ts'
import { versionField, xmlReply } from '../reply.ts'
import { taggingDocument } from '../xml/documents/tagging.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findVersion, markerNotAllowed } from './steps/find-object.ts'

/** Answers 200 also without tags; throws NoSuchKey, NoSuchVersion, and MethodNotAllowed for any delete marker. */
export async function getObjectTagging(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  const { key, query } = call
  const found = await findVersion(call, bucket, { key, versionId: query.versionId })
  // Other reads find nothing where the latest version is a marker; this one S3 answers as it answers the changes of tags.
  if (found.kind === 'delete-marker') throw markerNotAllowed(call, bucket, found.marker)
  const { version } = found.object
  return xmlReply(taggingDocument(version.tags ?? []), versionField(bucket, version))
}
