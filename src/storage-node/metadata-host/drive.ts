// One drive as metadata sees it: the log that is the truth, the rows that follow from it, and the markers
// that say from where on the log is still needed.
import { Turns } from '../../kit/turns.ts'
import type { LogPosition, RowBatch } from '../../metadata/log/contract.ts'
import type { LevelChange } from '../meta-rows/gathered.ts'
import type { MetaRows, StoredRow } from '../meta-rows/meta-rows.ts'
import type { Marker, ReplicaStatus } from '../meta-rows/status.ts'
import type { DriveLog } from '../metalog/drive-log.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import { replayReplicas } from './resume-rows.ts'

/** Committed batches of a partition. `sealed`: the same as rows of LevelDB, where they are made for several drives. */
export interface RowsToApply {
  batches: readonly RowBatch[]
  sealed?: readonly LevelChange[]
  bytes: number
}

interface HostedReplica {
  incarnation: string
  /** Where its rows began. */
  base: LogPosition
  applied: LogPosition
}

/** Log and rows of one drive. */
export class HostDrive {
  readonly drive: MetaDrive
  readonly log: DriveLog
  #rows: MetaRows
  readonly #replicas = new Map<number, HostedReplica>()
  /** By partition, how much is under way in its rows, also of replicas that left meanwhile. */
  readonly #busy = new Map<number, number>()
  /** Partitions whose entries may be the only copy: nothing of them is deleted. */
  readonly #heldBack = new Set<number>()
  #marker: Marker
  /** The marker before: entries above its `previous` stay in the log. */
  #olderMarker: Marker = []
  #unmarkedBytes = 0
  #unmarkedChanges = false
  readonly #checkpoints = new Turns()
  /** Changes of the rows under way. */
  readonly #writing = new Set<Promise<void>>()
  #pause: Pause | undefined

  constructor(parts: {
    drive: MetaDrive
    log: DriveLog
    rows: MetaRows
    marker: Marker | undefined
  }) {
    this.drive = parts.drive
    this.log = parts.log
    this.#rows = parts.rows
    this.#marker = parts.marker ?? []
  }

  /** clear() is the drive's own, which says what is busy. */
  get rows(): Omit<MetaRows, 'clear'> {
    return this.#rows
  }

  /** Bytes that were applied since the last marker. */
  get unmarkedBytes(): number {
    return this.#unmarkedBytes
  }

  /** From here on a replica lives here. Its rows hold everything up to `base`. */
  attach(partition: number, incarnation: string, base: LogPosition): void {
    this.#replicas.set(partition, { incarnation, base, applied: base })
    this.#unmarkedChanges = true
  }

  detach(partition: number): void {
    this.#replicas.delete(partition)
  }

  /** Removes rows that do not count any more. */
  async clear(partition: number): Promise<void> {
    await this.#busyWith(partition, () => this.#rows.clear(partition))
  }

  /** Keeps others from the rows of a partition, who ask isBusyWith(), until what it gives is called. */
  hold(partition: number): () => void {
    this.#count(partition, 1)
    return () => this.#count(partition, -1)
  }

  /** Whether a replica of the partition lives here, or its rows still have changes under way. */
  isBusyWith(partition: number): boolean {
    return this.#replicas.has(partition) || (this.#busy.get(partition) ?? 0) > 0
  }

  /** Nothing of this partition may be deleted from the log. */
  holdBack(partition: number): void {
    this.#heldBack.add(partition)
  }

  /** Applies committed batches to the rows. */
  async apply(partition: number, status: ReplicaStatus, changes: RowsToApply): Promise<void> {
    await this.#busyWith(partition, async () => {
      await this.#rows.apply(partition, status, changes.batches, changes.sealed)
      const replica = this.#replicas.get(partition)
      if (replica?.incarnation === status.incarnation) replica.applied = status.applied
      this.#unmarkedBytes += changes.bytes
      this.#unmarkedChanges = true
    })
  }

  /** Takes over rows of another replica. */
  async copyIn(partition: number, rows: readonly StoredRow[]): Promise<void> {
    await this.#busyWith(partition, () => this.#rows.copyIn(partition, rows))
  }

  /** Makes the rows durable, says so in a marker, deletes log files that no marker needs any more. */
  checkpoint(options: { force?: boolean; retainBytes?: number } = {}): Promise<void> {
    return this.#checkpoints.run(() => this.#checkpoint(options))
  }

  /**
   * Reads the log back. What rotted is not needed once the rows are durable without it: then its files go. Records that
   * were not applied yet keep theirs until the next look.
   */
  async scrubLog(pace: () => Promise<void>): Promise<{ files: number; damaged: number }> {
    const { files, rotten } = await this.log.findRotten(pace)
    if (rotten.length === 0) return { files, damaged: 0 }
    await this.log.leaveFile(rotten)
    // Three markers, so that even the one before last needs nothing of what is there now.
    for (let marker = 0; marker < 3; marker += 1) await this.checkpoint({ force: true })
    await this.log.dropFiles(rotten, (record) => this.#needs(record))
    return { files, damaged: rotten.length }
  }

  /**
   * Opens the rows anew after LevelDB had no room, and makes them what they were. What is to be applied waits, after a
   * failure too: until this succeeds, or endPause().
   */
  resume(reopen: () => Promise<MetaRows>): Promise<void> {
    return this.#checkpoints.run(() => this.#resume(reopen))
  }

  /** What waits to be applied goes on, whatever becomes of it. */
  endPause(): void {
    this.#pause?.end()
    this.#pause = undefined
  }

  async #resume(reopen: () => Promise<MetaRows>): Promise<void> {
    this.#pause ??= newPause()
    await Promise.allSettled(this.#writing)
    await this.#rows.close()
    this.#rows = await reopen()
    const replicas = [...this.#replicas].map(([partition, { incarnation, base, applied }]) => {
      const marked = find(this.#marker, partition, incarnation)?.current ?? base
      return { partition, incarnation, marked, applied }
    })
    await replayReplicas(replicas, { log: this.log, rows: this.#rows })
    this.#unmarkedChanges = true
    this.endPause()
  }

  /** Other rows took the place of suspect ones; no replica lives here now. */
  replaceRows(rows: MetaRows): void {
    this.#rows = rows
    this.#marker = []
    this.#olderMarker = []
  }

  async #busyWith(partition: number, work: () => Promise<void>): Promise<void> {
    const letGo = this.hold(partition)
    try {
      while (this.#pause !== undefined) await this.#pause.ended
      const written = work()
      this.#writing.add(written)
      await written.finally(() => this.#writing.delete(written))
    } finally {
      letGo()
    }
  }

  #count(partition: number, change: 1 | -1): void {
    this.#busy.set(partition, (this.#busy.get(partition) ?? 0) + change)
  }

  async #checkpoint(options: { force?: boolean; retainBytes?: number }): Promise<void> {
    if (!this.#unmarkedChanges && !options.force) return
    this.#unmarkedBytes = 0
    this.#unmarkedChanges = false
    const next = this.#nextMarker()
    await this.#rows.checkpoint(next)
    this.#olderMarker = this.#marker
    this.#marker = next
    await this.log.trim(
      (record) => this.#needs(record),
      options.retainBytes === undefined ? {} : { retainBytes: options.retainBytes },
    )
  }

  #nextMarker(): Marker {
    return [...this.#replicas].map(([partition, { incarnation, base, applied }]) => {
      const before = find(this.#marker, partition, incarnation)
      return { partition, incarnation, current: applied, previous: before?.current ?? base }
    })
  }

  #needs(record: { partition: number; incarnation: string; sequence: number }): boolean {
    if (this.#heldBack.has(record.partition)) return true
    const replica = this.#replicas.get(record.partition)
    if (replica?.incarnation !== record.incarnation) return false
    const marked = find(this.#olderMarker, record.partition, record.incarnation)
    return marked === undefined || record.sequence > marked.previous.sequence
  }
}

interface Pause {
  ended: Promise<void>
  end(): void
}

function newPause(): Pause {
  let end = (): void => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  return { ended, end }
}

function find(marker: Marker, partition: number, incarnation: string): Marker[number] | undefined {
  return marker.find((one) => one.partition === partition && one.incarnation === incarnation)
}
