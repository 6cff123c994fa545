// PUT bucket?object-lock: versions of the bucket can be locked from now on, for ever, and are by default as it says.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLockConfiguration.html
import type { Call, Reply } from '../call.ts'
import { S3Error } from '../s3-error.ts'
import { readLockConfiguration } from '../xml/requests/object-lock.ts'
import { findBucket } from './steps/find-bucket.ts'

const BODY_BYTES_MAX = 64 * 1024

/** Answers 200; throws InvalidBucketState unless versioning is enabled, InvalidRetentionPeriod for a time that is none. */
export async function putObjectLockConfiguration(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  const text = await call.body.text(BODY_BYTES_MAX)
  if (text === '') throw new S3Error('MissingRequestBodyError')
  const objectLock = readLockConfiguration(text, call.strict)
  const outcome = await call.objects.changeBucket(bucket, { objectLock })
  if (outcome.kind === 'changed') return { status: 200 }
  throw new S3Error(
    'InvalidBucketState',
    {},
    {
      message: "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
    },
  )
}
