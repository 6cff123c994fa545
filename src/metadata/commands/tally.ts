// What commands of this process did that makes earlier looks at the rows say too little.
import type { OwedBlob, PartitionTally } from '../contract.ts'
import type { RowBatch } from '../log/contract.ts'
import { referencesIn, whereaboutsOf } from '../rows/blob-rows.ts'
import { KeyKind } from '../rows/keys.ts'

/** Promotions that are remembered: who asks late looks at everything again. */
const PROMOTIONS_MAX = 1024

/** Counts from the start of the process. */
export class Tally implements PartitionTally {
  #owed = 0
  #promoted = 0
  /** The last of them. */
  readonly #promotions: OwedBlob[] = []

  /** Takes note of a batch, before it is appended. */
  note(batch: RowBatch): void {
    let isVersionGone = false
    for (const { key, value } of batch) {
      if (key[0] === KeyKind.Repair && value) this.#owed += 1
      if (key[0] === KeyKind.Version && !value) isVersionGone = true
    }
    if (isVersionGone) this.#notePromotions(batch)
  }

  get owed(): number {
    return this.#owed
  }

  get promoted(): number {
    return this.#promoted
  }

  promotedSince(promoted: number): readonly OwedBlob[] | undefined {
    const count = this.#promoted - promoted
    const { length } = this.#promotions
    return count > length ? undefined : this.#promotions.slice(length - count)
  }

  /** A row of a version went, and one of a latest version was written: more often than not it is the same. */
  #notePromotions(batch: RowBatch): void {
    for (const { key, value } of batch) {
      if (key[0] !== KeyKind.Current || !value) continue
      for (const { blob } of referencesIn({ key, value })) {
        this.#promoted += 1
        this.#promotions.push({ ...whereaboutsOf(key), blob })
        if (this.#promotions.length > PROMOTIONS_MAX) this.#promotions.shift()
      }
    }
  }
}
