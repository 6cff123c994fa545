// POST object?uploads: an upload begins. Headers and metadata of the object are those of this request (pitfall 112).
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
import type { Call, Reply } from '../call.ts'
import { parseUploadChecksum } from '../headers/checksum-headers.ts'
import { encryptionFields } from '../headers/encryption-headers.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import { refuseConditions } from '../headers/write-conditions.ts'
import { xmlReply } from '../reply.ts'
import { createdUploadDocument } from '../xml/documents/multipart.ts'
import { findBucket } from './steps/find-bucket.ts'
import { describeNewUpload } from './steps/new-object.ts'

/** Answers the upload id; throws InvalidRequest for checksum headers that do not fit, NotImplemented for conditions. */
export async function createMultipartUpload(call: Call): Promise<Reply> {
  const { key, headers, objects } = call
  const bucket = await findBucket(call)
  refuseHeaders(headers)
  // They are decided when the upload is completed, and stand there.
  refuseConditions(headers)
  const checksum = parseUploadChecksum(headers)
  const { attributes, encryption } = describeNewUpload(call, bucket)
  const upload = await objects.createUpload(bucket, key, { ...attributes, ...checksum }, encryption)
  const { checksumAlgorithm, checksumType } = checksum
  return xmlReply(createdUploadDocument(bucket.name, key, upload.uploadId), {
    ...encryptionFields(upload.encryption),
    ...(checksumAlgorithm ? { 'x-amz-checksum-algorithm': checksumAlgorithm } : {}),
    ...(checksumType ? { 'x-amz-checksum-type': checksumType } : {}),
  })
}
