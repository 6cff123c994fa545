// Key → the metadata partition that orders its writes.
import type { MetadataPartition } from '../metadata/contract.ts'
import type { BucketId } from '../metadata/records.ts'
import type { Coordinator } from './coordinator.ts'
import { metaPartitionOf, partitionOfKey } from './place.ts'

/** Where a key belongs, under the current map. */
export interface Route {
  /** Data partition. */
  partition: number
  metadata: MetadataPartition
}

/** Finds partitions. Embedded, all of them are in this process. */
export class Router {
  readonly #coordinator: Coordinator
  readonly partitions: readonly MetadataPartition[]

  constructor(coordinator: Coordinator, partitions: readonly MetadataPartition[]) {
    this.#coordinator = coordinator
    this.partitions = partitions
  }

  /** The partitions of a key. */
  route(bucketId: BucketId, key: string): Route {
    const { map } = this.#coordinator.state
    const partition = partitionOfKey(map, bucketId, key)
    return { partition, metadata: this.partitions[metaPartitionOf(map, partition)]! }
  }
}
