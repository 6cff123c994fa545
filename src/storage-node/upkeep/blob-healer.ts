// One blob after the other as the healer meets them: held so that nobody else mends it, by its row as it is now, and what is
// known of those that could not be mended.
import type { BlobReference, MetadataPartition, MetaPartitionId } from '../../metadata/contract.ts'
import type { Blob } from '../../metadata/records.ts'
import { whereaboutsOf } from '../../metadata/rows/blob-rows.ts'
import { MetadataUnavailable } from '../../metadata/unavailable.ts'
import { metaPartitionOf } from '../../placement/place.ts'
import type { BlobLatch } from './blob-latch.ts'
import { checkBlob } from './check-blob.ts'
import { type Healed, type HealParts, type HealRequest, healBlob } from './heal-blob.ts'
import { KnownRot } from './known-rot.ts'
import { ShardSources } from './shard-sources.ts'
import { type UnrepairableBlob, UnrepairableList } from './unrepairable.ts'

/** What it needs beside what healing a blob needs. */
export interface BlobHealerParts extends HealParts {
  latch: BlobLatch
  partitions: readonly MetadataPartition[]
  /**
   * A partition that refuses once this process has stopped to lead it, for ever: a row is changed in the reign in which its
   * shards were made, or not at all. Throws MetadataUnavailable. Absent where nobody else ever leads.
   */
  ofReign?(partition: MetaPartitionId): MetadataPartition
  /** Whether work is to end. */
  isStopping(): boolean
}

/** The blob was deleted, or nothing of it is left to look at. */
export const DELETED: Healed = { kind: 'deleted' }

/** Heals blobs and remembers what became of them. */
export class BlobHealer {
  readonly #parts: BlobHealerParts
  readonly #unrepairable = new UnrepairableList()
  readonly #rot = new KnownRot()
  #checkedBlobs = 0

  constructor(parts: BlobHealerParts) {
    this.#parts = parts
  }

  /** Blobs that were looked at. */
  get checkedBlobs(): number {
    return this.#checkedBlobs
  }

  /** Blobs of which too few shards are left, as many as are listed, and how many there are. */
  get unrepairable(): { blobs: readonly UnrepairableBlob[]; count: number } {
    return this.#unrepairable
  }

  /** What a whole pass that began then did not find any more was deleted. `found`: how many blobs it could not mend. */
  forgetUnseen(sinceMs: number, found: number): void {
    this.#unrepairable.forgetUnseen(sinceMs, found)
    this.#rot.forgetUnseen(sinceMs)
  }

  /** Whatever goes wrong with one blob is entered and said; only being told to stop goes on. */
  async heal(walked: HealRequest): Promise<Healed | 'failed'> {
    const { blob } = walked.reference
    // Two that mend one blob would take back each other's shards.
    const letGo = this.#parts.latch.tryHold(blob.uid)
    if (letGo === undefined) {
      this.#keep(blob)
      return 'failed'
    }
    // A blob on either list is never taken off it by a mere look.
    const isListed = this.#unrepairable.lists(blob) || this.#rot.lists(blob)
    const depth = isListed ? 'deep' : walked.depth
    try {
      const partition = this.#parts.ofReign?.(walked.partition.id) ?? walked.partition
      const request = { ...walked, partition, depth }
      const reference = await findAgain(request)
      const healed = reference ? await healBlob({ ...request, reference }, this.#parts) : DELETED
      // Overwritten or deleted while it was worked on, which under load some always are; else its row has changed.
      const outcome = healed.kind === 'gone' && !(await findAgain(request)) ? DELETED : healed
      this.#checkedBlobs += 1
      this.#note(walked, outcome)
      return outcome
    } catch (error) {
      if (this.#parts.isStopping()) throw error
      const isOurs = !(error instanceof MetadataUnavailable)
      if (isOurs) this.#note(walked, { kind: 'error', error: String(error) })
      else this.#keep(blob)
      return 'failed'
    } finally {
      letGo()
    }
  }

  /** Drives that do not answer now may have what is lacking; else people have to know which blob keeps a drive. */
  async judgeUnreadable(request: HealRequest): Promise<void> {
    const outcome = await this.heal(request)
    if (outcome === 'failed' || outcome.kind !== 'owing' || outcome.unknown) return
    this.#note(request, { kind: 'error', error: 'too few of its cells can be read' })
  }

  /** The row of a blob that a reader had: its key is in the header of every shard. Undefined: no shard can tell now. */
  async findReported(blob: Blob): Promise<HealRequest | 'gone' | undefined> {
    const { map } = this.#parts.coordinator.state
    const partition = this.#parts.partitions[metaPartitionOf(map, blob.partition)]!
    const awaited = this.#parts.awaited()
    const check = await checkBlob(blob, 'shallow', { ...this.#parts, map, awaited })
    const sources = await ShardSources.open(blob, check, this.#parts)
    const description = await sources.describe().finally(() => sources.close())
    if (!description) {
      // No drive has anything of it any more: it was deleted. Or all were lost, which a pass over rows finds.
      const allSaid = check.slots.every((health) => health === 'missing' || health === 'unwritten')
      return allSaid ? 'gone' : undefined
    }
    const { bucketId, key } = description
    const reference = await partition.findBlob({ bucketId, key, blob })
    if (!reference) return 'gone'
    return { partition, reference, depth: 'deep', hasRepairRow: false }
  }

  #note({ reference }: HealRequest, outcome: Healed | { kind: 'error'; error: string }): void {
    this.#rot.note(reference.blob, outcome, this.#nowMs())
    const isNew = this.#unrepairable.note({ reference }, outcome, this.#nowMs())
    const { uid, part } = reference.blob
    if (isNew) this.#parts.log.error({ uid, part, ...outcome }, 'a blob can not be mended')
  }

  /** A pass that met it must not forget what is known of it. */
  #keep(blob: Blob): void {
    this.#unrepairable.keep(blob, this.#nowMs())
    this.#rot.keep(blob, this.#nowMs())
  }

  #nowMs(): number {
    return this.#parts.world.clock.now()
  }
}

/**
 * The row as it is now: a page of a pass may be as old as the pass, and drives that were read then are never written
 * over those that another pass entered meanwhile.
 */
function findAgain({ partition, reference }: HealRequest): Promise<BlobReference | undefined> {
  const { rowKey, blob } = reference
  return partition.findBlob({ ...whereaboutsOf(rowKey), rowKey, blob })
}
