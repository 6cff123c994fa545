// PUT object?partNumber&uploadId: the body becomes one part of an upload.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
import type { Upload } from '../../objects/object-store.ts'
import type { Call, Headers, OpenBody, Reply, RequestBody } from '../call.ts'
import { checksumFields, DEFAULT_CHECKSUM, sentAlgorithm } from '../headers/checksum-headers.ts'
import { encryptionFields } from '../headers/encryption-headers.ts'
import { noSuchUpload, parsePartNumber, parseUploadId } from '../headers/part-number.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import { refuseConditions } from '../headers/write-conditions.ts'
import { quoteEtag } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { partKeyFor } from './steps/customer-key.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findUpload } from './steps/find-upload.ts'
import { refusal } from './steps/refuse.ts'
import { refuseTooLarge } from './steps/refuse-size.ts'
import { refusePartAttributes } from './steps/refuse-upload-attributes.ts'

/** Answers 200 with ETag and checksum; throws NoSuchUpload, and InvalidRequest for another checksum algorithm than its own. */
export async function uploadPart(call: Call): Promise<Reply> {
  const { key, headers, body, objects, signal } = call
  const bucket = await findBucket(call)
  const number = parsePartNumber(call.query)
  const uploadId = parseUploadId(call.query)
  refuseHeaders(headers)
  refuseConditions(headers)
  refuseTooLarge(body.bytes)
  const upload = await findUpload(call, bucket, uploadId)
  refusePartAttributes(headers, upload)
  refuseOtherAlgorithm(headers, upload)
  const customerKey = partKeyFor(call, upload)
  const opened = openPart(body, upload)
  const outcome = await objects.putPart({
    bucket,
    key,
    upload,
    number,
    ...(customerKey ? { customerKey } : {}),
    body: opened,
    signal,
  })
  if (outcome.kind === 'no-upload') throw noSuchUpload(uploadId)
  if (outcome.kind !== 'done') throw refusal(outcome, call)
  const { etag, checksum } = outcome.part
  return {
    status: 200,
    headers: {
      etag: quoteEtag(etag),
      ...checksumFields(opened.claimed ?? checksum, 'value-only'),
      ...encryptionFields(upload.encryption),
    },
  }
}

/**
 * Of an upload that chose no algorithm the object gets the default checksum, whatever its parts were sent with: those are
 * compared, answered and not kept.
 */
function openPart(body: RequestBody, { checksumAlgorithm }: Upload): OpenBody {
  return checksumAlgorithm
    ? body.open(checksumAlgorithm)
    : body.open(DEFAULT_CHECKSUM, { always: true })
}

function refuseOtherAlgorithm(headers: Headers, { checksumAlgorithm }: Upload): void {
  const sent = sentAlgorithm(headers)
  if (!sent || !checksumAlgorithm || sent === checksumAlgorithm) return
  const message = `Checksum Type mismatch occurred, expected checksum Type: ${checksumAlgorithm.toLowerCase()}, actual checksum Type: ${sent.toLowerCase()}`
  throw new S3Error('InvalidRequest', {}, { message })
}
