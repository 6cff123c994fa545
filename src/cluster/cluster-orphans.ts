// The sweep for orphans of a node: it goes through the drives of this node, asks all partitions what they name, and deletes
// what whoever leads the partition of a shard says to be an orphan (docs/decisions/0022-orphans-of-a-cluster.md).
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import { uidTimeMs } from '../kit/uid.ts'
import { unlessAborted } from '../kit/unless-aborted.ts'
import type { World } from '../kit/world.ts'
import type { MetadataPartition, Queries } from '../metadata/contract.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { metaPartitionOfKey } from '../placement/place.ts'
import type { ShardLists, StorageNode } from '../storage-node/contract.ts'
import type {
  FindLed,
  PartitionTransport,
  PrimaryHints,
} from '../storage-node/rpc/partition-seams.ts'
import { remotePartitions } from '../storage-node/rpc/remote-partition.ts'
import type { JudgedShard, ShardVerdict } from '../storage-node/upkeep/judge-shards.ts'
import type { BlobPlace } from '../storage-node/upkeep/orphan-rule.ts'
import { OrphanSweep } from '../storage-node/upkeep/orphan-sweep.ts'
import { settleByLeader } from '../storage-node/upkeep/settle-by-leader.ts'
import { listSweepMetrics } from '../storage-node/upkeep/sweep-metrics.ts'
import { USUAL_BLOB_AGE_MS } from './led-partitions.ts'

/** What sweeping the drives of a node takes, beside what all upkeep does. */
export interface OrphanSweepParts {
  /** Of the drives of this node. */
  lists: ShardLists
  isMine(driveId: number): boolean
  /** The ways to whoever leads partitions. */
  primaries: PrimaryHints
  transport: PartitionTransport
}

/** What the sweep of one node is made of: its own drives, and the ways to all partitions, wherever they are led. */
export interface ClusterSweepParts extends OrphanSweepParts {
  world: World
  log: Log
  registry: Registry
  coordinator: Coordinator
  /** The drives of the whole cluster. */
  node: StorageNode
  findLed: FindLed
  /** As it is judged where a partition is led here. */
  judgeHere(partition: MetadataPartition, shards: readonly JudgedShard[]): Promise<ShardVerdict[]>
}

/** When it is done, and what is looked at. */
export interface ClusterSweepOptions {
  graceMs: number
  /** Shards of blobs that are younger are not asked about. */
  blobAgeMsMax?: number
  periodMs?: number
}

const PERIOD_MS = 24 * 60 * 60_000

/** Not all nodes of a cluster that was just started are to walk all rows while it finds itself. */
const FIRST_AFTER_MS = 10 * 60_000

/** Begins to sweep. */
export function startClusterSweep(
  { graceMs, blobAgeMsMax = USUAL_BLOB_AGE_MS, periodMs = PERIOD_MS }: ClusterSweepOptions,
  parts: ClusterSweepParts,
): ClusterSweep {
  const { coordinator, world, log, registry, lists, node, findLed, judgeHere } = parts
  const { metaPartitionCount } = coordinator.state.map
  const remote = remotePartitions(metaPartitionCount, parts)
  const ending = new AbortController()
  const unlessEnded = <Answer>(answer: Promise<Answer>): Promise<Answer> =>
    unlessAborted(answer, ending.signal)
  // Nobody asks himself over the network.
  const partitions = remote.partitions.map(
    (far, id): NearOrFar => ({
      scanBlobs: (...asked) => unlessEnded((findLed(id) ?? far).scanBlobs(...asked)),
      dueGarbage: (...asked) => unlessEnded((findLed(id) ?? far).dueGarbage(...asked)),
      findInOrder: (...asked) => unlessEnded((findLed(id) ?? far).findInOrder(...asked)),
      judge: (shards) => {
        const led = findLed(id)
        return unlessEnded(led ? judgeHere(led, shards) : remote.judge(id, shards))
      },
    }),
  )
  const partitionOf = (place: BlobPlace): NearOrFar =>
    partitions[metaPartitionOfKey(coordinator.state.map, place)]!
  const sweep = new OrphanSweep(
    { periodMs, graceMs, firstAfterMs: FIRST_AFTER_MS },
    {
      ...{ world, log, lists, coordinator, partitions },
      isMine: (driveId) => parts.isMine(driveId),
      rule: { mayJudge: (uid) => world.clock.now() - uidTimeMs(uid) >= blobAgeMsMax },
      settle: (found, run) =>
        settleByLeader(found, {
          ...{ world, log, node, coordinator, ...run },
          rule: { find: (place, blobs) => partitionOf(place).findInOrder(place, blobs) },
          judge: (place, shards) => partitionOf(place).judge(shards),
        }),
    },
  )
  listSweepMetrics(() => sweep.progress(), registry)
  sweep.start()
  return {
    progress: () => sweep.progress(),
    stop: async () => {
      // A partition that does not answer is waited for no longer.
      ending.abort(new Error('the node is closing'))
      await sweep.stop()
      remote.close()
    },
  }
}

/** A sweep under way. */
export type ClusterSweep = Pick<OrphanSweep, 'progress' | 'stop'>

/** A partition, as it is asked wherever it is led. */
interface NearOrFar extends Pick<Queries, 'scanBlobs' | 'dueGarbage' | 'findInOrder'> {
  judge(shards: readonly JudgedShard[]): Promise<ShardVerdict[]>
}
