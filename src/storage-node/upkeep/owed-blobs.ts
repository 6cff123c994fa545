// Blobs that repair rows name, those that lack most first. One that can not be mended now is left alone for a while,
// so that it does not stand before the others.
import type { MetadataPartition, OwedBlob } from '../../metadata/contract.ts'

/** An owed blob and the partition that knows it. */
export interface OwedOf {
  partition: MetadataPartition
  owed: OwedBlob
}

interface KnownOwed {
  item: OwedOf
  triedMs: number | undefined
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
  #known = new Map<string, KnownOwed>()
  /** How many each partition had left owing when it was asked. */
  #tallied: ReadonlyMap<MetadataPartition, number> = new Map()
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(partitions: readonly MetadataPartition[]) {
    this.#partitions = partitions
  }

  /** Whether no command has left a blob owing since all partitions were asked. */
  get isCurrent(): boolean {
    return this.#partitions.every(
      (partition) => this.#tallied.get(partition) === partition.tally.owed,
    )
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
    const found = new Map<string, KnownOwed>()
    const tallied = new Map<MetadataPartition, number>()
    // All at once: where each of them has to ask others first whether it still leads, these questions go together.
    const asked = this.#partitions.map(async (partition) => {
      // Before it is asked: what comes meanwhile may be missed.
      tallied.set(partition, partition.tally.owed)
      return { partition, blobs: await partition.owedBlobs(ROWS_MAX) }
    })
    for (const { partition, blobs } of await Promise.all(asked)) {
      for (const owed of blobs) {
        const name = nameOf(owed)
        found.set(name, { item: { partition, owed }, triedMs: this.#known.get(name)?.triedMs })
      }
    }
    // Only now that all have answered: one that does not must not make it seem that nothing is owed.
    this.#known = found
    this.#tallied = tallied
  }
}

function nameOf({ blob: { uid, part } }: OwedBlob): string {
  return `${uid}.${part}`
}
