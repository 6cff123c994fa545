// Deletes many keys of a bucket: one command takes those of a partition, as many at a time as it can.
import { assert } from '../kit/assert.ts'
import { DELETIONS_MAX } from '../metadata/commands/delete-objects.ts'
import type { KeyDeletion, ReachablePartition } from '../metadata/contract.ts'
import type { MetadataClient } from './metadata-client.ts'
import type { Bucket, DeletionOutcome } from './object-store.ts'

/** Enough for all partitions of most stores; with more of them some wait. */
const COMMANDS_AT_ONCE = 256

/** Keys of one partition, and where their outcomes go. */
interface Share {
  partition: ReachablePartition
  keys: KeyDeletion[]
  places: number[]
}

/**
 * Outcomes in the order of `keys`; what is named twice is deleted in that order. Once a command has failed, or nobody waits any
 * more, none begins: who hears of that may write to the same keys again. All that have begun are over, as far as they will be.
 */
export async function deleteMany(
  metadata: MetadataClient,
  bucket: Bucket,
  { keys, options }: { keys: readonly KeyDeletion[]; options: { bypass?: true } },
  signal: AbortSignal,
): Promise<DeletionOutcome[]> {
  const outcomes: DeletionOutcome[] = new Array(keys.length)
  const shares = shareOut(metadata, bucket, keys)
  let failure: { error: unknown } | undefined
  const mayBegin = (): boolean => failure === undefined && !signal.aborted
  const work = async (): Promise<void> => {
    for (let share = shares.pop(); share !== undefined; share = shares.pop()) {
      await deleteShare(share).catch((error) => {
        failure ??= { error }
      })
    }
  }
  await Promise.all(Array.from({ length: Math.min(COMMANDS_AT_ONCE, shares.length) }, work))
  if (failure !== undefined) throw failure.error
  signal.throwIfAborted()
  return outcomes

  async function deleteShare({ partition, keys: own, places }: Share): Promise<void> {
    let done = 0
    while (done < own.length && mayBegin()) {
      const next = own.slice(done, done + DELETIONS_MAX)
      const answer = await metadata.commitIn(partition, bucket, ({ commandId, bucket: ref }) => ({
        ...{ kind: 'delete-objects' as const, commandId, bucket: ref, keys: next },
        ...options,
      }))
      assert(answer.kind === 'done', 'who says that a bucket is gone is asked again')
      for (const outcome of answer.outcomes) {
        outcomes[places[done]!] = outcome
        done += 1
      }
    }
  }
}

function shareOut(metadata: MetadataClient, bucket: Bucket, keys: readonly KeyDeletion[]): Share[] {
  const shares = new Map<ReachablePartition, Share>()
  for (const [place, asked] of keys.entries()) {
    const { metadata: partition } = metadata.route(bucket, asked.key)
    let share = shares.get(partition)
    if (share === undefined) {
      share = { partition, keys: [], places: [] }
      shares.set(partition, share)
    }
    share.keys.push(asked)
    share.places.push(place)
  }
  return [...shares.values()]
}
