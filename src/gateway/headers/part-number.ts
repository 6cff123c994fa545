// Part numbers and upload ids in the query.
import { parseUid, type Uid } from '../../kit/uid.ts'
import { PARTS_MAX } from '../../objects/object-store.ts'
import type { Query } from '../call.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'

/** `partNumber`, 1 to 10,000 (pitfall 106). */
export function parsePartNumber(query: Query): number {
  const text = query.partNumber ?? ''
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= PARTS_MAX) return number
  throw invalidArgument(
    'partNumber',
    text,
    'Part number must be an integer between 1 and 10000, inclusive',
  )
}

/** `uploadId`; one that can not be ours is one that does not exist. */
export function parseUploadId(query: Query): Uid {
  const text = query.uploadId ?? ''
  const uploadId = parseUid(text)
  if (!uploadId) throw noSuchUpload(text)
  return uploadId
}

/** 404 with the id as it was sent: never begun here, aborted, or completed already. */
export function noSuchUpload(uploadId: string): S3Error {
  return new S3Error('NoSuchUpload', { UploadId: uploadId })
}
