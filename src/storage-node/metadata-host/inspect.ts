// Compares the replicas of a partition row by row, slowly: what rotted where nobody reads is found too.
import type { Doubts } from './believe.ts'
import { CheckedCursor } from './cursor.ts'
import type { HostedPartition } from './partition.ts'

const SLICE_ROWS = 500

/** Walks over all rows, on one pair of replicas after the other; reading them is what finds and reports differences. */
export async function inspectPartition(
  partition: HostedPartition,
  doubts: Doubts,
  /** Called between slices: what it throws ends the walk. */
  pace: () => Promise<void>,
): Promise<void> {
  const pairs = Math.max(1, partition.readers.length - 1)
  for (let skip = 0; skip < pairs; skip += 1) {
    const cursor = new CheckedCursor(partition, { from: new Uint8Array() }, doubts, skip)
    try {
      while ((await cursor.next(SLICE_ROWS)).length === SLICE_ROWS) {
        // A snapshot is not held while we rest: LevelDB could not forget what it covers.
        await cursor.close()
        await pace()
      }
    } finally {
      await cursor.close()
    }
  }
}
