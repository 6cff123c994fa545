// Upkeep of a cluster, by the nodes: each mends, moves and scrubs the blobs of the partitions that it leads, collects their
// garbage and forgets what expired; and each looks for orphans on its own drives. Shards are reached wherever they are.
import type { ClosingStack } from '../kit/closing-stack.ts'
import { repeat } from '../kit/periodic.ts'
import { Overloaded } from '../kit/semaphore.ts'
import type { MetaPartitionId } from '../metadata/contract.ts'
import { hasTable } from '../placement/cluster-map.ts'
import type { BlobReport, NodeUpkeepStatus } from '../storage-node/rpc/upkeep-messages.ts'
import type { UpkeepWork } from '../storage-node/rpc/upkeep-service.ts'
import { type HealProgress, listHealMetrics } from '../storage-node/upkeep/heal-progress.ts'
import type { JudgedShard, ShardVerdict } from '../storage-node/upkeep/judge-shards.ts'
import { type NodeUpkeepOptions, type NodeUpkeepParts, RunningUpkeep } from './running-upkeep.ts'
import { NO_STATUS } from './upkeep-status.ts'

const BEGIN_EVERY_MS = 1_000

/** The upkeep of a node, which others may ask before it has begun. */
export class NodeUpkeep implements UpkeepWork {
  #running: RunningUpkeep | undefined

  /** Begins once the cluster has a table: before, nothing is stored. Runs until what is on `opened` is closed. */
  start(options: NodeUpkeepOptions, parts: NodeUpkeepParts, opened: ClosingStack): void {
    const { coordinator, world, log } = parts
    const begin = async (): Promise<void> => {
      if (this.#running !== undefined || !hasTable(coordinator.state.map)) return
      this.#running = await RunningUpkeep.open(options, parts)
    }
    const beginning = repeat('begin-upkeep', BEGIN_EVERY_MS, begin, { clock: world.clock, log })
    opened.defer(async () => {
      await beginning.stop()
      parts.files?.end()
      await this.#running?.stop()
    })
    listHealMetrics(() => this.progress() ?? NOTHING_YET, parts.registry)
  }

  /** Undefined before it has begun. */
  progress(): HealProgress | undefined {
    return this.#running?.healer.progress()
  }

  status(): NodeUpkeepStatus {
    return this.#running?.status() ?? NO_STATUS
  }

  healNow(): number {
    return this.#begun.healNow()
  }

  take(partition: MetaPartitionId, report: BlobReport): void {
    this.#begun.take(partition, report)
  }

  async judge(partition: MetaPartitionId, shards: readonly JudgedShard[]): Promise<ShardVerdict[]> {
    return await this.#begun.judge(partition, shards)
  }

  /** Rows name drives that are to leave: what has to move is counted again soon. */
  moveAgain(): void {
    this.#running?.healer.moveAgain()
  }

  get #begun(): RunningUpkeep {
    if (this.#running === undefined) throw new Overloaded('upkeep has not begun here')
    return this.#running
  }
}

const NOTHING_YET: HealProgress = {
  ...{ queued: 0, passes: [], ended: { check: 0, scrub: 0 }, checkedBlobs: 0, mendedShards: 0 },
  ...{ bytesRead: 0, bytesWritten: 0, checkedFiles: 0, damagedFiles: 0, waiting: 0 },
  ...{ unrepairable: [], unrepairableCount: 0, complete: false, lastVerifiedMs: undefined },
  moves: {
    ...{ phase: 'idle', movedShards: 0, movedBytes: 0, anewBlobs: 0, remainingShards: undefined },
    ...{ remainingBytes: undefined, remainingAnew: undefined, bytesPerSecond: undefined },
    ...{ waitingShards: undefined, leftMs: undefined, leftBehind: 0, leaving: [] },
  },
}
