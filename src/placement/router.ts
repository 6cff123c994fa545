// Key → the metadata partition that orders its writes.
import type { ReachablePartition } from '../metadata/contract.ts'
import type { BucketId } from '../metadata/records.ts'
import type { Coordinator } from './coordinator.ts'
import { metaPartitionOf, partitionOfKey } from './place.ts'

/** Where a key belongs, under the current map. */
export interface Route<Metadata extends ReachablePartition = ReachablePartition> {
  /** Data partition. */
  partition: number
  metadata: Metadata
}

/** Finds partitions. Embedded, all of them are in this process. */
export class Router<Metadata extends ReachablePartition = ReachablePartition> {
  readonly #coordinator: Coordinator
  readonly partitions: readonly Metadata[]

  constructor(coordinator: Coordinator, partitions: readonly Metadata[]) {
    this.#coordinator = coordinator
    this.partitions = partitions
  }

  /** The partitions of a key. */
  route(bucketId: BucketId, key: string): Route<Metadata> {
    const { map } = this.#coordinator.state
    const partition = partitionOfKey(map, bucketId, key)
    return { partition, metadata: this.partitions[metaPartitionOf(map, partition)]! }
  }
}
