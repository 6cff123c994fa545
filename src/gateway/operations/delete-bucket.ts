// DELETE bucket: only when it is empty.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html
import { unreachable } from '../../kit/assert.ts'
import type { Call, Reply } from '../call.ts'
import { noContent } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { findBucket, noSuchBucket } from './steps/find-bucket.ts'

export async function deleteBucket(call: Call): Promise<Reply> {
  findBucket(call)
  const { kind } = await call.objects.deleteBucket(call.bucket)
  switch (kind) {
    case 'deleted':
      return noContent()
    case 'missing':
      throw noSuchBucket(call.bucket)
    case 'not-empty':
      throw new S3Error('BucketNotEmpty', { BucketName: call.bucket })
    default:
      return unreachable(kind)
  }
}
