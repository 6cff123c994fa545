// DELETE bucket?encryption: objects that do not say how they are encrypted are stored as they come again.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketEncryption.html
import { assert } from '../../kit/assert.ts'
import type { Call, Reply } from '../call.ts'
import { noContent } from '../reply.ts'
import { findBucket } from './steps/find-bucket.ts'

/** Answers 204, also where none was set. What is stored stays encrypted as it is. */
export async function deleteBucketEncryption(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  if (bucket.settings?.encryption) {
    const { kind } = await call.objects.changeBucket(bucket, { encryption: undefined })
    assert(kind === 'changed', 'encryption conflicts with no other setting')
  }
  return noContent()
}
