// set-bucket: tells the partition of a new revision of a bucket, and asks whether anything is in it here.
// Freezing and asking is one step in log order, so nothing can enter a bucket between `empty` and its end.
import { encodeBucketRow } from '../rows/bucket-row.ts'
import { bucketKey } from '../rows/keys.ts'
import { readBucket } from './bucket-gate.ts'
import { type Rule, refuse } from './decision.ts'
import { isBucketEmpty } from './empty-bucket.ts'

/** `bucket-gone` for a revision below the known one and for a dropped bucket; freezing that one again is `done`. */
export const setBucket: Rule<'set-bucket'> = {
  async decide({ bucket, state }, { view }) {
    const known = await readBucket(view, bucket)
    if (known?.state === 'dropped') {
      // A deletion that was cut short begins again: what is dropped here is as good as frozen and empty.
      return refuse(state === 'frozen' ? { kind: 'done', empty: true } : { kind: 'bucket-gone' })
    }
    if (known && bucket.revision < known.revision) return refuse({ kind: 'bucket-gone' })

    const answer = { kind: 'done' as const, empty: await isBucketEmpty(view, bucket.id) }
    if (known?.state === state && known.revision === bucket.revision) return refuse(answer)
    const value = encodeBucketRow({ revision: bucket.revision, state })
    return { kind: 'answer', batch: [{ key: bucketKey(bucket.id), value }], answer }
  },
}
