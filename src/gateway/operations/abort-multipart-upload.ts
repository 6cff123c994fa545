// DELETE object?uploadId: the upload and its parts are forgotten.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
import type { Call, Reply } from '../call.ts'
import { noSuchUpload, parseUploadId } from '../headers/part-number.ts'
import { parseInitiated } from '../headers/write-conditions.ts'
import { noContent } from '../reply.ts'
import { findBucket } from './steps/find-bucket.ts'
import { refusal } from './steps/refuse.ts'

/** Answers 204; throws NoSuchUpload, also for one that is over, and PreconditionFailed where it began in another second. */
export async function abortMultipartUpload(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  const uploadId = parseUploadId(call.query)
  const initiated = parseInitiated(call.headers)
  const outcome = await call.objects.abortUpload(bucket, call.key, uploadId, initiated)
  if (outcome.kind === 'no-upload') throw noSuchUpload(uploadId)
  if (outcome.kind !== 'done') throw refusal(outcome, call)
  return noContent()
}
