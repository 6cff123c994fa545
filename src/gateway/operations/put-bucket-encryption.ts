// PUT bucket?encryption: how objects are encrypted from now on that do not say it themselves.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html
import { assert } from '../../kit/assert.ts'
import type { Call, Reply } from '../call.ts'
import { readBucketEncryption } from '../xml/requests/bucket-encryption.ts'
import { findBucket } from './steps/find-bucket.ts'

const BODY_BYTES_MAX = 64 * 1024

/** Answers 200; throws MalformedXML, and NotImplemented for methods that are not here. What is stored stays as it is. */
export async function putBucketEncryption(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  const encryption = readBucketEncryption(await call.body.text(BODY_BYTES_MAX))
  const { kind } = await call.objects.changeBucket(bucket, { encryption })
  assert(kind === 'changed', 'encryption conflicts with no other setting')
  return { status: 200 }
}
