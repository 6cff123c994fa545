// A bucket is empty when it has no object. Uploads under way do not count, as on AWS.
import type { BucketId } from '../records.ts'
import { currentKey, rangeOf } from '../rows/keys.ts'
import type { View } from './decision.ts'

/** Whether the bucket has no object here. */
export async function isBucketEmpty(view: View, bucketId: BucketId): Promise<boolean> {
  const first = await view.scan(rangeOf(currentKey(bucketId, Buffer.alloc(0))), 1)
  return first.length === 0
}
