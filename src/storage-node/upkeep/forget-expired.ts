// Lets partitions forget rows that outlived their use. Commands do that on their way: this is for those that get none.
import type { MetadataPartition } from '../../metadata/contract.ts'

/** A partition is asked again at once while it forgets something, but not more often than this in one round. */
const STEPS_PER_ROUND = 64

/** One round over all partitions; returns how many rows are gone. Throws when one of them can not be asked. */
export async function forgetExpired(
  partitions: readonly Pick<MetadataPartition, 'forgetExpired'>[],
  signal: AbortSignal,
): Promise<number> {
  let forgotten = 0
  for (const partition of partitions) {
    for (let step = 0; step < STEPS_PER_ROUND && !signal.aborted; step += 1) {
      const rows = await partition.forgetExpired()
      forgotten += rows
      if (rows === 0) break
    }
  }
  return forgotten
}
