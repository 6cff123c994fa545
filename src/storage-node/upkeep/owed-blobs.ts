// Blobs that repair rows name, those that lack most first. One that can not be mended now is left alone for a while,
// so that it does not stand before the others.
import type { MetadataPartition, OwedBlob } from '../../metadata/contract.ts'

/** An owed blob and the partition that knows it. */
export interface OwedOf {
  partition: MetadataPartition
  owed: OwedBlob
}

/** How often the partitions are asked when nothing was owed. */
const ASK_EVERY_MS = 5_000

/** Rows of each partition that are looked at. */
const ROWS_MAX = 256

/** How long a blob is left alone that was tried. */
const AGAIN_AFTER_MS = 60_000

/** The rows as they were when they were last asked for. */
export class OwedBlobs {
  readonly #partitions: readonly MetadataPartition[]
  /** Every blob of the last answer that is not known to be whole, and when it was tried. */
  readonly #known = new Map<string, { item: OwedOf; triedMs: number | undefined }>()
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(partitions: readonly MetadataPartition[]) {
    this.#partitions = partitions
  }

  /** Blobs that are known to be owed. */
  get size(): number {
    return this.#known.size
  }

  /** The next to try, at most `limit`. */
  async next(limit: number, nowMs: number): Promise<OwedOf[]> {
    if (nowMs - this.#askedMs >= ASK_EVERY_MS) await this.#ask(nowMs)
    const due = [...this.#known.values()].filter(
      ({ triedMs }) => triedMs === undefined || nowMs - triedMs >= AGAIN_AFTER_MS,
    )
    return due.slice(0, limit).map((entry) => {
      entry.triedMs = nowMs
      return entry.item
    })
  }

  /** It has all its shards, or is gone. */
  done(owed: OwedBlob): void {
    this.#known.delete(nameOf(owed))
  }

  /** A drive came or went: what could not be done may be possible now. */
  tryAllAgain(): void {
    this.#askedMs = Number.NEGATIVE_INFINITY
    for (const entry of this.#known.values()) entry.triedMs = undefined
  }

  async #ask(nowMs: number): Promise<void> {
    this.#askedMs = nowMs
    const before = new Map(this.#known)
    this.#known.clear()
    for (const partition of this.#partitions) {
      for (const owed of await partition.owedBlobs(ROWS_MAX)) {
        const name = nameOf(owed)
        this.#known.set(name, { item: { partition, owed }, triedMs: before.get(name)?.triedMs })
      }
    }
  }
}

function nameOf({ blob: { uid, part } }: OwedBlob): string {
  return `${uid}.${part}`
}
