// The first step of almost every operation: the bucket is there, and is whose the client thinks it is.
import type { Bucket } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { S3Error } from '../../s3-error.ts'
import { OWNER } from '../../xml/owner.ts'

/** The bucket of the call, or NoSuchBucket. */
export function findBucket(call: Call): Promise<Bucket> {
  return findBucketNamed(call, call.bucket, 'x-amz-expected-bucket-owner')
}

/** The bucket that a copy reads from. */
export function findSourceBucket(call: Call, name: string): Promise<Bucket> {
  return findBucketNamed(call, name, 'x-amz-source-expected-bucket-owner')
}

export function noSuchBucket(name: string): S3Error {
  return new S3Error('NoSuchBucket', { BucketName: name })
}

async function findBucketNamed(
  { objects, headers }: Call,
  name: string,
  ownerHeader: string,
): Promise<Bucket> {
  const bucket = objects.findBucket(name) ?? (await objects.lookUpBucket(name))
  if (!bucket) throw noSuchBucket(name)
  // A client that expects another owner must not write into this bucket (pitfall 120).
  const expected = headers[ownerHeader]
  if (expected && expected !== OWNER.id) throw new S3Error('AccessDenied')
  return bucket
}
