// GET object?retention: until when a version may not be deleted.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html
import type { Call, Reply } from '../call.ts'
import { requireLock } from '../headers/object-lock.ts'
import { xmlReply } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { retentionDocument } from '../xml/documents/object-lock.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findObject } from './steps/find-object.ts'

/** Also one that is over; throws NoSuchObjectLockConfiguration where there is none, InvalidRequest where no lock can be. */
export async function getObjectRetention(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  const { version } = await findObject(call, bucket)
  requireLock(bucket)
  if (!version.retention) throw new S3Error('NoSuchObjectLockConfiguration', { Key: call.key })
  return xmlReply(retentionDocument(version.retention))
}
