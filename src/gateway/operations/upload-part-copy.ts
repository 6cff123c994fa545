// PUT object?partNumber&uploadId with a source: bytes of an object become one part of an upload.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
import type { Call, Reply } from '../call.ts'
import { DEFAULT_CHECKSUM } from '../headers/checksum-headers.ts'
import { encryptionFields } from '../headers/encryption-headers.ts'
import { noSuchUpload, parsePartNumber, parseUploadId } from '../headers/part-number.ts'
import { parseCopySourceRange } from '../headers/range.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import { refuseConditions } from '../headers/write-conditions.ts'
import { xmlReply } from '../reply.ts'
import { copyPartDocument } from '../xml/documents/copy-result.ts'
import { copiedBody } from './steps/copied-body.ts'
import { partKeyFor } from './steps/customer-key.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findUpload } from './steps/find-upload.ts'
import { findSource, parseSource, refuseBody } from './steps/read-source.ts'
import { refusal } from './steps/refuse.ts'
import { refuseTooLarge } from './steps/refuse-size.ts'
import { refusePartAttributes } from './steps/refuse-upload-attributes.ts'

/** Answers ETag and checksum; throws NoSuchUpload, InvalidArgument for a range that ends behind the source, EntityTooLarge. */
export async function uploadPartCopy(call: Call): Promise<Reply> {
  const { key, headers, objects, signal } = call
  const bucket = await findBucket(call)
  const source = parseSource(call)
  const number = parsePartNumber(call.query)
  const uploadId = parseUploadId(call.query)
  refuseHeaders(headers)
  refuseBody(headers)
  refuseConditions(headers)
  const upload = await findUpload(call, bucket, uploadId)
  refusePartAttributes(headers, upload)
  const customerKey = partKeyFor(call, upload)
  const found = await findSource(call, source)
  const { bytes } = found.object.version
  const range = parseCopySourceRange(headers['x-amz-copy-source-range'], bytes)
  refuseTooLarge(range.last - range.first + 1)
  const outcome = await objects.putPart({
    bucket,
    key,
    upload,
    number,
    ...(customerKey ? { customerKey } : {}),
    body: copiedBody(found.object, range, {
      checksum: upload.checksumAlgorithm ?? DEFAULT_CHECKSUM,
      customerKey: found.customerKey,
      signal,
    }),
    signal,
  })
  if (outcome.kind === 'no-upload') throw noSuchUpload(uploadId)
  if (outcome.kind !== 'done') throw refusal(outcome, call)
  return xmlReply(copyPartDocument(outcome.part), {
    ...found.headers,
    ...encryptionFields(upload.encryption),
  })
}
