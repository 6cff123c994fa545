// The seam between a partition (order and meaning) and its replicas (durability).
// A partition turns a command into a batch; the log makes the batch durable on the quorum, then applies it.

/** One change of a row. Keys and values are the partition's own; the replica adds its partition prefix and checksums. */
export type RowChange =
  | { key: Uint8Array; value: Uint8Array }
  | { key: Uint8Array; value: undefined }

/** All changes of one command: applied whole or not at all. */
export type RowBatch = RowChange[]

/** A place in a log: (epoch, sequence) is never used for two different batches. */
export interface LogPosition {
  epoch: number
  sequence: number
}

/** Keys from `from` (inclusive) to `to` (exclusive). */
export interface RowRange {
  from: Uint8Array
  to: Uint8Array
}

/** An ordered walk over rows. seek() moves forward to the first key at or after `key`. */
export interface RowCursor {
  /** At most `count` rows; fewer only at the end of the range. */
  next(count: number): Promise<{ key: Uint8Array; value: Uint8Array }[]>
  seek(key: Uint8Array): void
  close(): Promise<void>
}

/**
 * Committed and applied rows of one partition. Values come back as they were put: checksums are verified below,
 * and a row that is rotten in one replica is read from another.
 */
export interface RowReader {
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /**
   * Resolves when rows that somebody is about to read are at hand; undefined when they are. It may forget them again, and
   * never rejects. Absent where nothing is kept at hand.
   */
  warm?(keys: readonly Uint8Array[]): Promise<void> | undefined
  /**
   * What get() would give in this moment, where that is known without waiting; undefined when get() has to be asked.
   * Absent where nothing is kept at hand.
   */
  getAtHand?(key: Uint8Array): { value: Uint8Array | undefined } | undefined
  scan(range: RowRange): RowCursor
}

/** The replicated log of one partition, as the partition sees it. */
export interface PartitionLog {
  readonly rows: RowReader
  /**
   * Appends in call order; resolves once the batch is durable on the commit quorum and its rows can be read.
   * Rejects with MetadataUnavailable when that can not be reached: nothing more can be appended then. `onDurable` is called
   * where the log can tell that the batch is durable before its rows can be read: whatever happens, they will be.
   */
  append(batch: RowBatch, onDurable?: () => void): Promise<LogPosition>
  /** Somebody waits for the rows of what was appended: a log may keep those whose `onDurable` it called for a moment. */
  hurry?(): void
  /**
   * Resolves when surely nobody else led the partition when it was called, so that rows show everything that was
   * acknowledged before. Rejects with MetadataUnavailable. Absent where nobody else can lead it.
   */
  confirm?(): Promise<void>
}
