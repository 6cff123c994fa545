// Finds the object that a request reads: the key, and the version where one is named.
import type { Bucket, StoredObject } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { parseVersionId } from '../../headers/version-id.ts'
import { S3Error } from '../../s3-error.ts'

/** The object of the call, or NoSuchKey or NoSuchVersion. */
export function findObject(call: Call, bucket: Bucket): Promise<StoredObject> {
  return findVersion(call, bucket, call.key, call.query.versionId)
}

/** The same for any key, as copies name their source. */
export async function findVersion(
  { objects }: Call,
  bucket: Bucket,
  key: string,
  versionId: string | undefined,
): Promise<StoredObject> {
  if (parseVersionId(versionId) === 'unknown')
    throw new S3Error('NoSuchVersion', { Key: key, VersionId: versionId ?? '' })
  const found = await objects.find(bucket, key)
  if (found.kind !== 'found') throw new S3Error('NoSuchKey', { Key: key })
  return found.object
}
