// drop-bucket: the end of a bucket. Uploads that were under way become garbage, some parts at a time.
// The bucket's row stays and says `dropped`: late commands on its id are refused for ever.
import { assert } from '../../kit/assert.ts'
import type { RowBatch } from '../log/contract.ts'
import type { BucketId, BucketRef } from '../records.ts'
import { type BucketState, encodeBucketRow } from '../rows/bucket-row.ts'
import { bucketKey, parseUploadKey, rangeOf, uploadPrefix } from '../rows/keys.ts'
import { discardParts } from './become-garbage.ts'
import { readBucket } from './bucket-gate.ts'
import type { Context, Row, Rule } from './decision.ts'
import { isBucketEmpty } from './empty-bucket.ts'
import { forgetParts, readParts } from './upload-parts.ts'

/** Parts that one batch gives up; the batch stays below a megabyte. */
const PARTS_PER_STEP = 1000
const UPLOADS_PER_STEP = 200

/** Takes an entry (`more`) for some uploads at a time. Asserts that the bucket is frozen and empty, or dropped already. */
export const dropBucket: Rule<'drop-bucket'> = {
  async decide({ bucket }, context) {
    const known = await readBucket(context.view, bucket)
    const batch = await markDropped(bucket, known, context)
    const uploads = await context.view.scan(
      rangeOf(uploadPrefix(bucket.id, Buffer.alloc(0))),
      UPLOADS_PER_STEP,
    )
    if (uploads.length === 0) return { kind: 'answer', batch, answer: { kind: 'done' } }
    batch.push(...(await dropUploads(bucket.id, uploads, context)))
    return { kind: 'more', batch }
  },
}

async function markDropped(
  bucket: BucketRef,
  known: BucketState | undefined,
  { view }: Context,
): Promise<RowBatch> {
  if (known?.state === 'dropped') return []
  assert(known?.state === 'frozen', 'a bucket is frozen before it is dropped')
  assert(await isBucketEmpty(view, bucket.id), 'a bucket is empty when it is dropped')
  const revision = Math.max(bucket.revision, known.revision)
  return [{ key: bucketKey(bucket.id), value: encodeBucketRow({ revision, state: 'dropped' }) }]
}

/** Gives up parts until the step is full; an upload goes with its last parts. */
async function dropUploads(
  bucketId: BucketId,
  uploads: readonly Row[],
  context: Context,
): Promise<RowBatch> {
  const batch: RowBatch = []
  let room = PARTS_PER_STEP
  for (const { key } of uploads) {
    const { uploadId } = parseUploadKey(key)
    const parts = await readParts(context.view, uploadId, room)
    batch.push(...forgetParts(uploadId, parts), ...discardParts(bucketId, parts, context))
    room -= parts.length
    if (room === 0) break
    batch.push({ key, value: undefined })
  }
  return batch
}
