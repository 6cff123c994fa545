// The shards of a blob that others are made from: opened once, read cell by cell, every cell checked. A shard that is
// damaged still gives the cells of it that are whole.
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { Blob } from '../../metadata/records.ts'
import type { ShardDescription, ShardReader, StorageNode } from '../contract.ts'
import { type BlobCheck, belongsTo } from './check-blob.ts'

/** The node whose shards are read, and who counts the bytes. */
export interface SourceParts {
  node: StorageNode
  countRead(bytes: number): void
}

/** Cells of one stripe to be read: `cells[slot]` takes the first `cellBytes` of its slot. */
export interface StripeCells {
  index: number
  cellBytes: number
  cells: readonly Uint8Array[]
}

/** Readers of all slots that may hold something. */
export class ShardSources {
  /** Slots that were thought whole and were not. */
  readonly damaged = new Set<number>()
  /** Slots whose drives stopped answering. */
  readonly silent = new Set<number>()
  readonly #blob: Blob
  readonly #check: BlobCheck
  readonly #parts: SourceParts
  readonly #readers = new Map<number, ShardReader>()

  private constructor(blob: Blob, check: BlobCheck, parts: SourceParts) {
    this.#blob = blob
    this.#check = check
    this.#parts = parts
  }

  /** Opens what can be opened. */
  static async open(blob: Blob, check: BlobCheck, parts: SourceParts): Promise<ShardSources> {
    const sources = new ShardSources(blob, check, parts)
    for (const [slot, health] of check.slots.entries()) {
      if (health === 'whole' || health === 'corrupt') await sources.#openSlot(slot)
    }
    return sources
  }

  /** How many shards are there, whole or not. */
  get count(): number {
    return this.#readers.size
  }

  /** What the first shard that can be asked says of itself; undefined when none can. */
  async describe(): Promise<ShardDescription | undefined> {
    for (const slot of this.#inOrder()) {
      const described = await this.#asking(slot, (reader) => reader.describe())
      if (described?.kind !== 'found') this.#blame(slot)
      else if (belongsTo(described.description, this.#blob)) return described.description
    }
    return undefined
  }

  /** Reads cells of a stripe until there are k; returns their slots, fewer when there are not so many. */
  async gather(stripe: StripeCells): Promise<number[]> {
    const { dataCount } = this.#blob.code
    const candidates = this.#inOrder()
    const good: number[] = []
    while (good.length < dataCount && candidates.length > 0) {
      const batch = candidates.splice(0, dataCount - good.length)
      good.push(...(await this.#readBatch(batch, stripe)))
    }
    return good
  }

  /** Lets all of them go. */
  async close(): Promise<void> {
    for (const reader of this.#readers.values()) await reader.close()
    this.#readers.clear()
  }

  async #openSlot(slot: number): Promise<void> {
    const { uid, part } = this.#blob
    try {
      const opened = await this.#parts.node.openShard(this.#check.drives[slot]!, {
        uid,
        part,
        slot,
      })
      if (opened.kind === 'found') this.#readers.set(slot, opened.reader)
      else this.#blame(slot)
    } catch (error) {
      if (!(error instanceof DriveUnavailable)) throw error
      this.silent.add(slot)
    }
  }

  /** Slots that were whole before those that were not; data before parity. */
  #inOrder(): number[] {
    const slots = [...this.#readers.keys()].sort((left, right) => left - right)
    const isWhole = (slot: number): boolean =>
      this.#check.slots[slot] === 'whole' && !this.damaged.has(slot)
    return [...slots.filter(isWhole), ...slots.filter((slot) => !isWhole(slot))]
  }

  /** Every read has ended when this does: none writes into cells that are someone else's by then. */
  async #readBatch(slots: readonly number[], stripe: StripeCells): Promise<number[]> {
    const reads = await Promise.allSettled(slots.map((slot) => this.#readCell(slot, stripe)))
    return slots.filter((_, at) => {
      const read = reads[at]!
      if (read.status === 'rejected') throw read.reason
      return read.value
    })
  }

  async #readCell(slot: number, { index, cellBytes, cells }: StripeCells): Promise<boolean> {
    const target = cells[slot]!.subarray(0, cellBytes)
    const read = await this.#asking(slot, (reader) => reader.readCell(index, target))
    if (read === undefined) return false
    if (read.kind === 'found' && read.bytes === cellBytes) {
      this.#parts.countRead(cellBytes)
      return true
    }
    this.#blame(slot)
    return false
  }

  /** A drive that fails gives nothing more; that says nothing of its shard. */
  async #asking<Answer>(
    slot: number,
    ask: (reader: ShardReader) => Promise<Answer>,
  ): Promise<Answer | undefined> {
    const reader = this.#readers.get(slot)
    if (reader === undefined) return undefined
    try {
      return await ask(reader)
    } catch (error) {
      if (!(error instanceof DriveUnavailable)) throw error
      this.#readers.delete(slot)
      this.silent.add(slot)
      await reader.close()
      return undefined
    }
  }

  #blame(slot: number): void {
    if (this.#check.slots[slot] === 'whole') this.damaged.add(slot)
  }
}
