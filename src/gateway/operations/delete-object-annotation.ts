// DELETE object?annotation: an annotation is gone, whether it was there or not.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectAnnotation.html
import type { Call, Reply } from '../call.ts'
import { parseAnnotationName, parseObjectIfMatch } from '../headers/annotations.ts'
import { bypassesGovernance } from '../headers/object-lock.ts'
import { objectVersionField } from '../reply.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findObject } from './steps/find-object.ts'
import { refusal } from './steps/refuse.ts'

/** Answers 204; throws NoSuchKey without the object, PreconditionFailed if it has another ETag, AccessDenied under a lock. */
export async function deleteObjectAnnotation(call: Call): Promise<Reply> {
  const { key, headers, query, objects } = call
  const bucket = await findBucket(call)
  const name = parseAnnotationName(query)
  const ifMatch = parseObjectIfMatch(headers)
  const { version } = await findObject(call, bucket)
  const { versionId } = version
  const outcome = await objects.deleteAnnotation(bucket, key, {
    versionId,
    name,
    ...ifMatch,
    ...(bypassesGovernance(call) ? { bypass: true } : {}),
  })
  switch (outcome.kind) {
    // A version that went meanwhile took its annotations with it.
    case 'done':
    case 'no-version':
    case 'delete-marker':
      return { status: 204, headers: objectVersionField(bucket, version) }
    default:
      throw refusal(outcome, call)
  }
}
