// DELETE bucket: only when it is empty; old versions and delete markers count (pitfall 12).
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html
import { unreachable } from '../../kit/assert.ts'
import type { Call, Reply } from '../call.ts'
import { noContent } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { findBucket, noSuchBucket } from './steps/find-bucket.ts'

/** Answers 204; throws BucketNotEmpty, in other words where versions may be left. Uploads under way do not count, as on AWS. */
export async function deleteBucket(call: Call): Promise<Reply> {
  const { settings } = await findBucket(call)
  const { kind } = await call.objects.deleteBucket(call.bucket)
  switch (kind) {
    case 'deleted':
      return noContent()
    case 'missing':
      throw noSuchBucket(call.bucket)
    case 'not-empty':
      throw notEmpty(call.bucket, settings?.versioning !== undefined)
    default:
      return unreachable(kind)
  }
}

function notEmpty(name: string, keepsVersions: boolean): S3Error {
  const message =
    'The bucket you tried to delete is not empty. You must delete all versions in the bucket.'
  return new S3Error('BucketNotEmpty', { BucketName: name }, keepsVersions ? { message } : {})
}
