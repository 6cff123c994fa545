// POST object?uploadId: the parts become the object. Sent twice it answers the same twice (pitfall 109).
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
import type { CompleteOutcome } from '../../objects/object-store.ts'
import type { Call, Headers, Reply } from '../call.ts'
import { parseChecksumType, parseObjectChecksum } from '../headers/checksum-headers.ts'
import { encryptionFields } from '../headers/encryption-headers.ts'
import { defaultRetention } from '../headers/object-lock.ts'
import { parseUploadId } from '../headers/part-number.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import { parseWriteConditions } from '../headers/write-conditions.ts'
import { writtenVersionField, xmlReply } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { completedUploadDocument } from '../xml/documents/multipart.ts'
import { percentEncode } from '../xml/key-encoding.ts'
import { readListedParts } from '../xml/requests/complete-upload.ts'
import { refuseOtherKey } from './steps/customer-key.ts'
import { findBucket } from './steps/find-bucket.ts'
import { completeRefusal, refuseMissingChecksums } from './steps/refuse-complete.ts'
import { refuseUploadAttributes } from './steps/refuse-upload-attributes.ts'

const BODY_BYTES_MAX = 4 * 1024 * 1024

/** What the client says of the whole object. */
type Claimed = Parameters<Call['objects']['completeUpload']>[0]['claimed']

/**
 * Answers location, ETag and checksum of the object. Throws NoSuchUpload, also for another list than the one that completed it,
 * InvalidPart, InvalidPartOrder, EntityTooSmall, and BadDigest for a checksum of the whole that is wrong.
 */
export async function completeMultipartUpload(call: Call): Promise<Reply> {
  const { key, headers, objects } = call
  const bucket = await findBucket(call)
  const uploadId = parseUploadId(call.query)
  refuseHeaders(headers)
  const conditions = parseWriteConditions(headers, call.strict)
  const claimed = parseClaims(headers)
  const parts = readListedParts(await call.body.text(BODY_BYTES_MAX), call.strict)
  const retention = defaultRetention(bucket, call.receivedMs)
  // Gone when it was completed before: that is answered again (pitfall 109).
  const upload = await objects.findUpload(bucket, key, uploadId)
  refuseOtherKey(call, upload)
  if (upload) refuseUploadAttributes(headers, upload)
  if (call.strict) refuseMissingChecksums(upload, parts)
  const outcome: CompleteOutcome = await objects.completeUpload({
    bucket,
    key,
    uploadId,
    parts,
    conditions,
    claimed,
    ...(retention ? { defaultRetention: retention } : {}),
  })
  if (outcome.kind !== 'done') throw completeRefusal(outcome, call, parts)
  const { version } = outcome
  const location = `${call.baseUrl}${bucket.name}/${percentEncode(key)}`
  return xmlReply(completedUploadDocument({ location, bucket: bucket.name, key, version }), {
    ...encryptionFields(version.encryption),
    ...writtenVersionField(bucket, version),
  })
}

function parseClaims(headers: Headers): Claimed {
  const size = headers['x-amz-mp-object-size']
  const checksum = parseObjectChecksum(headers)
  const checksumType = parseChecksumType(headers)
  return {
    ...(size === undefined ? {} : { bytes: parseSize(size) }),
    ...(checksum ? { checksum } : {}),
    ...(checksumType ? { checksumType } : {}),
  }
}

function parseSize(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new S3Error(
    'InvalidRequest',
    {},
    { message: `Value for x-amz-mp-object-size header is invalid: '${text}'` },
  )
}
