// The seams of partitions that are asked over the network: who asks (remote-partition.ts), who answers
// (partition-service.ts), and what both need of others.
import type { Log } from '../../kit/log.ts'
import type { Clock, World } from '../../kit/world.ts'
import type { MetadataPartition, MetaPartitionId } from '../../metadata/contract.ts'
import type { LaneRequest } from './lane.ts'

/** Which nodes lead partitions, as last heard. Only a hint: the node that is asked knows better. */
export interface PrimaryHints {
  /** The id of the node; undefined where nobody is known to lead. */
  primaryOf(partition: MetaPartitionId): string | undefined
  /** Nodes that have replicas of it, and may know who leads when who did is silent. Absent: not known. */
  replicasOf?(partition: MetaPartitionId): readonly string[]
  /** Calls back when another node is heard to lead a partition, or none; returns how to stop. */
  watch(listener: (partition: MetaPartitionId) => void): () => void
}

/** The way to the nodes that lead partitions. */
export interface PartitionTransport {
  /**
   * Asks a node; requests of one lane may be sent together, and wait for each other. Rejects as Peer.ask() does, with
   * NodeUnreachable `not-sent` for a node that has no address.
   */
  askPartition(to: string, lane: string, request: LaneRequest): Promise<Uint8Array>
}

/** Finds a partition that is led by this process now, and is ready to be asked. */
export type FindLed = (partition: MetaPartitionId) => MetadataPartition | undefined

/** What `remotePartitions(count, parts)` needs: partitions that are asked wherever they are led. */
export interface RemotePartitionParts {
  primaries: PrimaryHints
  /** Peers, or the network of a simulation. */
  transport: PartitionTransport
  world: Pick<World, 'clock' | 'random'>
}

/** `new PartitionService(parts)`: what a node does for those who ask the partitions that it leads. */
export interface PartitionServiceParts {
  findLed: FindLed
  /** Whom those are told to ask who come to the wrong node. */
  primaries: Pick<PrimaryHints, 'primaryOf'>
  clock: Clock
  log: Log
}
