// Entries of a partition that are not in its rows yet, and how many of them go there together.
import type { LogPosition, RowBatch } from '../../metadata/log/contract.ts'
import type { EntryHead } from '../../metadata/log/entry.ts'

/** An entry from its number on until it is applied. */
export interface Pending {
  head: EntryHead
  batch: RowBatch
  bytes: Uint8Array
  /** When the first replica had it. */
  firstDurableMs: number | undefined
  /** Called once it is committed: nobody but readers waits for its rows. */
  onDurable: (() => void) | undefined
  resolve: (position: LogPosition) => void
  reject: (error: unknown) => void
}

/** How much is applied at once: LevelDB takes it as one batch. */
export const APPLY_ENTRIES = 256
const APPLY_BYTES = 4 * 1024 * 1024

/** The first ones that are committed, as many as are applied at once. */
export function committedEntries(pending: readonly Pending[], committed: number): Pending[] {
  let bytes = 0
  let count = 0
  for (const { head, bytes: batch } of pending) {
    if (head.sequence > committed || count === APPLY_ENTRIES) break
    if (count > 0 && bytes + batch.length > APPLY_BYTES) break
    bytes += batch.length
    count += 1
  }
  return pending.slice(0, count)
}
