// When a shard may be taken for an orphan, in one process. In a cluster who leads the partition of its key says so
// (judge-shards.ts).
import type { Uid } from '../../kit/uid.ts'
import type { BlobReference, MetadataPartition } from '../../metadata/contract.ts'
import type { Blob, BucketId } from '../../metadata/records.ts'
import type { WritesUnderWay } from '../../metadata/writes-under-way.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import { metaPartitionOfKey } from '../../placement/place.ts'

/** The key that a blob was written for: it stays in the headers of its shards for life. */
export interface BlobPlace {
  bucketId: BucketId
  key: string
}

/** What is known of blobs that may be orphans. */
export interface OrphanRule {
  /** Whether the blob is old enough, and nobody writes or reads it now. Asked first: its commit then has an outcome. */
  mayJudge(uid: Uid): boolean
  /**
   * The rows that name blobs of one key, undefined where none does; asked after mayJudge(), it is true for ever. Throws
   * when that can not be known.
   */
  find(
    place: BlobPlace,
    blobs: readonly Pick<Blob, 'uid' | 'part'>[],
  ): Promise<(BlobReference | undefined)[]>
  /** The partition that knows the key. */
  partitionOf(place: BlobPlace): MetadataPartition
}

/** What the rule of one process rests on. */
export interface LocalRuleParts {
  coordinator: Pick<Coordinator, 'state'>
  partitions: readonly MetadataPartition[]
  writes: Pick<WritesUnderWay, 'has' | 'ageMs'>
  /** Whether somebody reads the blob. */
  isPinned(uid: Uid): boolean
}

/** The rule where gateway, metadata and drives are one process (docs/decisions). `ageMs`: younger blobs are let be. */
export function localOrphanRule(ageMs: number, parts: LocalRuleParts): OrphanRule {
  const { writes, isPinned } = parts
  const partitionOf = (place: BlobPlace): MetadataPartition =>
    parts.partitions[metaPartitionOfKey(parts.coordinator.state.map, place)]!
  return {
    mayJudge: (uid) => !writes.has(uid) && !isPinned(uid) && writes.ageMs(uid) >= ageMs,
    find: (place, blobs) => partitionOf(place).findInOrder(place, blobs),
    partitionOf,
  }
}
