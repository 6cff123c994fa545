// PUT bucket: a new bucket in the region that the client names, or in that of the store.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
import type { Call, Reply } from '../call.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import { S3Error } from '../s3-error.ts'
import { readLocationConstraint } from '../xml/requests/create-bucket.ts'

const BODY_BYTES_MAX = 64 * 1024

export async function createBucket(call: Call): Promise<Reply> {
  refuseHeaders(call.headers)
  const asked = readLocationConstraint(await call.body.text(BODY_BYTES_MAX))
  const region = asked === undefined ? call.region : checkRegion(asked)
  const { kind } = await call.objects.createBucket(call.bucket, region)
  // In us-east-1, and only there, creating one's own bucket again is no error (pitfall 12).
  if (kind === 'exists' && call.region !== 'us-east-1')
    throw new S3Error('BucketAlreadyOwnedByYou', { BucketName: call.bucket })
  return { status: 200, headers: { location: `/${call.bucket}` } }
}

// Clients name the region they are set to, whatever it is called: it is kept and shown, no more.
function checkRegion(name: string): string {
  if (/^[A-Za-z0-9-]{1,63}$/.test(name)) return name
  throw new S3Error('InvalidLocationConstraint', { LocationConstraint: name })
}
