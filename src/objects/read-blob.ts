// Shards → bytes. Data cells in the range only; where one is missing or rotten the stripe is mended
// from any k cells, and the damage is reported for repair. Nothing unchecked is ever returned.
import { DriveUnavailable } from '../kit/drive-unavailable.ts'
import { shardCount } from '../kit/erasure-code.ts'
import { type Blob, MISSING_SLOT } from '../metadata/records.ts'
import type { CellRead, ShardReader } from '../storage-node/contract.ts'
import type { ByteRange } from './object-store.ts'
import type { DamageReport, StoreParts } from './store-parts.ts'
import { type BlobLayout, cellBytesOf, layoutBlob, type StripeSlice, sliceRange } from './stripe.ts'

/** Too few good shards are left to give the bytes. The reader breaks off; nothing wrong is sent. */
export class TooFewShards extends Error {
  override readonly name = 'TooFewShards'
  readonly code = 'TOO_FEW_SHARDS'
}

/** Bytes of `range`, one chunk for each stripe, the next stripe being read while the last one is sent. */
export async function* readBlob(
  blob: Blob,
  range: ByteRange,
  parts: StoreParts,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const unpin = parts.pins.pin(blob.uid)
  const shards = new BlobShards(blob, parts)
  let ahead: Promise<Uint8Array> | undefined
  try {
    for (const slice of sliceRange(shards.layout, range)) {
      signal.throwIfAborted()
      const current = ahead
      ahead = shards.readSlice(slice)
      // Awaited one turn later; until then a failure must not count as unhandled.
      ahead.catch(() => {})
      if (current) yield await current
    }
    if (ahead) yield await ahead
  } finally {
    await Promise.allSettled([ahead])
    await shards.close()
    unpin()
  }
}

/** The shards of one blob while it is being read: opened when first needed, given up when they fail. */
class BlobShards {
  readonly layout: BlobLayout
  readonly #blob: Blob
  readonly #parts: StoreParts
  readonly #opened = new Map<number, Promise<ShardReader | undefined>>()

  constructor(blob: Blob, parts: StoreParts) {
    this.#blob = blob
    this.#parts = parts
    this.layout = layoutBlob(blob.bytes, blob.code, blob.cellBytes)
  }

  /** Reads the cells of a slice straight into one buffer, in which they lie as in the object. */
  async readSlice(slice: StripeSlice): Promise<Uint8Array> {
    const cellBytes = cellBytesOf(this.layout, slice.stripe)
    const base = slice.firstCell * cellBytes
    const target = Buffer.allocUnsafe((slice.lastCell + 1) * cellBytes - base)
    const slots = range(slice.firstCell, slice.lastCell + 1)
    const cellOf = (slot: number): Uint8Array =>
      target.subarray(slot * cellBytes - base, (slot + 1) * cellBytes - base)
    const good = await Promise.all(
      slots.map((slot) => this.#readCell(slot, slice.stripe, cellOf(slot))),
    )
    const lost = slots.filter((_, index) => !good[index])
    if (lost.length > 0) await this.#mend(slice.stripe, cellBytes, lost, cellOf)
    return target.subarray(slice.from - base, slice.to - base)
  }

  async close(): Promise<void> {
    for (const opening of this.#opened.values()) await (await opening)?.close()
  }

  /** Fills the lost cells from k others. Cells that were read already are read again: they cost no disk by then. */
  async #mend(
    stripe: number,
    cellBytes: number,
    lost: readonly number[],
    cellOf: (slot: number) => Uint8Array,
  ): Promise<void> {
    const { code } = this.#blob
    const memory = await this.#parts.mendingCodec.acquire()
    try {
      const present = await this.#gather(stripe, cellBytes, lost, memory.cells)
      this.#parts.mendingCodec.reconstruct(code, memory, cellBytes, present, lost)
      for (const slot of lost) cellOf(slot).set(memory.cells[slot]!.subarray(0, cellBytes))
    } finally {
      memory.release()
    }
  }

  /** Reads cells of one stripe until there are k; returns their slots. */
  async #gather(
    stripe: number,
    cellBytes: number,
    lost: readonly number[],
    cells: readonly Uint8Array[],
  ): Promise<number[]> {
    const { dataCount } = this.#blob.code
    const candidates = range(0, shardCount(this.#blob.code)).filter((slot) => !lost.includes(slot))
    const present: number[] = []
    while (present.length < dataCount && candidates.length > 0) {
      const batch = candidates.splice(0, dataCount - present.length)
      // Every read ends before one that failed is heard of: none writes into cells that are another blob's by then.
      const reads = await Promise.allSettled(
        batch.map((slot) => this.#readCell(slot, stripe, cells[slot]!.subarray(0, cellBytes))),
      )
      for (const [index, read] of reads.entries()) {
        if (read.status === 'rejected') throw read.reason
        if (read.value) present.push(batch[index]!)
      }
    }
    if (present.length < dataCount) {
      throw new TooFewShards(
        `blob ${this.#blob.uid}: ${present.length} good cells of stripe ${stripe}, ${dataCount} are needed`,
      )
    }
    return present
  }

  /** True when `target` holds the checked cell. */
  async #readCell(slot: number, index: number, target: Uint8Array): Promise<boolean> {
    const reader = await this.#open(slot)
    if (!reader) return false
    try {
      return this.#isGood(slot, await reader.readCell(index, target), target.length)
    } catch (error) {
      this.#giveUp(slot, error)
      return false
    }
  }

  #isGood(slot: number, read: CellRead, wantedBytes: number): boolean {
    if (read.kind === 'found' && read.bytes === wantedBytes) return true
    this.#report(slot, read.kind === 'missing' ? 'missing' : 'corrupt')
    return false
  }

  #open(slot: number): Promise<ShardReader | undefined> {
    const known = this.#opened.get(slot)
    if (known) return known
    const opening = this.#openNow(slot)
    this.#opened.set(slot, opening)
    return opening
  }

  async #openNow(slot: number): Promise<ShardReader | undefined> {
    const driveId = this.#blob.drives[slot]!
    if (driveId === MISSING_SLOT) return undefined
    const { uid, part } = this.#blob
    try {
      const opened = await this.#parts.node.openShard(driveId, { uid, part, slot })
      if (opened.kind === 'found') return opened.reader
      this.#report(slot, opened.kind)
    } catch (error) {
      this.#giveUp(slot, error)
    }
    return undefined
  }

  /** A drive that fails is no reason to fail the read; anything else is. */
  #giveUp(slot: number, error: unknown): void {
    if (!(error instanceof DriveUnavailable)) throw error
    this.#report(slot, 'failed')
  }

  #report(slot: number, kind: DamageReport['kind']): void {
    const { uid, part } = this.#blob
    const driveId = this.#blob.drives[slot]!
    this.#parts.reportDamage({ driveId, id: { uid, part, slot }, blob: this.#blob, kind })
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}
