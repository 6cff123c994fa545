// GET bucket?location: the region, in the words of S3.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
import type { Call, Reply } from '../call.ts'
import { xmlReply } from '../reply.ts'
import { bucketLocationDocument } from '../xml/documents/bucket-location.ts'
import { findBucket } from './steps/find-bucket.ts'

/** Answers the region that CreateBucket kept, which need not be that of the store. */
export async function getBucketLocation(call: Call): Promise<Reply> {
  return xmlReply(bucketLocationDocument((await findBucket(call)).region))
}
