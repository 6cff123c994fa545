// One drive as replicas see it: the log that all of them share, their rows, each in a slot of its own, and the markers that
// say from where on the log is still needed.
import { assert } from '../../kit/assert.ts'
import { Turns } from '../../kit/turns.ts'
import type { LogPosition, RowBatch } from '../../metadata/log/contract.ts'
import type { MetaRows, OpenRange, RowRead, StoredCursor } from '../meta-rows/meta-rows.ts'
import type { Marker } from '../meta-rows/status.ts'
import type { DriveLog } from '../metalog/drive-log.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'

/** Rows of one replica, or a copy that may become them. */
interface Slot {
  incarnation: string
  /** What its rows began with. */
  base: LogPosition
  applied: LogPosition
}

/** Changes of rows, and where they lead. */
export interface RowsChange {
  applied: LogPosition
  batches: readonly RowBatch[]
  bytes: number
}

// Above it are keys of the drive itself.
const SLOTS = 0xff00

/** Log and rows of one drive. */
export class ReplicaDrive {
  readonly drive: MetaDrive
  readonly log: DriveLog
  readonly #rows: MetaRows
  readonly #slots = new Map<number, Slot>()
  /** In which slot the rows of a replica are, by its incarnation. */
  readonly #slotOf = new Map<string, number>()
  /** Replicas that can not begin: nothing of them is deleted. */
  readonly #heldBack: Map<string, number>
  #marker: Marker
  /** The marker before: entries above its `previous` stay in the log. */
  #olderMarker: Marker = []
  #unmarkedBytes = 0
  #isUnmarked = true
  readonly #checkpoints = new Turns()

  /** `heldBack`: slots of replicas that can not begin, by their incarnations. */
  constructor(parts: {
    drive: MetaDrive
    log: DriveLog
    rows: MetaRows
    marker: Marker | undefined
    heldBack: ReadonlyMap<string, number>
  }) {
    this.drive = parts.drive
    this.log = parts.log
    this.#rows = parts.rows
    this.#marker = parts.marker ?? []
    this.#heldBack = new Map(parts.heldBack)
  }

  /** Bytes of changes since the last marker. */
  get unmarkedBytes(): number {
    return this.#unmarkedBytes
  }

  /** A slot without rows, for somebody who has none yet. */
  async takeSlot(incarnation: string, base: LogPosition): Promise<number> {
    const isTaken = new Set([...this.#slots.keys(), ...this.#heldBack.values()])
    let slot = 0
    while (isTaken.has(slot)) slot += 1
    assert(slot < SLOTS, 'a drive has fewer replicas')
    this.#slots.set(slot, { incarnation, base, applied: base })
    this.#forgetMarked(slot)
    await this.#rows.clear(slot)
    return slot
  }

  /** The rows of a replica are in this slot from now on; it is there already, or its rows hold everything up to `base`. */
  attach(incarnation: string, slot: number, base: LogPosition): void {
    this.#slotOf.set(incarnation, slot)
    const known = this.#slots.get(slot)
    assert(known === undefined || known.incarnation === incarnation, 'a slot has one replica')
    if (known === undefined) this.#slots.set(slot, { incarnation, base, applied: base })
    this.#isUnmarked = true
  }

  /** A replica does not answer any more, and nothing of it is deleted. */
  holdBack(incarnation: string): void {
    const slot = this.#slotOf.get(incarnation)
    if (slot !== undefined) this.#heldBack.set(incarnation, slot)
  }

  /** The replica is no more, and nothing of it is needed but its rows, until freeSlot(). */
  detach(incarnation: string): void {
    this.#slotOf.delete(incarnation)
    this.#heldBack.delete(incarnation)
  }

  /**
   * A replica that does not answer is not needed by anybody any more, and its log says so. Until its rows are gone nobody else gets its slot.
   */
  async release(incarnation: string): Promise<void> {
    const slot = this.#heldBack.get(incarnation)
    // A start may find it beside another one that was given the slot since: those rows stay.
    const isShared = [...this.#slots].some(([taken, of]) => {
      return taken === slot && of.incarnation !== incarnation
    })
    this.#slotOf.delete(incarnation)
    if (slot !== undefined && !isShared) await this.freeSlot(slot)
    this.detach(incarnation)
  }

  /** Removes rows that nobody needs. */
  async freeSlot(slot: number): Promise<void> {
    assert(![...this.#slotOf.values()].includes(slot), 'rows in use stay')
    await this.#rows.clear(slot)
    this.#slots.delete(slot)
    this.#forgetMarked(slot)
    this.#isUnmarked = true
  }

  /** Applies committed batches to rows. */
  async apply(slot: number, { applied, batches, bytes }: RowsChange): Promise<void> {
    const found = this.#slots.get(slot)
    assert(found !== undefined, 'rows have a slot')
    await this.#rows.apply(slot, { incarnation: found.incarnation, applied }, batches)
    found.applied = applied
    this.#unmarkedBytes += bytes
    this.#isUnmarked = true
  }

  /** Up to where the rows in a slot are. */
  appliedIn(slot: number): LogPosition {
    return this.#slots.get(slot)!.applied
  }

  get(slot: number, key: Uint8Array): Promise<RowRead> {
    return this.#rows.get(slot, key)
  }

  cursor(slot: number, range: OpenRange): StoredCursor {
    return this.#rows.cursor(slot, range)
  }

  /**
   * Makes the rows durable and says so in a marker. Gives up to where those of each replica surely are now, by incarnation; undefined when
   * nothing was changed since the last one.
   */
  mark(options: { force?: boolean } = {}): Promise<ReadonlyMap<string, number> | undefined> {
    return this.#checkpoints.run(async () => {
      if (!this.#isUnmarked && !options.force) return undefined
      await this.#mark()
      return this.#marked()
    })
  }

  /** Deletes log files that no marker needs. Only after the states of all replicas were written anew. */
  trim(): Promise<void> {
    return this.#checkpoints.run(() => this.log.trim((record) => this.#needs(record)))
  }

  /** Deletes those of these log files that no marker needs, and all before them that none needs. As trim(). */
  dropFiles(paths: readonly string[]): Promise<void> {
    return this.#checkpoints.run(async () => {
      await this.log.trim((record) => this.#needs(record), { retainBytes: 0 })
      const isGone = ({ incarnation }: { incarnation: string }): boolean =>
        !this.#slotOf.has(incarnation) && !this.#heldBack.has(incarnation)
      await this.log.dropFiles(paths, (record) => this.#needs(record), isGone)
    })
  }

  /** Closes log and rows. What was not marked is found again in the log. */
  async close(): Promise<void> {
    await this.#checkpoints.ended()
    try {
      await this.log.close()
    } finally {
      await this.#rows.close()
    }
  }

  async #mark(): Promise<void> {
    this.#unmarkedBytes = 0
    this.#isUnmarked = false
    const next = this.#nextMarker()
    try {
      await this.#rows.checkpoint(next)
    } catch (error) {
      this.#isUnmarked = true
      throw error
    }
    this.#olderMarker = this.#marker
    this.#marker = next
  }

  #nextMarker(): Marker {
    return [...this.#slots].map(([slot, { incarnation, base, applied }]) => {
      const before = findMarked(this.#marker, slot, incarnation)
      // Since a start not everything was applied again that the marker had before: it stays.
      if (before !== undefined && applied.sequence < before.current.sequence) return before
      return {
        partition: slot,
        incarnation,
        current: applied,
        previous: before?.current ?? base,
      }
    })
  }

  /** What a marker said of rows that were in the slot before says nothing of others. */
  #forgetMarked(slot: number): void {
    this.#marker = this.#marker.filter(({ partition }) => partition !== slot)
    this.#olderMarker = this.#olderMarker.filter(({ partition }) => partition !== slot)
  }

  #marked(): Map<string, number> {
    const marked = new Map<string, number>()
    for (const [incarnation, slot] of this.#slotOf) {
      const found = findMarked(this.#marker, slot, incarnation)
      const { sequence } = this.appliedIn(slot)
      if (found !== undefined) marked.set(incarnation, Math.min(found.current.sequence, sequence))
    }
    return marked
  }

  #needs({ incarnation, sequence }: { incarnation: string; sequence: number }): boolean {
    if (this.#heldBack.has(incarnation)) return true
    const slot = this.#slotOf.get(incarnation)
    if (slot === undefined) return false
    const marked = findMarked(this.#olderMarker, slot, incarnation)
    return marked === undefined || sequence > marked.previous.sequence
  }
}

/** What a marker says of the rows in a slot. */
export function findMarked(
  marker: Marker,
  slot: number,
  incarnation: string,
): Marker[number] | undefined {
  return marker.find((one) => one.partition === slot && one.incarnation === incarnation)
}
