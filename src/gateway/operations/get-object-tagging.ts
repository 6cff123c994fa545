// GET object?tagging: the tags of a version.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html
import type { Call, Reply } from '../call.ts'
import { versionField, xmlReply } from '../reply.ts'
import { taggingDocument } from '../xml/documents/tagging.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findObject } from './steps/find-object.ts'

export async function getObjectTagging(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  const { version } = await findObject(call, bucket)
  return xmlReply(taggingDocument(version.tags ?? []), versionField(bucket, version))
}
