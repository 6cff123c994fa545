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
export function findKnownBucket({
  objects,
  bucket: name,
  headers,
  strict,
}: Call): Bucket | undefined {
  const bucket = objects.findBucket(name)
  if (bucket) checkOwner(parseOwner(headers[OWNER_HEADER], strict))
  return bucket
}

/** The bucket that a copy reads from. */
export function findSourceBucket(call: Call, name: string): Promise<Bucket> {
  return findBucketNamed(call, name, 'x-amz-source-expected-bucket-owner')
}

/** 404 with the name that was asked for. */
export function noSuchBucket(name: string): S3Error {
  return new S3Error('NoSuchBucket', { BucketName: name })
}

async function findBucketNamed(
  { objects, headers, strict }: Call,
  name: string,
  ownerHeader: string,
): Promise<Bucket> {
  const expected = parseOwner(headers[ownerHeader], strict)
  const bucket = objects.findBucket(name) ?? (await objects.lookUpBucket(name))
  if (!bucket) throw noSuchBucket(name)
  checkOwner(expected)
  return bucket
}

/** Canonical ids, which documents show, and numbers of accounts, which on AWS it must be. */
const OWNER_FORM = /^([0-9a-f]{64}|\d{12})$/

/**
 * An empty one is an error: a client has it that forgot to say whom it expects. What else can be nobody's id is just
 * another owner, as s3-tests wants it, but not on AWS.
 */
function parseOwner(expected: string | undefined, strict: boolean): string | undefined {
  if (expected === undefined || OWNER_FORM.test(expected)) return expected
  if (expected !== '' && !strict) return expected
  const message = `The value of the expected bucket owner parameter must be an AWS Account ID... [${expected}]`
  throw new S3Error('InvalidBucketOwnerAWSAccountID', {}, { message })
}

/** A client that expects another owner must not write into this bucket (pitfall 120). */
function checkOwner(expected: string | undefined): void {
  if (expected !== undefined && expected !== OWNER.id) throw new S3Error('AccessDenied')
}
