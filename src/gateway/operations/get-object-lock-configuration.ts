// GET bucket?object-lock: whether its versions can be locked, and how they are by default.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html
import type { Call, Reply } from '../call.ts'
import { xmlReply } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { lockConfigurationDocument } from '../xml/documents/object-lock.ts'
import { findBucket } from './steps/find-bucket.ts'

/** Throws ObjectLockConfigurationNotFoundError for a bucket whose versions can not be locked. */
export async function getObjectLockConfiguration(call: Call): Promise<Reply> {
  const { name, settings } = await findBucket(call)
  if (!settings?.objectLock)
    throw new S3Error('ObjectLockConfigurationNotFoundError', { BucketName: name })
  return xmlReply(lockConfigurationDocument(settings.objectLock))
}
