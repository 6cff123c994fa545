// DELETE object: afterwards it is not there, whether it was before or not (pitfall 102).
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
import type { Call, Reply } from '../call.ts'
import { parseVersionId } from '../headers/version-id.ts'
import { parseWriteConditions } from '../headers/write-conditions.ts'
import { noContent } from '../reply.ts'
import { findBucket } from './steps/find-bucket.ts'
import { refusal } from './steps/refuse.ts'

export async function deleteObject(call: Call): Promise<Reply> {
  const bucket = findBucket(call)
  const conditions = parseWriteConditions(call.headers)
  // A version that does not exist is deleted already.
  if (parseVersionId(call.query.versionId) === 'unknown') return noContent()
  const outcome = await call.objects.delete(bucket, call.key, { conditions })
  // A condition on a key that is not there is no error either (pitfall 68).
  if (outcome.kind === 'done' || outcome.kind === 'missing') return noContent()
  throw refusal(outcome, call)
}
