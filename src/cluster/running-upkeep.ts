// The upkeep of a node at work: what mends, moves, scrubs, collects, forgets and sweeps, each beside the others.
import { Codec } from '../erasure/codec.ts'
import { mebibytes } from '../kit/bytes.ts'
import { CELL_BYTES, shardCount } from '../kit/erasure-code.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import { steadyClock } from '../kit/steady-clock.ts'
import { newUid, type Uid } from '../kit/uid.ts'
import type { World } from '../kit/world.ts'
import { GARBAGE_DELAY_MS_MAX } from '../metadata/commands/become-garbage.ts'
import type { MetaPartitionId } from '../metadata/contract.ts'
import { metaPartitionIds } from '../placement/cluster-map.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { shardsOfWidest } from '../placement/fit-code.ts'
import { metaPartitionOf } from '../placement/place.ts'
import type { StorageNode } from '../storage-node/contract.ts'
import type { FindLed } from '../storage-node/rpc/partition-seams.ts'
import type { BlobReport, NodeUpkeepStatus } from '../storage-node/rpc/upkeep-messages.ts'
import { BlobLatch } from '../storage-node/upkeep/blob-latch.ts'
import { collectGarbage } from '../storage-node/upkeep/collect-garbage.ts'
import { forgetExpired } from '../storage-node/upkeep/forget-expired.ts'
import { GarbageAhead } from '../storage-node/upkeep/garbage-ahead.ts'
import { Healer, type HealerOptions } from '../storage-node/upkeep/healer.ts'
import {
  type JudgedShard,
  type JudgeParts,
  judgeShards,
  type ShardVerdict,
} from '../storage-node/upkeep/judge-shards.ts'
import type { UnsettledWrites } from '../storage-node/upkeep/mover.ts'
import type { ScrubPositions } from '../storage-node/upkeep/scrub-position.ts'
import { type ClusterSweep, type OrphanSweepParts, startClusterSweep } from './cluster-orphans.ts'
import type { NodeFiles } from './node-files.ts'
import { nodeRewriter } from './node-rewriter.ts'
import type { NodeTuning } from './node-tuning.ts'
import { UpkeepPartition } from './upkeep-partition.ts'
import { upkeepStatus } from './upkeep-status.ts'

/** What people set. */
export interface NodeUpkeepOptions {
  scrubPeriodMs: number
  mendDelayMs: number
  garbageGraceMs: number
  /** For tests. */
  healing?: Partial<HealerOptions>
}

/** What upkeep is given. */
export interface NodeUpkeepParts {
  world: World
  log: Log
  registry: Registry
  coordinator: Coordinator
  /** The drives of the whole cluster; nobody waits for nodes that are away. */
  node: StorageNode
  /** Partitions that this process leads. */
  findLed: FindLed
  /** What a scrub reads beside the blobs; absent where there is nothing else. */
  files?: NodeFiles
  /** Where it is kept how far the scrub has come; absent where that need not outlive the process. */
  positions?: ScrubPositions
  /** Where this node looks for orphans; absent where it does not. */
  orphans?: OrphanSweepParts
  tuning?: Pick<NodeTuning, 'poolBytes' | 'orphans'>
}

// Stripes of the healer: of the blobs that it works on at once each has one, or waits for it.
const HEALING_POOL_BYTES = mebibytes(16)

/** The steward has waited for a node already; a drive that failed in one that lives hardly comes back. */
const OUT_DELAY_MS = 60_000

/** Shards on nodes that are away for a moment make a pass unsettled: the next one takes its time. */
const HEAL_AGAIN_MS = 5 * 60_000

const COLLECT_EVERY_MS = 5_000
const FORGET_EVERY_MS = 60_000
const LOOK_EVERY_MS = 1_000
const PARTITIONS_AT_ONCE = 16

/**
 * Gateways write, and no node knows of all of them which blobs have no row yet. So no node finds by itself that nothing
 * names a drive any more: it takes a count over the whole cluster.
 */
const NEVER_SETTLED: UnsettledWrites = { underWay: () => ['?' as Uid], has: () => true }

interface Workers {
  healer: Healer
  periodic: readonly Periodic[]
  sweep: ClusterSweep | undefined
  led: ReadonlyMap<MetaPartitionId, unknown>
}

type WorkParts = JudgeParts & Pick<NodeUpkeepParts, 'findLed'>

/** The workers, side by side: they share the latch that keeps them off each other's blobs. */
export class RunningUpkeep {
  readonly healer: Healer
  readonly #workers: readonly Periodic[]
  readonly #sweep: ClusterSweep | undefined
  readonly #parts: WorkParts
  /** As it was last looked at. */
  readonly #led: ReadonlyMap<MetaPartitionId, unknown>

  private constructor(workers: Workers, parts: WorkParts) {
    this.healer = workers.healer
    this.#workers = workers.periodic
    this.#sweep = workers.sweep
    this.#led = workers.led
    this.#parts = parts
  }

  static async open(options: NodeUpkeepOptions, parts: NodeUpkeepParts): Promise<RunningUpkeep> {
    const { files, positions, ...rest } = parts
    const { coordinator, world, log, findLed } = rest
    const isMine = (id: MetaPartitionId): boolean => findLed(id) !== undefined
    const { map } = coordinator.state
    const ids = metaPartitionIds(map)
    const partitions = ids.map((id) => new UpkeepPartition(id, () => findLed(id)))
    // Readers are in other processes: what they may be reading is kept for the time of grace.
    const shared = { ...rest, partitions, latch: new BlobLatch(), isPinned: () => false }
    const codec = await Codec.open({
      maxShards: Math.max(shardCount(map.code), shardsOfWidest(map)),
      cellBytes: CELL_BYTES,
      poolBytes: parts.tuning?.poolBytes ?? HEALING_POOL_BYTES,
    })
    const { scrubPeriodMs, mendDelayMs: urgentDelayMs, garbageGraceMs: graceMs, healing } = options
    const times = { outDelayMs: OUT_DELAY_MS, againMs: HEAL_AGAIN_MS, urgentDelayMs }
    const healer = new Healer(
      { ...times, scrubPeriodMs, graceMs, ...healing },
      {
        ...{ ...shared, codec, writes: NEVER_SETTLED, isMine },
        // What others wrote down, as when garbage is due, is compared with the wall clock: by the workers beside the healer.
        world: { ...world, clock: steadyClock(world.clock) },
        newCommandId: () => newUid(world),
        ofReign: (id) => partitions[id]!.ofReign(),
        ...(files && { files: files.scrub }),
        ...(positions && { positions }),
      },
    )
    const { poolBytes } = parts.tuning ?? {}
    healer.writeAnewWith(nodeRewriter({ ...rest, poolBytes }))
    healer.start()
    const led = new Map(ids.map((id) => [id, findLed(id)]))
    const look = async (): Promise<void> => {
      const changed = ids.filter((id) => led.get(id) !== findLed(id))
      for (const id of changed) led.set(id, findLed(id))
      if (changed.some((id) => led.get(id) !== undefined)) healer.partitionsChanged()
    }
    // No row says for how long the slowest reader of it was to be waited for, so each is waited for as long as any.
    const ahead = new GarbageAhead(GARBAGE_DELAY_MS_MAX)
    const collect = eachOf(partitions, (partition, signal) =>
      collectGarbage({ ...shared, partitions: [partition], ahead }, signal),
    )
    const forget = eachOf(partitions, (partition, signal) => forgetExpired([partition], signal))
    const clockAndLog = { clock: world.clock, log }
    const workers = [
      repeat('look-who-leads', LOOK_EVERY_MS, look, clockAndLog),
      repeat('collect-garbage', COLLECT_EVERY_MS, collect, clockAndLog),
      repeat('forget-expired', FORGET_EVERY_MS, forget, clockAndLog),
    ]
    const work = { ...rest, latch: shared.latch }
    const sweep =
      parts.orphans &&
      startClusterSweep(
        { graceMs, ...parts.tuning?.orphans },
        {
          ...{ ...rest, ...parts.orphans },
          judgeHere: (partition, shards) => judgeShards(partition, shards, work),
        },
      )
    return new RunningUpkeep({ healer, periodic: workers, sweep, led }, work)
  }

  status(): NodeUpkeepStatus {
    const led = [...this.#led].filter(([, partition]) => partition !== undefined)
    const orphans = this.#sweep?.progress() ?? { deleted: 0, deletedBytes: 0 }
    return upkeepStatus(
      led.map(([id]) => id),
      this.healer.progress(),
      orphans,
    )
  }

  /** At once: a spread scrub that was under way is given up without being counted, and whoever asks later may see the next one. */
  healNow(): number {
    this.healer.healNow()
    const { ended, passes } = this.healer.progress()
    // One that goes on was hurried before, and began before: the one after it vouches for everything.
    const isUnderWay = passes.some(({ kind }) => kind === 'scrub')
    return ended.scrub + (isUnderWay ? 2 : 1)
  }

  /** Only what is of that partition by the map: the rest is nobody's. */
  take(partition: MetaPartitionId, report: BlobReport): void {
    const { map } = this.#parts.coordinator.state
    for (const blob of report.blobs) {
      const isOfIt = metaPartitionOf(map, blob.partition) === partition
      if (isOfIt) this.healer.report({ blob, kind: 'corrupt' })
    }
  }

  /** Which of these are orphans; what another node leads by now is not known here. */
  async judge(partition: MetaPartitionId, shards: readonly JudgedShard[]): Promise<ShardVerdict[]> {
    const led = this.#parts.findLed(partition)
    if (led === undefined) return shards.map(() => 'undecided')
    return await judgeShards(led, shards, this.#parts)
  }

  async stop(): Promise<void> {
    await this.#sweep?.stop()
    await Promise.all(this.#workers.map((worker) => worker.stop()))
    await this.healer.stop()
  }
}

/**
 * A round over those that are led here, several at a time, so that their rounds of questions to other replicas go together. One that can not be asked
 * now keeps none of the others waiting, and is heard of at the end.
 */
function eachOf(
  partitions: readonly UpkeepPartition[],
  work: (partition: UpkeepPartition, signal: AbortSignal) => Promise<unknown>,
): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    const failed: unknown[] = []
    const led = partitions.filter(({ isLed }) => isLed)
    const left = led[Symbol.iterator]()
    const workOn = async (): Promise<void> => {
      for (const partition of left) {
        if (signal.aborted) return
        await work(partition, signal).catch((error: unknown) => failed.push(error))
      }
    }
    await Promise.all(Array.from({ length: PARTITIONS_AT_ONCE }, workOn))
    if (failed.length > 0) throw failed[0]
  }
}
