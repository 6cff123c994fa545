// POST bucket?delete: up to 1,000 keys in one request, each with an outcome of its own (pitfall 101).
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html

import { assert } from '../../kit/assert.ts'
import type { Bucket, DeletionOutcome, KeyDeletion } from '../../objects/object-store.ts'
import { checkKey } from '../address.ts'
import type { Call, Headers, Reply } from '../call.ts'
import { isChecksumName } from '../headers/checksum-value.ts'
import { refuseMfa } from '../headers/mfa.ts'
import { refuseBypass } from '../headers/object-lock.ts'
import { conditionsOfKey, refuseConditions } from '../headers/write-conditions.ts'
import { xmlReply } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { type DeleteOutcomeOfKey, deleteResultDocument } from '../xml/documents/delete-result.ts'
import { type KeyToDelete, readDeleteRequest } from '../xml/requests/delete-objects.ts'
import { bypassOf, type DeleteAsked, deletionOf, describe } from './steps/delete-version.ts'
import { findBucket } from './steps/find-bucket.ts'

const BODY_BYTES_MAX = 2 * 1024 * 1024

/** Answers 200 whatever is refused of single keys; throws InvalidRequest without a digest of the body, and MalformedXML. */
export async function deleteObjects(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  refuseMfa(call.headers)
  if (call.strict) refuseBypass(call.headers, bucket)
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
  items: KeyToDelete[],
): Promise<DeleteOutcomeOfKey[]> {
  const asked = items.map(ask)
  const keys = asked.flatMap((one) => (one.kind === 'asked' ? [one.deletion] : []))
  const { objects, signal } = call
  const done = (await objects.deleteMany(bucket, keys, bypassOf(call), signal)).values()
  return asked.map((one) => {
    if (one.kind === 'error') return one
    const outcome = done.next().value
    assert(outcome, 'every key has an outcome')
    return tell(call, one, outcome)
  })
}

interface Asked extends DeleteAsked {
  kind: 'asked'
  deletion: KeyDeletion
}

type ErrorOfKey = Extract<DeleteOutcomeOfKey, { kind: 'error' }>

function ask(item: KeyToDelete): Asked | ErrorOfKey {
  const { key, versionId } = item
  try {
    // A marker under what no address can name would stay for ever, and with a NUL in it no parser reads the listing.
    checkKey(key)
    const asked = { key, versionId, conditions: conditionsOfKey(item) }
    return { kind: 'asked', ...asked, deletion: deletionOfKey(asked) }
  } catch (error) {
    return errorOfKey(item, error)
  }
}

/** What is no id is called one of a version that there is not; only here. */
function deletionOfKey(asked: DeleteAsked): KeyDeletion {
  try {
    return deletionOf(asked)
  } catch (cause) {
    throw new S3Error('NoSuchVersion', {}, { cause })
  }
}

function tell(call: Call, asked: DeleteAsked, outcome: DeletionOutcome): DeleteOutcomeOfKey {
  try {
    const { marker } = describe(outcome, asked, call)
    return { kind: 'deleted', key: asked.key, versionId: asked.versionId, marker }
  } catch (error) {
    return errorOfKey(asked, error)
  }
}

/** What was refused; whatever else it was is thrown. */
function errorOfKey(
  { key, versionId }: Pick<KeyToDelete, 'key' | 'versionId'>,
  error: unknown,
): ErrorOfKey {
  if (!(error instanceof S3Error)) throw error
  return { kind: 'error', key, versionId, code: error.code, message: error.message }
}
