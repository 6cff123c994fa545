// PUT object?tagging: these tags instead of those that the version had.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
import type { Call, Reply } from '../call.ts'
import { checkTags } from '../headers/tagging.ts'
import { versionField } from '../reply.ts'
import { readTagging } from '../xml/requests/tagging.ts'
import { editVersion } from './steps/edit-version.ts'
import { findBucket } from './steps/find-bucket.ts'

const BODY_BYTES_MAX = 128 * 1024

/** Answers 200; throws BadRequest for more than ten, InvalidTag for what can be none, MethodNotAllowed for a delete marker. */
export async function putObjectTagging(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  const tags = readTagging(await call.body.text(BODY_BYTES_MAX))
  checkTags(tags)
  const version = await editVersion(call, bucket, { what: 'tags', tags })
  return { status: 200, headers: versionField(bucket, version) }
}
