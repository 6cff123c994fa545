// PUT bucket: a new bucket in the region that the client names, or in that of the store.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
import type { Bucket, BucketSettings } from '../../objects/object-store.ts'
import type { Call, Headers, Reply } from '../call.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import { bucketArn } from '../reply.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import { readLocationConstraint } from '../xml/requests/create-bucket.ts'

const BODY_BYTES_MAX = 64 * 1024
const FORGIVING_REGION = 'us-east-1'
const LOCK_ENABLED = 'x-amz-bucket-object-lock-enabled'

/**
 * Answers 200 with its path and ARN. Throws BucketAlreadyOwnedByYou where it is there, but in us-east-1 only if region or lock
 * would differ, and InvalidLocationConstraint for what is no name of a region.
 */
export async function createBucket(call: Call): Promise<Reply> {
  refuseHeaders(call.headers)
  const settings = parseSettings(call.headers)
  const asked = readLocationConstraint(await call.body.text(BODY_BYTES_MAX))
  const region = asked === undefined ? call.region : checkRegion(asked)
  const { kind, bucket } = await call.objects.createBucket(call.bucket, region, settings)
  if (kind === 'exists') refuseAgain(call, bucket, { settings, region: asked })
  // A path also where a region is named: AWS has a host of the bucket there, which may not be one here.
  const headers = { location: `/${call.bucket}`, 'x-amz-bucket-arn': bucketArn(call.bucket) }
  return { status: 200, headers }
}

// Locks need versions, so a bucket that has them is versioned from the start (pitfall 118). boto3 has written `True`.
function parseSettings(headers: Headers): BucketSettings | undefined {
  const enabled = headers[LOCK_ENABLED]?.trim().toLowerCase() || 'false'
  if (enabled === 'true') return { versioning: 'enabled', objectLock: {} }
  if (enabled === 'false') return undefined
  throw invalidArgument(LOCK_ENABLED, enabled, 'The value is true or false.')
}

/** What a request says of the bucket that it makes. */
interface Asked {
  settings: BucketSettings | undefined
  region: string | undefined
}

// In us-east-1, and only there, creating one's own bucket again is no error (pitfall 12), unless it were to become another.
function refuseAgain(call: Call, bucket: Bucket, { settings, region }: Asked): void {
  const isThere = bucket.region === FORGIVING_REGION && (region ?? call.region) === bucket.region
  const asSettled = !settings?.objectLock || bucket.settings?.objectLock !== undefined
  if (isThere && asSettled) return
  throw new S3Error('BucketAlreadyOwnedByYou', { BucketName: call.bucket })
}

// Clients name the region they are set to, whatever it is called: it is kept and shown, no more.
function checkRegion(name: string): string {
  if (/^[A-Za-z0-9-]{1,63}$/.test(name)) return name
  throw new S3Error('InvalidLocationConstraint', { LocationConstraint: name })
}
