// GET bucket?encryption: how objects are encrypted that do not say it themselves.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html
import type { Call, Reply } from '../call.ts'
import { xmlReply } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { bucketEncryptionDocument } from '../xml/documents/bucket-encryption.ts'
import { findBucket } from './steps/find-bucket.ts'

/** Throws ServerSideEncryptionConfigurationNotFoundError where none is set: there objects are stored as they come. */
export async function getBucketEncryption(call: Call): Promise<Reply> {
  const { name, settings } = await findBucket(call)
  if (settings?.encryption) return xmlReply(bucketEncryptionDocument(settings.encryption))
  throw new S3Error('ServerSideEncryptionConfigurationNotFoundError', { BucketName: name })
}
