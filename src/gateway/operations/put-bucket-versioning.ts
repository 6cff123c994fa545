// PUT bucket?versioning: from now on the bucket keeps old versions, or makes no new ones.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html
import type { Call, Reply } from '../call.ts'
import { refuseMfa } from '../headers/mfa.ts'
import { S3Error } from '../s3-error.ts'
import { readVersioning } from '../xml/requests/versioning.ts'
import { findBucket } from './steps/find-bucket.ts'

const BODY_BYTES_MAX = 64 * 1024

/** Answers 200; throws InvalidBucketState where Object Lock needs versions, NotImplemented for MfaDelete. */
export async function putBucketVersioning(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  refuseMfa(call.headers)
  const versioning = readVersioning(await call.body.text(BODY_BYTES_MAX))
  const outcome = await call.objects.changeBucket(bucket, { versioning })
  if (outcome.kind === 'changed') return { status: 200 }
  throw new S3Error(
    'InvalidBucketState',
    {},
    {
      message:
        'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.',
    },
  )
}
