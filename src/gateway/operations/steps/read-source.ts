// The first half of every copy: the source is named, found, and may be read.
import type {
  Bucket,
  CustomerKey,
  ObjectVersion,
  StoredObject,
} from '../../../objects/object-store.ts'
import type { Call, Headers } from '../../call.ts'
import { judgeRead, parseCopySourceConditions } from '../../headers/conditions.ts'
import { type CopySource, parseCopySource } from '../../headers/copy-source.ts'
import { versionField } from '../../reply.ts'
import { S3Error } from '../../s3-error.ts'
import { sourceCustomerKeyFor } from './customer-key.ts'
import { findSourceBucket } from './find-bucket.ts'
import { describeMarker, findVersion, noSuchKey } from './find-object.ts'
import { preconditionFailed } from './refuse.ts'

/** What is copied from. */
export interface FoundSource {
  object: StoredObject
  /** The key of the client that its bytes need. */
  customerKey: CustomerKey | undefined
  /** Headers of the answer that name the version. */
  headers: Record<string, string>
}

/** Where the call copies from. */
export function parseSource({ headers }: Call): CopySource {
  return parseCopySource(headers['x-amz-copy-source'] ?? '')
}

/** Throws InvalidRequest where bytes come with a copy, or NotImplemented where they may: they would be dropped without a word. */
export function refuseBody(headers: Headers): void {
  // Chunks without a length: as with a PUT nobody knows yet whether there are any.
  if (headers['transfer-encoding'] && headers['x-amz-decoded-content-length'] === undefined)
    throw new S3Error('NotImplemented', { Header: 'Transfer-Encoding' })
  const length = headers['x-amz-decoded-content-length'] ?? headers['content-length'] ?? '0'
  if (Number(length) === 0) return
  const message =
    'The request included a body. Requests of this type must not include a non-empty body.'
  throw new S3Error('InvalidRequest', {}, { message })
}

/** The source object. Conditions on it that fail are 412, never 304 (pitfall 63). */
export async function findSource(call: Call, source: CopySource): Promise<FoundSource> {
  const bucket = await findSourceBucket(call, source.bucket)
  const found = await findVersion(call, bucket, source)
  if (found.kind === 'delete-marker')
    throw refuseMarker(source, describeMarker(bucket, found.marker))
  const { version } = found.object
  // Before the conditions: they would tell whoever lacks the key what the ETag is.
  const customerKey = sourceCustomerKeyFor(call, version.encryption)
  const conditions = parseCopySourceConditions(call.headers, call.receivedMs)
  const verdict = judgeRead(conditions, version)
  if (verdict.kind !== 'passed') throw preconditionFailed(`x-amz-copy-source-${verdict.condition}`)
  return { object: found.object, customerKey, headers: sourceFields(bucket, version, source) }
}

/** The `null` version is named to who named it, and to nobody else. */
function sourceFields(
  bucket: Bucket,
  version: ObjectVersion,
  { versionId }: CopySource,
): Record<string, string> {
  const { 'x-amz-version-id': shown } = versionField(bucket, version)
  const named = shown !== undefined && (version.versioned || versionId !== undefined)
  return named ? { 'x-amz-copy-source-version-id': shown } : {}
}

function refuseMarker({ key, versionId }: CopySource, marker: Record<string, string>): S3Error {
  if (versionId === undefined) return noSuchKey(key, marker)
  return new S3Error(
    'InvalidRequest',
    {},
    {
      message:
        'The source of a copy request may not specifically refer to a delete marker by version id.',
    },
  )
}
