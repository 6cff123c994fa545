// POST bucket?delete: up to 1,000 keys in one request, each with an outcome of its own (pitfall 101).
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
import type { Bucket } from '../../objects/object-store.ts'
import type { Call, Headers, Reply } from '../call.ts'
import { isChecksumName } from '../headers/checksum-value.ts'
import { refuseMfa } from '../headers/mfa.ts'
import { conditionsOfKey, refuseConditions } from '../headers/write-conditions.ts'
import { xmlReply } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { type DeleteOutcomeOfKey, deleteResultDocument } from '../xml/documents/delete-result.ts'
import { type KeyToDelete, readDeleteRequest } from '../xml/requests/delete-objects.ts'
import { deleteVersion } from './steps/delete-version.ts'
import { findBucket } from './steps/find-bucket.ts'

const BODY_BYTES_MAX = 2 * 1024 * 1024
const KEY_BYTES_MAX = 1024
/** Enough to fill the group commits of all partitions, few enough that some such requests stay far below their queues. */
const DELETES_AT_ONCE = 256

export async function deleteObjects(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  refuseMfa(call.headers)
  // Here conditions stand with the keys.
  refuseConditions(call.headers)
  requireDigest(call.headers)
  const { keys, quiet } = readDeleteRequest(await call.body.text(BODY_BYTES_MAX))
  const outcomes = await deleteAll(call, bucket, keys)
  return xmlReply(deleteResultDocument(outcomes, quiet))
}

// S3 refuses a list of deletes that could have been mangled on its way (pitfall 31).
function requireDigest(headers: Headers): void {
  const trailers = headers['x-amz-trailer']?.toLowerCase().split(',') ?? []
  if (headers['content-md5'] !== undefined) return
  if (
    Object.keys(headers).some(isChecksumName) ||
    trailers.some((name) => isChecksumName(name.trim()))
  )
    return
  throw new S3Error(
    'InvalidRequest',
    {},
    { message: 'Missing required header for this request: Content-MD5 OR x-amz-checksum-*' },
  )
}

// What is not a refusal (a lost quorum) fails the whole request: deletes can be sent again.
async function deleteAll(
  call: Call,
  bucket: Bucket,
  keys: KeyToDelete[],
): Promise<DeleteOutcomeOfKey[]> {
  const outcomes: DeleteOutcomeOfKey[] = new Array(keys.length)
  let next = 0
  const work = async (): Promise<void> => {
    while (next < keys.length) {
      call.signal.throwIfAborted()
      const index = next++
      outcomes[index] = await deleteKey(call, bucket, keys[index]!)
    }
  }
  await Promise.all(Array.from({ length: Math.min(DELETES_AT_ONCE, keys.length) }, work))
  return outcomes
}

async function deleteKey(
  call: Call,
  bucket: Bucket,
  item: KeyToDelete,
): Promise<DeleteOutcomeOfKey> {
  const { key, versionId } = item
  try {
    if (Buffer.byteLength(key) > KEY_BYTES_MAX) throw new S3Error('KeyTooLongError')
    const conditions = conditionsOfKey(item)
    const { marker } = await deleteVersion(call, bucket, { key, versionId, conditions })
    return { kind: 'deleted', key, versionId, marker }
  } catch (error) {
    if (!(error instanceof S3Error) || error.code === 'NoSuchBucket') throw error
    return { kind: 'error', key, versionId, code: error.code, message: error.message }
  }
}
