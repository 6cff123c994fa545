// The first step of almost every operation: the bucket is there, and is whose the client thinks it is.
import type { Bucket } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { S3Error } from '../../s3-error.ts'
import { OWNER } from '../../xml/owner.ts'

const OWNER_HEADER = 'x-amz-expected-bucket-owner'

/** The bucket of the call, or NoSuchBucket. */
export function findBucket(call: Call): Promise<Bucket> {
  return findBucketNamed(call, call.bucket, OWNER_HEADER)
}

/** The bucket of the call where nobody has to be asked for it. */
export function findKnownBucket({ objects, bucket: name, headers }: Call): Bucket | undefined {
  const bucket = objects.findBucket(name)
  if (bucket) checkOwner(headers[OWNER_HEADER])
  return bucket
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
  checkOwner(headers[ownerHeader])
  return bucket
}

/** A client that expects another owner must not write into this bucket (pitfall 120). */
function checkOwner(expected: string | undefined): void {
  if (expected && expected !== OWNER.id) throw new S3Error('AccessDenied')
}
