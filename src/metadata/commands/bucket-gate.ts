// Whether a bucket still takes commands and answers queries: the partition's own memory of its life, in log order.
import type { BucketRef } from '../records.ts'
import { type BucketState, decodeBucketRow } from '../rows/bucket-row.ts'
import { bucketKey } from '../rows/keys.ts'
import type { View } from './decision.ts'

/** What the partition knows of a bucket; undefined when it was never told anything. */
export async function readBucket(
  view: Pick<View, 'get'>,
  bucket: BucketRef,
): Promise<BucketState | undefined> {
  const row = await view.get(bucketKey(bucket.id))
  return row && decodeBucketRow(row)
}

/** Whether commands on the bucket are refused: it is frozen or gone, or the sender's knowledge of it is old. */
export async function refusesCommands(view: View, bucket: BucketRef): Promise<boolean> {
  return refusesCommand(await view.get(bucketKey(bucket.id)), bucket)
}

/** The same by the row of the bucket. */
export function refusesCommand(row: Uint8Array | undefined, { revision }: BucketRef): boolean {
  const known = row && decodeBucketRow(row)
  return known !== undefined && (known.state !== 'live' || revision < known.revision)
}

/** Whether queries are refused. A frozen bucket still answers: freezing may be undone. */
export async function refusesQueries(view: Pick<View, 'get'>, bucket: BucketRef): Promise<boolean> {
  const known = await readBucket(view, bucket)
  return known !== undefined && refusesQuery(known, bucket)
}

/** The same by what is known. */
export function refusesQuery(known: BucketState, { revision }: BucketRef): boolean {
  return known.state === 'dropped' || revision < known.revision
}
