// PUT bucket?ownershipControls: what is so anyway may be asked for, everything else is refused.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html
import type { Call, Reply } from '../call.ts'
import { readOwnershipControls } from '../xml/requests/ownership-controls.ts'
import { findBucket } from './steps/find-bucket.ts'

const BODY_BYTES_MAX = 64 * 1024

/** Answers 200 to BucketOwnerEnforced and changes nothing; throws NotImplemented for the two that need ACLs. */
export async function putBucketOwnershipControls(call: Call): Promise<Reply> {
  await findBucket(call)
  readOwnershipControls(await call.body.text(BODY_BYTES_MAX))
  return { status: 200 }
}
