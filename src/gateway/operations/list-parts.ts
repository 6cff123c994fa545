// GET object?uploadId: the parts of an upload that have arrived.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
import type { Call, Reply } from '../call.ts'
import { parseCount, parseInteger } from '../headers/list-parameters.ts'
import { parseUploadId } from '../headers/part-number.ts'
import { xmlReply } from '../reply.ts'
import { listPartsDocument } from '../xml/documents/list-parts.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findUpload } from './steps/find-upload.ts'

/** Answers at most 1,000, by number; throws NoSuchUpload, also for one that is over. */
export async function listParts(call: Call): Promise<Reply> {
  const { key, query, objects } = call
  const bucket = await findBucket(call)
  const uploadId = parseUploadId(query)
  const maxParts = parseCount(query, 'max-parts')
  const marker = parseInteger(query, 'part-number-marker') ?? 0
  const upload = await findUpload(call, bucket, uploadId)
  const { parts, more } =
    maxParts === 0
      ? { parts: [], more: false }
      : await objects.listParts(bucket, key, uploadId, marker, maxParts)
  return xmlReply(
    listPartsDocument({ bucket: bucket.name, key, upload, marker, maxParts, parts, more }),
  )
}
