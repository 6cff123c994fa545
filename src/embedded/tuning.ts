// What a store is built of below its options: sizes and times that are nobody's to choose. The usual ones suit real
// drives; a simulation makes them small, so that little work crosses every seam.
import type { PartitionCounts } from '../placement/build-map.ts'
import type { OpenLevel } from '../storage-node/drive-lock.ts'
import type { HostLimits } from '../storage-node/metadata-host/metadata-host.ts'
import type { ShardStoreOptions } from '../storage-node/shard-store.ts'
import type { SpaceOptions } from '../storage-node/space/space-watch.ts'
import type { ScheduleOptions } from '../storage-node/upkeep/pass-schedule.ts'
import type { CareTuning } from './open-care.ts'

/** Whatever is absent is as usual. */
export interface Tuning {
  /** What stands for LevelDB. */
  openLevel?: OpenLevel
  /** Of a new store. */
  partitions?: PartitionCounts
  shards?: ShardStoreOptions
  metadata?: Partial<HostLimits>
  /** Of the ballast. */
  space?: SpaceOptions
  healing?: Partial<Omit<ScheduleOptions, 'scrubPeriodMs'>>
  /** How sick drives are judged, and how often is looked. */
  care?: CareTuning
  /** Of each pool of stripes. */
  poolBytes?: number
}
