// Nodes, drives, weights, slots: immutable data that every process agrees on, by epoch.
import type { ErasureCode } from '../kit/erasure-code.ts'

/**
 * `draining`: it is to be emptied: read from, not written to. `out`: missing or failed; it is not written to, and read
 * only when it is back.
 */
export type DriveState = 'active' | 'draining' | 'out'

/** A drive as the map knows it. `id` is never given twice, `uuid` is in the drive's marker file. */
export interface MapDrive {
  id: number
  uuid: string
  /** Share of the data, relative to the others: GiB of it. */
  weight: number
  state: DriveState
  /** Why it is out, for people. */
  reason?: string
  /** It is to be emptied, and no slot is its own any more: draining, or out and draining when it comes back. */
  isLeaving?: true
  /** A verified pass found no row and no replica of metadata that names it. Never of a drive that is active. */
  isVacated?: true
  /**
   * Clusters: the epoch of the decision from which on no row may come to name it: who leads a partition and knows of it takes
   * no command that would. Never of a drive that is active (departure.ts).
   */
  closedEpoch?: number
  /** Where it was last found: looked at when nobody names its directory. Absolute. */
  path?: string
  /** Clusters: the node that has it, 16 hex digits. Nodes may be lost as a whole. Absent embedded. */
  nodeId?: string
  /** Clusters: what may be lost together with other nodes, as the node said: a rack, a room. */
  zone?: string
}

/** Which drive holds which slot of which data partition. Changed only by a new epoch. */
export interface ClusterMap {
  drives: MapDrive[]
  /** The code of new objects; every object version keeps its own. */
  code: ErasureCode
  /** Data partitions P, a power of two. */
  partitionCount: number
  /** Metadata partitions M, a power of two, at most P: a metadata partition is a prefix of data partitions. */
  metaPartitionCount: number
  /** slots[p] lists drive ids in slot order, spares behind; all distinct. */
  slots: number[][]
  /** Shards of the widest code that blobs may still have, since a row of the table was longer once. */
  widestShards?: number
  /** Clusters: ids of drives that were removed, in order. They never come back. Absent: none. */
  removed?: number[]
  /** Seed of the key hash: secret, so that nobody can aim keys at one partition. Decimal u64. */
  seed: string
}

/** Ids of the nodes that have drives, each once, in the order of their first drives. */
export function nodeIdsOf(drives: readonly Pick<MapDrive, 'nodeId'>[]): string[] {
  return [...new Set(drives.flatMap(({ nodeId }) => nodeId ?? []))]
}

/** Ids of all metadata partitions. */
export function metaPartitionIds({
  metaPartitionCount,
}: Pick<ClusterMap, 'metaPartitionCount'>): number[] {
  return Array.from({ length: metaPartitionCount }, (_, id) => id)
}

/** Whether objects can be placed: a cluster whose nodes are not known yet has no table. */
export function hasTable({ slots }: Pick<ClusterMap, 'slots'>): boolean {
  return (slots[0]?.length ?? 0) > 0
}
