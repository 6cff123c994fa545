// GET object?legal-hold: whether a version is held.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLegalHold.html
import type { Call, Reply } from '../call.ts'
import { requireLock } from '../headers/object-lock.ts'
import { xmlReply } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { legalHoldDocument } from '../xml/documents/object-lock.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findObject } from './steps/find-object.ts'

/** `OFF` once it was lifted; throws NoSuchObjectLockConfiguration if it was never set, InvalidRequest where no lock can be. */
export async function getObjectLegalHold(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  const { version } = await findObject(call, bucket)
  requireLock(bucket)
  if (version.legalHold === undefined)
    throw new S3Error('NoSuchObjectLockConfiguration', { Key: call.key })
  return xmlReply(legalHoldDocument(version.legalHold))
}
