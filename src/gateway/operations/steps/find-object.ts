// Finds the object that a request reads: the key, and the version where one is named. A delete marker is no
// object, but it is said that there is one (pitfall 103).
import { unreachable } from '../../../kit/assert.ts'
import type {
  Bucket,
  DeleteMarker,
  FindOutcome,
  StoredObject,
} from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { httpDate } from '../../headers/dates.ts'
import { parseVersionId } from '../../headers/version-id.ts'
import { versionField } from '../../reply.ts'
import { S3Error } from '../../s3-error.ts'
import { findKnownBucket } from './find-bucket.ts'

/** The object of the call, or NoSuchKey, NoSuchVersion, or MethodNotAllowed for a delete marker by its id. */
export async function findObject(call: Call, bucket: Bucket): Promise<StoredObject> {
  const { key, query } = call
  const found = await findVersion(call, bucket, { key, versionId: query.versionId })
  switch (found.kind) {
    case 'found':
      return found.object
    case 'delete-marker':
      throw query.versionId === undefined
        ? noSuchKey(key, describeMarker(bucket, found.marker))
        : markerNotAllowed(call, bucket, found.marker)
    default:
      return unreachable(found)
  }
}

/** The bucket and the latest version of the key of the call where nobody has to be asked for them. */
export function findAtHand(call: Call): { bucket: Bucket; object: StoredObject } | undefined {
  const { objects, key, query } = call
  if (objects.findAtHand === undefined || query.versionId !== undefined) return undefined
  const bucket = findKnownBucket(call)
  const object = bucket && objects.findAtHand(bucket, key)
  return object && { bucket, object }
}

/** The same for any key, as copies name their source: what a marker means there is theirs to say. */
export async function findVersion(
  { objects }: Pick<Call, 'objects'>,
  bucket: Bucket,
  { key, versionId }: { key: string; versionId: string | undefined },
): Promise<Exclude<FindOutcome, { kind: 'missing' }>> {
  const asked = parseVersionId(versionId)
  if (asked.kind === 'unknown') throw noSuchVersion(key, asked.versionId)
  const found =
    asked.kind === 'current'
      ? await objects.find(bucket, key)
      : await objects.find(bucket, key, asked.versionId)
  if (found.kind !== 'missing') return found
  throw asked.kind === 'current' ? noSuchKey(key) : noSuchVersion(key, asked.versionId)
}

/** No object under this key now. */
export function noSuchKey(key: string, headers: Record<string, string> = {}): S3Error {
  return new S3Error('NoSuchKey', { Key: key }, { headers })
}

function noSuchVersion(key: string, versionId: string): S3Error {
  return new S3Error('NoSuchVersion', { Key: key, VersionId: versionId })
}

/** The refusal of what can not be done with a delete marker. */
export function markerNotAllowed(call: Call, bucket: Bucket, marker: DeleteMarker): S3Error {
  const [verb = 'Get'] = /^(Get|Head|Put|Delete)/.exec(call.operation) ?? []
  return new S3Error(
    'MethodNotAllowed',
    { Method: verb.toUpperCase(), ResourceType: 'DeleteMarker' },
    {
      headers: {
        allow: 'DELETE',
        'last-modified': httpDate(marker.modifiedMs),
        ...describeMarker(bucket, marker),
      },
    },
  )
}

/** Headers that tell of a delete marker. */
export function describeMarker(bucket: Bucket, marker: DeleteMarker): Record<string, string> {
  return { 'x-amz-delete-marker': 'true', ...versionField(bucket, marker) }
}
