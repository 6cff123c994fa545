// PUT object?renameObject: an object gets another name in its bucket. The new name is committed first, then the old
// one removed if it is still what was copied: a crash between the two leaves both.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html
import {
  type Bucket,
  type ObjectVersion,
  type Rename,
  type StoredObject,
  stateIdOf,
} from '../../objects/object-store.ts'
import type { Call, Reply } from '../call.ts'
import { DEFAULT_CHECKSUM } from '../headers/checksum-headers.ts'
import { defaultRetention } from '../headers/object-lock.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import {
  checkRenameSource,
  parseClientToken,
  parseRenameSource,
  parseRenameTarget,
} from '../headers/rename-headers.ts'
import { writtenVersionField } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { copiedBody } from './steps/copied-body.ts'
import { sourceCustomerKeyFor } from './steps/customer-key.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findVersion, noSuchKey } from './steps/find-object.ts'
import { refusal, refuseEarly } from './steps/refuse.ts'
import { refuseAttributes } from './steps/refuse-attributes.ts'
import { PUT_BYTES_MAX } from './steps/refuse-size.ts'

/**
 * Answers 200, also when a token comes again. Throws IdempotencyParameterMismatch where it came with another rename, and
 * ConditionalRequestConflict where the source was changed meanwhile: both names stay then.
 */
export async function renameObject(call: Call): Promise<Reply> {
  const { key, headers, objects } = call
  const bucket = await findBucket(call)
  refuseHeaders(headers)
  refuseAttributes(headers, ['x-amz-server-side-encryption'])
  const said = parseRenameSource(headers)
  const token = parseClientToken(headers)
  const rename = { bucketId: bucket.id, source: said, target: key }
  if (token !== undefined && (await wasDone(call, token, rename))) return { status: 200 }
  const source = await nameSource(call, bucket, said)
  if (source === key) throw invalidRequest('An object can not be renamed to the name that it has.')
  const made = await moveObject(call, bucket, source)
  if (token !== undefined) await objects.noteRename(token, rename)
  return { status: 200, headers: writtenVersionField(bucket, made) }
}

/** Throws when the token stood for another rename. */
async function wasDone({ objects }: Call, token: string, rename: Rename): Promise<boolean> {
  const known = await objects.recallRename(token, rename)
  if (known === 'another') throw new S3Error('IdempotencyParameterMismatch')
  return known === 'done'
}

/** The old name may be said with its bucket in front, as copies say it; a key that is called so itself is meant first. */
async function nameSource({ objects }: Call, bucket: Bucket, said: string): Promise<string> {
  const within = `${bucket.name}/`
  if (!said.startsWith(within) || said === within) return said
  const found = await objects.find(bucket, said)
  return found.kind === 'found' ? said : said.slice(within.length)
}

async function moveObject(call: Call, bucket: Bucket, source: string): Promise<ObjectVersion> {
  const object = await findSource(call, bucket, source)
  const made = await copyTo(call, bucket, object)
  const outcome = await call.objects.delete(bucket, source, {
    conditions: { ifCurrent: stateIdOf(object.version) },
  })
  if (outcome.kind === 'condition-failed') throw leftBoth()
  if (outcome.kind !== 'done') throw refusal(outcome, call)
  return made
}

async function findSource(call: Call, bucket: Bucket, source: string): Promise<StoredObject> {
  const found = await findVersion(call, bucket, { key: source, versionId: undefined })
  if (found.kind !== 'found') throw noSuchKey(source)
  const { version } = found.object
  checkRenameSource(call.headers, version, call.receivedMs)
  if (version.bytes <= PUT_BYTES_MAX) return found.object
  throw invalidRequest(
    `The source is larger than the maximum allowable size for a rename: ${PUT_BYTES_MAX}`,
  )
}

/** The object under its new name: its bytes are copied, and everything else is as it was. */
async function copyTo(call: Call, bucket: Bucket, object: StoredObject): Promise<ObjectVersion> {
  const { key, headers, objects, signal, strict, receivedMs: nowMs } = call
  const { version } = object
  // A version without retention gets, as every new one, what its bucket gives by default.
  const { legalHold, retention = defaultRetention(bucket, nowMs) } = version
  const customerKey = sourceCustomerKeyFor(call, version.encryption)
  const again = object.describeAgain(customerKey)
  const target = await objects.find(bucket, key)
  const there = target.kind === 'found' ? target.object.version : undefined
  const conditions = parseRenameTarget(headers, there, { nowMs, strict })
  await refuseEarly(call, bucket, conditions)
  const outcome = await objects.put({
    bucket,
    key,
    ...again,
    attributes: {
      ...again.attributes,
      ...(retention ? { retention } : {}),
      ...(legalHold === undefined ? {} : { legalHold }),
    },
    conditions,
    body: copiedBody(
      object,
      { first: 0, last: version.bytes - 1 },
      { checksum: version.checksum?.algorithm ?? DEFAULT_CHECKSUM, customerKey, signal },
    ),
    signal,
  })
  if (outcome.kind !== 'done') throw refusal(outcome, call)
  return outcome.version
}

function leftBoth(): S3Error {
  const message =
    'The source was changed while it was renamed: it stays, and the new name has what was there before.'
  return new S3Error('ConditionalRequestConflict', {}, { message })
}

function invalidRequest(message: string): S3Error {
  return new S3Error('InvalidRequest', {}, { message })
}
