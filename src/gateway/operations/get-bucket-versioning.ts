// GET bucket?versioning: whether the bucket keeps old versions; nothing when nobody ever said.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html
import type { Call, Reply } from '../call.ts'
import { xmlReply } from '../reply.ts'
import { versioningDocument } from '../xml/documents/versioning.ts'
import { findBucket } from './steps/find-bucket.ts'

/** Answers `Enabled` or `Suspended`. MfaDelete is never there. */
export async function getBucketVersioning(call: Call): Promise<Reply> {
  return xmlReply(versioningDocument((await findBucket(call)).settings?.versioning))
}
