// PUT object: the body becomes the object, or goes to its end where the request says at which byte. Everything that
// can be refused is refused before the body is read.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
import type {
  Bucket,
  ChecksumAlgorithm,
  EncryptionRequest,
  ObjectVersion,
  PutRequest,
  WriteConditions,
} from '../../objects/object-store.ts'
import type { Call, Headers, Reply } from '../call.ts'
import { DEFAULT_CHECKSUM, sentAlgorithm } from '../headers/checksum-headers.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import { isConditional, parseWriteConditions } from '../headers/write-conditions.ts'
import { parseWriteOffset, withoutWriteOffset } from '../headers/write-offset.ts'
import { describeWritten } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { appendRefusal, keyToAppend } from './steps/append.ts'
import { findBucket } from './steps/find-bucket.ts'
import { describeNewObject, type NewObject } from './steps/new-object.ts'
import { refusal, refuseEarly } from './steps/refuse.ts'
import { refuseAttributes } from './steps/refuse-attributes.ts'
import { refuseTooLarge } from './steps/refuse-size.ts'

/**
 * Answers 200 with ETag and checksum, after an append with x-amz-object-size too. Throws PreconditionFailed before the body is
 * read or with the commit, EntityTooLarge over 5 GiB, InvalidWriteOffset for an append that is not at the end.
 */
export async function putObject(call: Call): Promise<Reply> {
  const { headers, body, objects } = call
  const bucket = await findBucket(call)
  refuseHeaders(withoutWriteOffset(headers))
  const offset = parseWriteOffset(headers)
  const described = describeNewObject(call, bucket)
  if (call.strict) refuseUncheckedLock(headers, described)
  const conditions = parseWriteConditions(headers, call.strict)
  refuseTooLarge(body.bytes)
  if (isConditional(conditions)) await refuseEarly(call, bucket, conditions)
  if (offset !== undefined)
    return await appendObject(call, bucket, { offset, described, conditions })
  const outcome = await objects.put(new Put(call, bucket, { described, conditions }))
  if (outcome.kind !== 'done') throw refusal(outcome, call)
  return { status: 200, headers: describeWritten(bucket, outcome.version) }
}

/** What the store is asked. The signal is made when somebody asks for it, which short bodies do not. */
class Put implements PutRequest {
  readonly bucket: Bucket
  readonly key: string
  readonly attributes: PutRequest['attributes']
  readonly conditions: WriteConditions
  // Declared: one that is not there shall not be said to be undefined.
  declare readonly encryption?: EncryptionRequest
  readonly body: PutRequest['body']
  readonly #call: Call

  constructor(
    call: Call,
    bucket: Bucket,
    { described, conditions }: { described: NewObject; conditions: WriteConditions },
  ) {
    this.bucket = bucket
    this.key = call.key
    this.attributes = described.attributes
    this.conditions = conditions
    if (described.encryption) this.encryption = described.encryption
    this.body = call.body.open(DEFAULT_CHECKSUM)
    this.#call = call
  }

  get signal(): AbortSignal {
    return this.#call.signal
  }
}

// AWS locks nothing that could have been mangled on its way: it could not be replaced (pitfall 118).
function refuseUncheckedLock(headers: Headers, { attributes }: NewObject): void {
  if (!attributes.retention && attributes.legalHold === undefined) return
  if (headers['content-md5'] !== undefined || sentAlgorithm(headers)) return
  const message =
    'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters'
  throw new S3Error('InvalidRequest', {}, { message })
}

interface Appended {
  offset: number
  described: NewObject
  conditions: WriteConditions
}

async function appendObject(
  call: Call,
  bucket: Bucket,
  { offset, described, conditions }: Appended,
): Promise<Reply> {
  const { key, headers, body, objects, signal } = call
  const found = await objects.find(bucket, key)
  const there = found.kind === 'found' ? found.object.version : undefined
  // What an object is it is from its first write on.
  if (offset > 0 || there) refuseAttributes(headers)
  const customerKey = there && keyToAppend(call, described.encryption, there.encryption)
  const outcome = await objects.append({
    bucket,
    key,
    offset,
    ...described,
    conditions,
    ...(customerKey ? { customerKey } : {}),
    body: body.open(appendChecksum(there)),
    signal,
  })
  if (outcome.kind !== 'done') throw appendRefusal(outcome, call, conditions)
  const { version } = outcome
  const size = { 'x-amz-object-size': String(version.bytes) }
  return { status: 200, headers: { ...describeWritten(bucket, version), ...size } }
}

/** Of the same kind as that of the object: then that of the whole follows from the two. */
function appendChecksum(there: ObjectVersion | undefined): ChecksumAlgorithm {
  return there?.checksum?.algorithm ?? DEFAULT_CHECKSUM
}
