// GET object?annotation&annotationName: the text of one annotation.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAnnotation.html
import type { Call, Reply } from '../call.ts'
import { parseAnnotationName } from '../headers/annotations.ts'
import { checksumFields, wantsChecksum } from '../headers/checksum-headers.ts'
import { httpDate } from '../headers/dates.ts'
import { encryptionFields } from '../headers/encryption-headers.ts'
import { objectVersionField, quoteEtag } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findObject } from './steps/find-object.ts'

/** Streams the text as application/octet-stream; throws NoSuchAnnotation, or NoSuchKey where the object is missing. */
export async function getObjectAnnotation(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  const name = parseAnnotationName(call.query)
  const object = await findObject(call, bucket)
  const annotation = await object.findAnnotation(name)
  if (!annotation) throw new S3Error('NoSuchAnnotation', { Key: call.key, AnnotationName: name })
  const { bytes, etag, checksum, modifiedMs } = annotation
  return {
    status: 200,
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': String(bytes),
      etag: quoteEtag(etag),
      'last-modified': httpDate(modifiedMs),
      ...(wantsChecksum(call.headers) ? checksumFields(checksum) : {}),
      ...encryptionFields(object.version.encryption),
      ...objectVersionField(bucket, object.version),
    },
    body: { kind: 'stream', bytes, chunks: object.readAnnotation(annotation, call.signal) },
  }
}
