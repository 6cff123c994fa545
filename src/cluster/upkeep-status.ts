// How the upkeep of this node stands, as it tells others.
import type { MetaPartitionId } from '../metadata/contract.ts'
import type { NodePass, NodeUpkeepStatus } from '../storage-node/rpc/upkeep-messages.ts'
import type { HealProgress, PassProgress } from '../storage-node/upkeep/heal-progress.ts'
import type { UnrepairableBlob } from '../storage-node/upkeep/unrepairable.ts'

/** Of these the others are told; of all, their number. */
const UNREPAIRABLE_TOLD = 20

/** `partitions`: those that `progress` is about. */
export function upkeepStatus(
  partitions: MetaPartitionId[],
  progress: HealProgress,
  orphans: { deleted: number; deletedBytes: number },
): NodeUpkeepStatus {
  const { complete, lastVerifiedMs, queued, waiting, ended } = progress
  return {
    ...{ partitions, complete, queued, waiting },
    ...(lastVerifiedMs === undefined ? {} : { lastVerifiedMs }),
    unrepairable: progress.unrepairable.slice(0, UNREPAIRABLE_TOLD).map(describeUnrepairable),
    unrepairableCount: progress.unrepairableCount,
    passes: progress.passes.map(describePass),
    ...{ endedChecks: ended.check, endedScrubs: ended.scrub },
    ...{ checkedBlobs: progress.checkedBlobs, mendedShards: progress.mendedShards },
    ...{ bytesRead: progress.bytesRead, bytesWritten: progress.bytesWritten },
    ...{ checkedFiles: progress.checkedFiles, damagedFiles: progress.damagedFiles },
    ...{ orphansDeleted: orphans.deleted, orphanBytesDeleted: orphans.deletedBytes },
  }
}

function describePass(pass: PassProgress): NodePass {
  const { kind, startedMs, blobs, bytes, mendedShards, blobsExpected, leftMs } = pass
  return {
    ...{ kind, startedMs, blobs, bytes, mendedShards },
    ...(blobsExpected === undefined ? {} : { blobsExpected }),
    ...(leftMs === undefined ? {} : { leftMs }),
  }
}

function describeUnrepairable({ uid, part, bucketId, key, good, needed, error }: UnrepairableBlob) {
  const why = error ?? (good === undefined ? undefined : `${good} of ${needed} shards are good`)
  return {
    ...{ uid, part },
    ...(bucketId === undefined ? {} : { bucketId }),
    ...(key === undefined ? {} : { key }),
    ...(why === undefined ? {} : { error: why }),
  }
}

/** Nothing was looked at. */
export const NO_STATUS: NodeUpkeepStatus = {
  ...{ partitions: [], complete: false, queued: 0, waiting: 0, unrepairable: [] },
  ...{ unrepairableCount: 0, passes: [], endedChecks: 0, endedScrubs: 0, checkedBlobs: 0 },
  ...{ mendedShards: 0, bytesRead: 0, bytesWritten: 0, checkedFiles: 0, damagedFiles: 0 },
  ...{ orphansDeleted: 0, orphanBytesDeleted: 0 },
}
