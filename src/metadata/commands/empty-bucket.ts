// A bucket is empty when it has no version of anything. Uploads under way do not count, as on AWS.
import type { BucketId } from '../records.ts'
import { currentKey, markerKey, rangeOf, versionPrefix } from '../rows/keys.ts'
import type { View } from './decision.ts'

/** Whether the bucket has no object, delete marker or older version here. */
export async function isBucketEmpty(view: View, bucketId: BucketId): Promise<boolean> {
  const anything = Buffer.alloc(0)
  const kinds = [currentKey, markerKey, versionPrefix]
  const found = await Promise.all(
    kinds.map((keyOf) => view.scan(rangeOf(keyOf(bucketId, anything)), 1)),
  )
  return found.every((rows) => rows.length === 0)
}
