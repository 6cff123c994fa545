// Deletes the shards of blobs that nothing references any more: only what a garbage row names (positive
// knowledge), only after its grace time, never while somebody reads it. The wall clock says when that is over; where it
// can not be right, the monotonic one.
import { isFull } from '../../kit/drive-unavailable.ts'
import type { Log } from '../../kit/log.ts'
import { newUid, type Uid } from '../../kit/uid.ts'
import type { World } from '../../kit/world.ts'
import type { Garbage, MetadataPartition } from '../../metadata/contract.ts'
import { MISSING_SLOT } from '../../metadata/records.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import type { ShardsOnDrives } from '../contract.ts'
import type { BlobLatch } from './blob-latch.ts'
import type { GarbageAhead } from './garbage-ahead.ts'

/** Rows taken in one step: a bound on memory and on the size of the batch that forgets them. */
const BATCH = 500

/** Drives take the deletions of so many blobs together, and serve others beside them. */
const BLOBS_AT_ONCE = 8

/** Parts of the collector. */
export interface CollectorParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  node: ShardsOnDrives
  coordinator: Coordinator
  partitions: readonly MetadataPartition[]
  /** Whether somebody reads the blob now. */
  isPinned(uid: Uid): boolean
  /** Held while the shards of a blob are deleted: nobody makes them again meanwhile. */
  latch: BlobLatch
  /** What is due too late by the wall clock, from round to round. */
  ahead: GarbageAhead
}

/** Collects everything that is due in every partition; returns how many blobs were deleted. */
export async function collectGarbage(parts: CollectorParts, signal: AbortSignal): Promise<number> {
  let collected = 0
  for (const partition of parts.partitions) {
    let last: Garbage | undefined
    do {
      const due = await partition.dueGarbage(parts.world.clock.now(), BATCH, last)
      collected += await collectBatch(due, partition, parts)
      last = due.length === BATCH ? due.at(-1) : undefined
    } while (last && !signal.aborted)
    collected += await collectOutlived(partition, parts, signal)
  }
  return collected
}

/** What the wall clock alone would keep for as long as it was ahead. */
async function collectOutlived(
  partition: MetadataPartition,
  parts: CollectorParts,
  signal: AbortSignal,
): Promise<number> {
  let collected = 0
  for await (const page of parts.ahead.outlived(partition, parts.world.clock)) {
    collected += await collectBatch(page, partition, parts)
    if (signal.aborted) break
  }
  if (collected > 0) {
    const why = 'garbage that seemed to be due too late was collected: the clock was set'
    parts.log.info({ partition: partition.id, blobs: collected }, why)
  }
  return collected
}

/** Pinned and held blobs stay for a later round; they keep nothing behind them waiting. */
async function collectBatch(
  due: readonly Garbage[],
  partition: MetadataPartition,
  parts: CollectorParts,
): Promise<number> {
  const deleted: Garbage[] = []
  for (let at = 0; at < due.length; at += BLOBS_AT_ONCE) {
    const some = due.slice(at, at + BLOBS_AT_ONCE)
    const areGone = await Promise.all(some.map((garbage) => collect(garbage, parts)))
    deleted.push(...some.filter((_, place) => areGone[place]))
  }
  if (deleted.length === 0) return 0
  await partition.commit({
    kind: 'forget-garbage',
    commandId: newUid(parts.world),
    items: deleted.map(({ dueMs, blob }) => ({ dueMs, uid: blob.uid })),
  })
  return deleted.length
}

/** Whether nothing is left of it that could be deleted now. */
async function collect(garbage: Garbage, parts: CollectorParts): Promise<boolean> {
  const { uid } = garbage.blob
  const letGo = parts.isPinned(uid) ? undefined : parts.latch.tryHold(uid)
  return letGo !== undefined && (await deleteShards(garbage, parts).finally(letGo))
}

/**
 * Deletes the shards on every drive that is there. What lies on a drive that is out stays behind as an orphan, to be
 * swept when it is back: waiting for the drive would keep every other row of the queue waiting too. False when a drive
 * was too full even to note that a shard is gone: then all of it is tried again later.
 */
async function deleteShards({ blob }: Garbage, parts: CollectorParts): Promise<boolean> {
  const deletions = blob.drives.map(async (driveId, slot) => {
    if (driveId === MISSING_SLOT) return
    await parts.node.deleteShard(driveId, { uid: blob.uid, part: blob.part, slot })
  })
  let isDone = true
  for (const result of await Promise.allSettled(deletions)) {
    if (result.status === 'fulfilled') continue
    if (isFull(result.reason)) isDone = false
    parts.log.debug({ uid: blob.uid, error: String(result.reason) }, 'a shard could not be deleted')
  }
  return isDone
}
