// OPTIONS: no bucket allows other origins until CORS can be configured (pitfall 116).
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTOPTIONSobject.html
import type { Call, Reply } from '../call.ts'
import { S3Error } from '../s3-error.ts'

/** Allows nothing: throws BadRequest without Origin, else AccessForbidden. Only a strict store tells of a missing bucket. */
export async function corsPreflight(call: Call): Promise<Reply> {
  const { headers } = call
  if (headers.origin === undefined)
    throw new S3Error(
      'BadRequest',
      {},
      { message: 'Insufficient information. Origin request header needed.' },
    )
  throw new S3Error(
    'AccessForbidden',
    {
      Method: headers['access-control-request-method'] ?? 'OPTIONS',
      // Of a key as well: it is the bucket that has no CORS.
      ResourceType: 'BUCKET',
    },
    {
      message: (await mayTellMissing(call))
        ? 'CORSResponse: Bucket not found'
        : 'CORSResponse: CORS is not enabled for this bucket.',
    },
  )
}

/** Nobody signs a preflight, and only where answers are to be those of AWS it tells strangers which buckets there are. */
async function mayTellMissing({ strict, objects, bucket }: Call): Promise<boolean> {
  if (!strict) return false
  return (objects.findBucket(bucket) ?? (await objects.lookUpBucket(bucket))) === undefined
}
