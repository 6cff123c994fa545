// Who writes blobs anew for upkeep: in the process of an embedded store, and in every node of a cluster.
import { mebibytes } from '../kit/bytes.ts'
import { Semaphore } from '../kit/semaphore.ts'
import type { Rewriter, ShardsOnDrives } from '../storage-node/contract.ts'
import { openCodec } from './open-parts.ts'
import { type BlobParts, WRITE_BUDGET_UNIT } from './store-parts.ts'
import { writeAnew } from './write-anew.ts'

// Memory that blobs may take that are written anew, four at a time: beside that of what clients send.
const POOL_BYTES = mebibytes(24)
const BUDGET_BYTES = mebibytes(32)

/** What a process that writes anew has already. */
export interface RewriterParts extends Omit<BlobParts, 'codec' | 'writeBudget' | 'reportDamage'> {
  /** Of the pool of stripes, where it is not what is usual. */
  poolBytes?: number | undefined
}

/** With memory of its own, so that no client waits for it; and as all upkeep it leaves more room on drives. */
export async function openRewriter({ poolBytes, ...given }: RewriterParts): Promise<Rewriter> {
  const parts: BlobParts = {
    ...given,
    node: asUpkeep(given.node),
    codec: await openCodec(poolBytes ?? POOL_BYTES, given),
    writeBudget: new Semaphore(BUDGET_BYTES / WRITE_BUDGET_UNIT),
    // What is damaged in a blob goes with it.
    reportDamage: () => {},
  }
  return {
    writeAnew: (request, pace, signal) => writeAnew(request, { ...parts, pace }, signal),
  }
}

function asUpkeep(node: ShardsOnDrives): ShardsOnDrives {
  return {
    beginShard: (driveId, description) => node.beginShard(driveId, description, 'move'),
    hasRoom: (driveId, shardBytes) => node.hasRoom(driveId, shardBytes, 'move'),
    openShard: (driveId, id) => node.openShard(driveId, id),
    deleteShard: (driveId, id) => node.deleteShard(driveId, id),
  }
}
